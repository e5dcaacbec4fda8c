"""What comes after the rows: it may fail without their loss, and what the server refuses makes a backup damaged."""

import pytest
from support.servers.postgres import PostgresServer
from support.sweeps import swept

import holdfast
from holdfast.api import HoldfastError, IntegrityError, UnreachableError
from holdfast_postgres.errors import content_error, is_content
from holdfast_postgres.restore.statement_objects import object_of

pytestmark = pytest.mark.usefixtures("several_sessions")


def test_statistics_that_cannot_be_made_are_a_warning(server: PostgresServer, database: str, store: str) -> None:
    """Of that table alone; a drill runs the same steps as a restore and says so too."""
    server.execute(
        database,
        "CREATE FUNCTION bad(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN 1 / (n - 5); END $$",
        "CREATE TABLE orders (id int PRIMARY KEY, n int)",
        "CREATE TABLE others AS SELECT generate_series(1, 100) AS a",
        "CREATE STATISTICS s ON (bad(n)), id FROM orders",
        "INSERT INTO orders SELECT i, i FROM generate_series(1, 100) i",
    )
    record = holdfast.backup(server.url(database), store=store, proof=True)
    with server.database() as made:
        warnings = holdfast.restore(record.id, server.url(made), store=store).warnings
        assert [text for text in warnings if "no statistics of table public.orders: division by zero" in text]
        assert server.value(made, "SELECT count(*) FROM orders") == 100
        assert server.value(made, "SELECT count(*) FROM pg_stats WHERE tablename = 'others'") == 1
    result = holdfast.drill(record.id, store=store, into=server.url(""))
    assert result.state == "proven"
    assert [text for text in result.warnings if "public.orders" in text]


def test_a_materialized_view_that_cannot_be_computed_is_a_warning(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """Its rows are computed anew, and everything else is there."""
    server.execute(
        database,
        "CREATE TABLE t AS SELECT generate_series(1, 10) AS a",
        "CREATE MATERIALIZED VIEW m AS SELECT 100 / (count(*) FILTER (WHERE a > 5)) AS n FROM t",
        "DELETE FROM t WHERE a > 5",
    )
    record = holdfast.backup(server.url(database), store=store)
    warnings = holdfast.restore(record.id, server.url(target), store=store).warnings
    assert [text for text in warnings if "division by zero" in text and "public.m" in text]
    assert server.value(target, "SELECT count(*) FROM t") == 5


@pytest.mark.parametrize("form", ["parallel", "plain"])
def test_what_could_not_be_made_late_is_named_and_no_statement_is_cut(
    server: PostgresServer, database: str, role: str, store: str, form: str
) -> None:
    """With several jobs pg_restore names no object, and prints the statement alone."""
    server.execute(
        database,
        f"ALTER DATABASE {database} OWNER TO {role}; GRANT ALL ON SCHEMA public TO {role}",
        f"SET ROLE {role}; CREATE TABLE t (a int); RESET ROLE",
        "CREATE PUBLICATION everything FOR ALL TABLES",
        f"CREATE ROLE far_{database}",
    )
    options = {"format": form, "globals": "nopasswords"}
    record = holdfast.backup(server.url(database), store=store, options=options)
    server.execute(database, f"DROP ROLE far_{database}")
    url = server.url(f"{database}_new", user=role)
    options = {"create": "true", "globals": "true"} | ({} if form == "plain" else {"no_owner": "true"})
    try:
        warnings = holdfast.restore(record.id, url, store=store, jobs=2, options=options).warnings
        assert [text for text in warnings if text.startswith("not restored: publication everything: ")], warnings
        assert [text for text in warnings if f"was not restored: role far_{database}: permission denied" in text], (
            warnings
        )
        assert not [text for text in warnings if "CREATE " in text or "ALTER " in text]
    finally:
        server.drop(f"{database}_new")
        server.execute(database, f"REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("COMMENT ON COLUMN public.t.a IS 'x';", ("comment on column", "public.t.a")),
        ("COMMENT ON FUNCTION public.f(a integer) IS NULL;", ("comment on function", "public.f(a integer)")),
        ("GRANT SELECT(a),UPDATE ON TABLE public.\"My t\" TO r;", ("rights on table", "public.\"My t\"")),
        ("ALTER FUNCTION public.f(a integer) OWNER TO bob;", ("owner of function", "public.f(a integer)")),
        ("ALTER TABLE ONLY public.c\n    ADD CONSTRAINT f FOREIGN KEY (a)", ("foreign key", "public.c.f")),
        ("ALTER STATISTICS public.s SET STATISTICS 5;", ("statistics", "public.s")),
        ("CREATE TRIGGER x BEFORE INSERT ON public.t FOR EACH ROW", ("trigger", "public.t.x")),
        ("CREATE UNIQUE INDEX i ON public.t USING btree (a);", ("index", "public.i")),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT SELECT", ("default privileges", "FOR ROLE a")),
        ("SECURITY LABEL FOR d ON TABLE public.t IS 'x';", ("security label of table", "public.t")),
        ("ALTER LARGE OBJECT 1234 OWNER TO x;", ("owner of large object", "1234")),
        ("ALTER ROLE bob WITH LOGIN PASSWORD 'secret';", ("role", "bob")),
        ("SET default_tablespace = ts;", None),
    ],
)  # fmt: skip
def test_a_statement_says_what_it_is_about(statement: str, said: tuple[str, str] | None) -> None:
    assert object_of(statement) == said


