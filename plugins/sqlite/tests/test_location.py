"""A URL leads to a file, or says why it leads nowhere."""

from typing import Any

import pytest

import holdfast
from holdfast.errors import IntegrityError, UnreachableError, UsageError


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("sqlite:///:memory:", UsageError, "in memory"),
        ("sqlite://:memory:", UsageError, "in memory"),
        ("sqlite://:memory:/x", UsageError, "in memory"),
        ("sqlite://", UsageError, "names no file"),
        ("sqlite:///", UsageError, "names no file"),
        ("sqlite://host/app.db", UsageError, "names a host"),
        ("sqlite:///app.db?mode=ro", UsageError, "takes no parameters"),
        ("sqlite:///a%zz.db", UsageError, "hexadecimal"),
        ("sqlite:///a%00b.db", UsageError, "names no file"),
        ("sqlite:////no/such/app.db", UnreachableError, "does not exist"),
        ("sqlite:////etc/passwd/app.db", UnreachableError, "does not exist"),
        ("sqlite:////etc", IntegrityError, "not a regular file"),
        ("sqlite:////dev/null", IntegrityError, "not a regular file"),
        (f"sqlite:////{'x' * 300}", UnreachableError, "too long"),
    ],
)
def test_a_url_that_leads_nowhere_says_why(url: str, error: type[Exception], words: str, backups: Any) -> None:
    with pytest.raises(error, match=words):
        holdfast.backup(url, store=str(backups.store))
    assert not backups.store.exists()
