"""The gzip codec keeps the contract of a codec, with each library."""

from holdfast.testing import CodecSuite


class TestFast(CodecSuite):
    spec = "gzip:1"


class TestStandardLibrary(CodecSuite):
    spec = "gzip:6,library=zlib"


class TestIsal(CodecSuite):
    spec = "gzip:3,library=isal"