_DIVIDING = """
    CREATE MATERIALIZED VIEW m AS SELECT 100 / (count(*) FILTER (WHERE a > 5)) AS n FROM t;
    DELETE FROM t WHERE a > 5
"""
# With a schema at first, since PostgreSQL 17 finds nothing by a search_path when it makes the view.
_UNQUALIFIED = """
    CREATE FUNCTION total() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(a) FROM public.t';
    CREATE MATERIALIZED VIEW m AS SELECT total() AS n;
    CREATE OR REPLACE FUNCTION total() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(a) FROM t';
"""


@pytest.mark.parametrize("script", [_DIVIDING, _UNQUALIFIED])
def test_a_backup_with_a_materialized_view_that_cannot_be_computed_is_proven(
    server: PostgresServer, database: str, target: str, store: str, script: str
) -> None:
    """Its rows are not in the backup, so that they say nothing of it; one that was empty stays so."""
    server.execute(
        database,
        "CREATE TABLE t AS SELECT generate_series(1, 10) AS a",
        script,
        "CREATE MATERIALIZED VIEW empty AS SELECT 1 / 0 AS n WITH NO DATA",
    )
    for options in ({}, {"format": "plain"}):
        record = holdfast.backup(server.url(database), store=store, proof=True, options=options)
        result = holdfast.drill(record.id, store=store, into=server.url(""))
        assert (result.state, list(result.problems)) == ("proven", [])
    holdfast.restore(record.id, server.url(target), store=store)
    assert server.value(target, "SELECT count(*) FROM t") == server.value(database, "SELECT count(*) FROM t")


@pytest.mark.parametrize("form", swept("parallel", "plain", long=["custom"]))
def test_a_backup_whose_content_the_server_refuses_is_damaged_after_a_drill(
    server: PostgresServer, database: str, target: str, store: str, form: str
) -> None:
    """A restore of it fails with the constraint's name and leaves nothing; the drill records why."""
    server.execute(database, "CREATE TABLE p (id int PRIMARY KEY)", "CREATE TABLE c (p int REFERENCES p)")
    with server.connect(database) as connection:
        connection.execute("SET session_replication_role TO replica")
        connection.execute("INSERT INTO c VALUES (1)")
    record = holdfast.backup(server.url(database), store=store, options={"format": form})
    with pytest.raises(HoldfastError, match="c_p_fkey") as caught:
        holdfast.restore(record.id, server.url(target), store=store)
    assert caught.value.exit_code == 1
    assert not server.relations(target)
    result = holdfast.drill(record.id, store=store, into=server.url(""))
    assert result.state == "damaged"
    assert [text for text in result.problems if "c_p_fkey" in text]


