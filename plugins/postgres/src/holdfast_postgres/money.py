"""The type money, whose text depends on the locale of a session: `lc_monetary`.

pg_dump writes amounts as the database has it, and a server with another locale refuses them or, where only the point
stands for something else, takes others. So all sessions of a backup and of its restore have one and the same. Manual:
chapter "Monetary Types".
"""

from psycopg import Connection
from psycopg.rows import TupleRow

LOCALE = "C"  # which every server has

# What users made of it; the functions of extensions come with them.
_USED = """
WITH money AS (SELECT unnest(ARRAY['money'::regtype, 'money[]'::regtype])::oid AS oid)
SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN money m ON m.oid = a.atttypid
        WHERE a.attrelid >= 16384 AND NOT a.attisdropped)
    OR EXISTS (SELECT FROM pg_catalog.pg_type t JOIN money m ON m.oid = t.typbasetype)
    OR EXISTS (SELECT FROM pg_catalog.pg_range r JOIN money m ON m.oid = r.rngsubtype)
    OR EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN money m ON m.oid = p.prorettype OR m.oid = ANY (p.proargtypes)
        WHERE p.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
            WHERE e.classid = 'pg_catalog.pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'))
"""
# A different point, sign or number of digits shows in it.
_SAMPLE = "SELECT (-1234567.89)::numeric::money::text"


def money_locale(connection: "Connection[TupleRow]", *, fixed: bool) -> str:
    """The locale in which a backup writes amounts, empty where the database has none.

    `fixed` says that sessions of client programs keep what the server gives them, as behind a pooler.
    """
    row = connection.execute(f"SELECT pg_catalog.current_setting('lc_monetary') WHERE ({_USED})").fetchone()
    if row is None:
        return ""
    return str(row[0]) if fixed else LOCALE


def writes_alike(connection: "Connection[TupleRow]", locale: str) -> bool:
    """Whether a session, outside of any transaction, writes amounts as in that locale."""
    own = connection.execute(_SAMPLE).fetchone()
    with connection.transaction(force_rollback=True):
        connection.execute("SELECT pg_catalog.set_config('lc_monetary', %s, true)", (locale,))
        return connection.execute(_SAMPLE).fetchone() == own
