"""Names and texts in SQL."""

from holdfast_postgres.catalog import SequenceState
from holdfast_postgres.session import literal, quoted


def test_names_and_texts_are_quoted_for_any_session() -> None:
    assert quoted('a"b', "c.d") == '"a""b"."c.d"'
    assert literal("it's") == "'it''s'"
    assert literal("a\\'b") == "E'a\\\\''b'"
    sequence = SequenceState(oid=1, schema="a\\", name="b'", last_value=-3, is_called=False)
    assert sequence.statement == "SELECT pg_catalog.setval(E'\"a\\\\\".\"b''\"', -3, false);\n"