def test_a_drill_on_a_server_without_the_role_of_a_user_mapping_proves_the_backup(
    server: PostgresServer, database: str, store: str
) -> None:
    role = f"far_{database}"
    server.execute("postgres", f"CREATE ROLE {role}")
    server.execute(
        database,
        "CREATE FOREIGN DATA WRAPPER w",
        "CREATE SERVER far FOREIGN DATA WRAPPER w",
        f"CREATE USER MAPPING FOR {role} SERVER far OPTIONS (\"user\" 'u', password 'p')",
    )
    record = holdfast.backup(server.url(database), store=store, proof=True)
    server.execute(database, f"DROP USER MAPPING FOR {role} SERVER far")
    server.execute("postgres", f"DROP ROLE {role}")
    result = holdfast.drill(record.id, store=store, into=server.url(""))
    assert result.state == "proven"
    assert [text for text in result.warnings if role in text]


@pytest.mark.parametrize(
    ("state", "same_major", "expected"),
    [
        ("23505", False, True), ("22P02", False, True), ("P0001", True, True), ("42883", True, True),
        ("42883", False, False), ("42704", True, False), ("42501", True, False), ("22023", True, False),
        ("55000", True, True), ("55000", False, False), ("55006", True, False), ("53100", True, False),
        ("57P01", True, False), ("08006", True, False), ("", True, False),
    ],
)  # fmt: skip
def test_only_what_is_in_a_backup_tells_of_it(state: str, same_major: bool, expected: bool) -> None:
    """No room, no right, no role, another version: none of these says that it is damaged."""
    assert is_content(state, same_major=same_major) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('column "a" of relation "t" already has a default value', IntegrityError),
        ("logical decoding requires wal_level >= logical", HoldfastError),
        ("pg_stat_statements must be loaded via shared_preload_libraries", HoldfastError),
    ],
)
def test_a_server_that_is_not_ready_says_nothing_of_a_backup(text: str, expected: type[HoldfastError]) -> None:
    assert type(content_error(HoldfastError(text), "55000", same_major=True)) is expected


def test_what_every_session_is_warned_of_is_told_once(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """Such as a default of the target's that is wrong."""
    server.execute(database, "CREATE TABLE t AS SELECT 1 AS a")
    record = holdfast.backup(server.url(database), store=store)
    server.execute("postgres", f"ALTER DATABASE {target} SET default_tablespace TO nowhere")
    warnings = holdfast.restore(record.id, server.url(target), store=store).warnings
    assert len([text for text in warnings if "nowhere" in text]) == 1


@pytest.mark.parametrize("kind", swept("parallel", "plain", long=["custom"]))
@pytest.mark.parametrize(
    ("event", "restores"),
    [("PERFORM pg_terminate_backend(pg_backend_pid())", False), ("RAISE 'disk full' USING ERRCODE = '53100'", True)],
)
def test_a_late_step_that_says_nothing_of_the_backup_is_no_damage(
    server: PostgresServer, database: str, target: str, store: str, event: str, kind: str, *, restores: bool
) -> None:
    """A session that is ended, or a full disk, as a materialized view is filled: the drill fails without a verdict."""
    server.execute(
        database,
        f"""
        CREATE FUNCTION occurs() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
            IF current_database() <> '{database}' THEN {event}; END IF; RETURN 1; END $$
        """,
        "CREATE MATERIALIZED VIEW filled AS SELECT occurs() AS a",
        "CREATE TABLE t AS SELECT 1 AS a",
    )
    record = holdfast.backup(server.url(database), store=store, proof=True, options={"format": kind})
    with pytest.raises(HoldfastError, match=r"terminating connection|disk full") as caught:
        holdfast.drill(record.id, store=store, into=server.url(""))
    assert caught.value.exit_code == (1 if restores else 15)
    assert [backup.state for backup in holdfast.list_backups(store=store)] == ["complete"]
    if restores:
        warnings = holdfast.restore(record.id, server.url(target), store=store).warnings
        assert [text for text in warnings if "filled" in text and "disk full" in text]
        assert server.value(target, "SELECT a FROM t") == 1
        return
    with pytest.raises(UnreachableError, match="terminating connection"):
        holdfast.restore(record.id, server.url(target), store=store)
    assert server.relations(target) == set()
