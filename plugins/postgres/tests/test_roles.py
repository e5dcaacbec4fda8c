"""Roles that the server of a restore or drill does not have are told before anything is touched, or are not needed."""

from collections.abc import Iterator

import pytest
from support.servers.postgres import PostgresServer
from support.sweeps import swept

import holdfast
from holdfast.api import CredentialsError, HoldfastError


@pytest.fixture
def gone(server: PostgresServer, database: str) -> Iterator[str]:
    """A role for what is backed up; a test drops it."""
    name = f"gone_{database}"
    server.execute(database, f"CREATE ROLE {name}", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS a")
    yield name
    server.execute(database, f"DROP ROLE IF EXISTS {name}")


_BROKEN = """
CREATE FUNCTION broken(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN IF current_database() <> '{}' THEN RAISE 'broken here'; END IF; RETURN 1; END $$
"""


def test_a_missing_role_of_a_policy_is_told_first(
    server: PostgresServer, database: str, target: str, gone: str, store: str
) -> None:
    """Without its role a policy cannot be made, whoever owns the table; a drill records nothing then."""
    server.execute(database, f"CREATE POLICY p ON t TO {gone} USING (true)")
    record = holdfast.backup(server.url(database), store=store, proof=True)
    server.execute(database, "DROP POLICY p ON t", f"DROP ROLE {gone}")
    databases = server.databases()
    options = {"no_owner": "true", "no_privileges": "true"}
    with pytest.raises(HoldfastError, match=f"no role {gone}.* polic") as caught:
        holdfast.restore(record.id, server.url(target), store=store, options=options)
    assert "CREATE ROLE" in str(caught.value.hint)
    assert type(caught.value).exit_code == 1
    with pytest.raises(HoldfastError, match=f"no role {gone}.* polic"):
        holdfast.drill(record.id, store=store, into=server.url("postgres"))
    assert server.databases() == databases
    (backup,) = holdfast.list_backups(store=store)
    assert backup.state == "complete"
    server.execute(database, f"CREATE ROLE {gone}")
    assert holdfast.drill(record.id, store=store, into=server.url("postgres")).state == "proven"


@pytest.mark.parametrize("kind", swept("plain", "parallel", long=["custom"]))
def test_a_drill_needs_no_role_that_owns_or_may_use_something(
    server: PostgresServer, database: str, target: str, gone: str, store: str, kind: str
) -> None:
    """What a drill compares is not who owns it."""
    server.execute(
        database,
        "CREATE TABLE mine AS SELECT 'ALTER TABLE public.t OWNER TO nobody;' AS text",
        f"ALTER TABLE mine OWNER TO {gone}",
        f"GRANT SELECT ON t TO {gone}",
    )
    record = holdfast.backup(server.url(database), store=store, proof=True, options={"format": kind})
    server.execute(database, f"REASSIGN OWNED BY {gone} TO postgres", f"DROP OWNED BY {gone}", f"DROP ROLE {gone}")
    result = holdfast.drill(record.id, store=store, into=server.url("postgres"))
    assert result.problems == ()
    assert result.state == "proven"
    assert any(gone in warning for warning in result.warnings)
    with pytest.raises(HoldfastError, match=gone) as caught:
        holdfast.restore(record.id, server.url(target), store=store)
    assert ("no_owner" in str(caught.value.hint)) is (kind != "plain")


def test_a_drill_of_a_plain_script_sees_what_fails(
    server: PostgresServer, database: str, gone: str, store: str
) -> None:
    """Only a missing role is let pass: an index that cannot be made is not."""
    server.execute(
        database,
        f"ALTER TABLE t OWNER TO {gone}",
        _BROKEN.format(database),
        "CREATE INDEX cannot ON t (broken(a))",
    )
    record = holdfast.backup(server.url(database), store=store, proof=True, options={"format": "plain"})
    server.execute(database, f"REASSIGN OWNED BY {gone} TO postgres", f"DROP OWNED BY {gone}", f"DROP ROLE {gone}")
    result = holdfast.drill(record.id, store=store, into=server.url("postgres"))
    assert result.state == "damaged"
    assert "not restored: index public.cannot: broken here (P0001)" in result.problems


def test_an_owner_restores_a_database_whose_extension_belongs_to_a_superuser(
    server: PostgresServer, bare: bool, database: str, target: str, store: str
) -> None:
    """A dump gives an extension, and what it brings, to nobody: the server makes them the superuser's by itself."""
    name = f"owner_{database}"
    server.execute("postgres", f"CREATE ROLE {name} LOGIN CREATEDB")
    for each in (database, target):
        server.execute("postgres", f"ALTER DATABASE {each} OWNER TO {name}")
    extension = "" if bare else "CREATE EXTENSION hstore"
    try:
        with server.connect(database) as connection:
            for statement in (f"SET ROLE {name}", "CREATE TABLE t AS SELECT 1 AS a", extension):
                if statement:
                    connection.execute(statement)
        record = holdfast.backup(server.url(database, name), store=store, proof=True)
        drilled = holdfast.drill(record.id, store=store, into=server.url("", name))
        assert (drilled.state, drilled.problems) == ("proven", ())
        result = holdfast.restore(record.id, server.url(target, name), store=store)
        assert result.warnings == ()
        assert server.value(target, "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 't'") == name
    finally:
        for each in (database, target):
            server.execute(each, f"REASSIGN OWNED BY {name} TO postgres")
        server.execute("postgres", f"DROP ROLE {name}")


def test_what_a_lesser_role_lacks_is_told_for_what_it_is(server: PostgresServer, database: str, store: str) -> None:
    """pg_read_all_data helps neither with large objects nor to make the database of a drill."""
    role = f"lesser_{database}"
    url = server.url(database, user=role)
    server.execute(
        database,
        f"CREATE ROLE {role} LOGIN IN ROLE pg_read_all_data",
        "CREATE TABLE t AS SELECT lo_from_bytea(0, 'abc') AS content",
    )
    try:
        with pytest.raises(CredentialsError, match="large object") as caught:
            holdfast.backup(url, store=store)
        assert "lo_compat_privileges" in str(caught.value.hint)
        server.execute(database, f"ALTER ROLE {role} SET lo_compat_privileges = on")
        record = holdfast.backup(url, store=store)
        with pytest.raises(CredentialsError, match="cannot make database") as caught:
            holdfast.drill(record.id, store=store, into=url)
        assert "CREATEDB" in str(caught.value.hint)
    finally:
        server.execute(database, f"DROP ROLE {role}")


def test_a_right_that_is_missing_is_the_one_that_the_hint_names(
    server: PostgresServer, database: str, target: str, gone: str, store: str
) -> None:
    """To make a database, or to connect to one, takes another right than to read what is in it."""
    record, options = holdfast.backup(server.url(database), store=store), {"no_owner": "true", "create": "true"}
    server.execute(target, f"ALTER ROLE {gone} LOGIN", f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")
    for call in (
        lambda: holdfast.restore(record.id, server.url(f"{target}_new", gone), store=store, options=options),
        lambda: holdfast.drill(record.id, store=store, into=server.url("", gone)),
    ):
        with pytest.raises(CredentialsError, match="permission denied to create database") as caught:
            call()
        assert "CREATEDB" in str(caught.value.hint)
    with pytest.raises(CredentialsError, match="permission denied for database") as caught:
        holdfast.backup(server.url(database, gone), store=store)
    assert "CONNECT" in str(caught.value.hint)
    server.execute("postgres", f"ALTER ROLE {gone} CREATEDB")
    with pytest.raises(CredentialsError, match="belongs to postgres") as caught:
        holdfast.restore(record.id, server.url(target, gone), store=store, replace=True, dry_run=True, options=options)
    assert "restore as that role" in str(caught.value.hint)
