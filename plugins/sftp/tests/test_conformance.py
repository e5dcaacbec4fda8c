"""A folder of a server keeps the contract of a storage."""

import pytest
from support.servers.sshd import SSHServer

from holdfast.testing import StorageSuite


class TestSFTP(StorageSuite):
    password = ""
    ttl = 1.0

    @pytest.fixture
    def url(self, server: SSHServer, name: str) -> str:
        return server.url(name)
