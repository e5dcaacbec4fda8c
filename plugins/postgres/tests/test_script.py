"""Scripts run by psql without its own commands."""

import pytest

from holdfast.api import PluginError
from holdfast_postgres.client.programs import Programs
from holdfast_postgres.formats import script

HEAD = (
    b"--\n-- PostgreSQL database dump\n--\n\n\\restrict Tok3n\n\n-- Dumped\n\nSET x = 1;\n"
    b"SET transaction_timeout = 0;\n"
)


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_a_script_runs_inside_our_own_restrict_alone(size: int) -> None:
    r"""pg_dump's pair is taken away; a \restrict that is data stays what it is."""
    body = b"COPY t FROM stdin;\n\\restrict abc\n\\.\n" + b"x" * 100_000 + b"\n\\unrestrict other\n"
    text = HEAD + body + b"\\unrestrict Tok3n\n\n"
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    out = b"".join(script.restricted(chunks, major=17, end="End"))
    word = out.split(b"\n", 1)[0].removeprefix(b"\\restrict ")
    assert len(word) == 32
    assert out.endswith(b"\n\\unrestrict " + word + b"\n\\warn End\n")
    assert b"Tok3n" not in out
    assert body in out
    assert b"transaction_timeout" in out
    assert b"transaction_timeout" not in b"".join(script.restricted(chunks, major=16, end="End"))


def test_a_restrict_behind_a_statement_is_left_for_psql_to_refuse() -> None:
    text = b"SELECT 1;\n\\restrict evil\n\\! touch /x\n\\unrestrict evil\n"
    assert text in b"".join(script.restricted([text], major=17, end="End"))


@pytest.mark.parametrize(
    ("major", "minor", "fits"),
    [(15, 14, True), (15, 13, False), (16, 9, False), (16, 10, True), (17, 6, True), (18, 0, True), (12, 22, False)],
)
def test_a_psql_that_cannot_be_restricted_is_refused(major: int, minor: int, fits: bool) -> None:
    programs = Programs(folder="/x", version=f"{major}.{minor}", major=major, minor=minor)
    if fits:
        script.check_psql(programs)
    else:
        with pytest.raises(PluginError, match="CVE-2025-8714"):
            script.check_psql(programs)
