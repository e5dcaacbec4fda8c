"""SHA-256 keeps the contract of a checksum."""

from holdfast.testing import ChecksumSuite


class TestSha256(ChecksumSuite):
    algorithm = "sha256"
    known = "d1580d2df7f24b6f5e2a861eba2918755c3a7246b7068817e349d8adc66a8566"
