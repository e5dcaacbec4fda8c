"""What needs no Airflow: URLs of connections, which failures are tried again, names of runs, sizes of results."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from holdfast import errors
from holdfast.errors import CredentialsError, HoldfastError, UsageError
from holdfast_airflow.connections import database_url, secret_forms
from holdfast_airflow.failures import may_pass, message
from holdfast_airflow.occurrence import occurrence
from holdfast_airflow.results import small


@dataclass
class Connection:
    """The fields of one of Airflow's."""

    conn_type: str | None
    host: str | None = None
    login: str | None = None
    password: str | None = None
    schema: str | None = None
    port: int | None = None
    extra_dejson: dict[str, Any] = field(default_factory=dict)
    conn_id: str = "shop"


@pytest.mark.parametrize(
    ("connection", "database", "url"),
    [
        (Connection("postgres", "db", "u", "p/@:w", "shop", 5433), None, "postgresql://u:p%2F%40%3Aw@db:5433/shop"),
        (Connection("postgres", "a,b", schema="shop"), "crm", "postgresql://a,b/crm"),
        (Connection("postgres", "/run/pg", schema="shop"), None, "postgresql:///shop?host=/run/pg"),
        (Connection("mysql", "/run/my.sock", schema="shop"), None, "mysql:///shop?socket=/run/my.sock"),
        (Connection("sqlite", "/srv/app.db"), None, "sqlite:////srv/app.db"),
        (Connection("sqlite", "data", schema="app.db"), None, "sqlite:///data/app.db"),
        (Connection("notes", "h", schema="x"), None, "notes://h/x"),
        (
            Connection("postgres", "db", schema="s", extra_dejson={"sslmode": "verify-full", "cursor": "dictcursor"}),
            None,
            "postgresql://db/s?sslmode=verify-full",
        ),
        (
            Connection("mysql", "db", schema="s", extra_dejson={"ssl": {"ca": "/ca.pem"}, "ssl_mode": "VERIFY_CA"}),
            None,
            "mysql://db/s?ssl_mode=VERIFY_CA&ssl_ca=/ca.pem",
        ),
    ],
)
def test_a_connection_is_a_url(connection: Connection, database: str | None, url: str) -> None:
    assert database_url(connection, database) == url


def test_what_cannot_be_part_of_a_url_is_refused_without_being_told() -> None:
    with pytest.raises(CredentialsError, match="a password of IAM"):
        database_url(Connection("postgres", "db", extra_dejson={"iam": True}))
    with pytest.raises(UsageError, match="the extra 'options' of the connection shop is a list") as raised:
        database_url(Connection("postgres", "db", password="secret", extra_dejson={"options": ["secret"]}))
    assert "secret" not in message(raised.value)


def test_a_secret_is_known_in_the_forms_in_which_urls_have_it() -> None:
    assert secret_forms(None) == []
    assert secret_forms("a/b c") == ["a/b c", "a%2Fb%20c", "a/b%20c", "a%2Fb+c"]


def test_locks_and_servers_without_answer_are_tried_again_and_nothing_else() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HoldfastError)]
    assert {kind.exit_code for kind in kinds if may_pass(kind("x"))} == {11, 15}
    assert message(UsageError("wrong", hint="do it")) == "wrong (exit code 2); hint: do it"


def test_the_name_of_a_run_is_kept_or_ends_in_a_digest_of_it() -> None:
    assert occurrence("nightly/backup/scheduled__2026-11-29T00:00:00+00:00").startswith("nightly/backup/")
    long = [occurrence("ä" * 150 + end) for end in "ab"]
    assert len(set(long)) == 2
    assert max(len(name.encode()) for name in long) <= 200


def test_a_result_is_small_whatever_a_task_returns() -> None:
    change = {"action": "gone", "kind": "table", "name": "t" * 300, "rows": 5, "new_rows": None}
    data = {
        "id": "i",
        "name": "n",
        "store": "s",
        "path": "left out",
        "notes": 3,
        "kept": ["a"] * 1000,
        "warnings": ["w" * 9000] * 50,
        "changes": [change] * 5000,
        "deleted": ["d"] * 5000,
        "failures": [{"kind": "table", "name": "x", "code": "", "message": "m" * 500}] * 20,
    }
    result = small(data)
    assert len(json.dumps(result)) < 4096
    assert (result["kept_count"], result["changes_count"], result["deleted_count"]) == (1000, 5000, 5000)
    assert result["changes"][0].startswith("table tttt")
    assert "path" not in result
