"""Words that one server reserves and another one takes for names: in quotes they are names everywhere.

Servers write names in quotes, but keep the bodies of routines, triggers and events as somebody wrote them.
"""

import re
from collections.abc import Callable, Sequence

import pymysql

from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.tokens import Token, code, replaced
from holdfast_mysql.errors import error_number
from holdfast_mysql.session import Server

_SYNTAX = 1064
_NEAR = re.compile(r"near '(.*)' at line (\d+)", re.DOTALL)
_COMPARED = 40  # characters of the rest of the statement, of which the server quotes 80 bytes
# By INFORMATION_SCHEMA.KEYWORDS of MySQL 9.7 and MariaDB 11.8, each word tried as a name on the other one and on older
# servers.
_OF_MYSQL = frozenset(
    """
    cube cume_dist database dense_rank empty external first_value function generated get grouping groups io_after_gtids
    io_before_gtids json_table lag last_value lateral lead library manual nth_value ntile of optimizer_costs option
    parallel percent_rank qualify rank row row_number schema stored system tablesample virtual window
    """.split()  # noqa: SIM905
)
_OF_MARIADB = frozenset(
    """
    current_role delete_domain_id do_domain_ids except ignore_domain_ids intersect master_demote_to_replica
    master_demote_to_slave master_ssl_verify_server_cert offset over page_checksum parse_vcol_expr portion recursive
    ref_system_id returning rows sql_after_gtids sql_before_gtids stats_auto_recalc stats_persistent stats_sample_pages
    vector window
    """.split()  # noqa: SIM905
)


def run_quoting(run: Callable[[bytes | str], int], statement: Statement, server: Server) -> int:
    """Run a definition, with quotes around each such word over which the server stumbles; returns its warnings."""
    body, first = statement.body, None
    while True:
        try:
            return run(body)
        except pymysql.MySQLError as error:
            first = first or error
            tokens = code(body, statement.sql_mode, charset=statement.character_set_client)
            quoted = _quoted(body, tokens, error, _OF_MARIADB if server.mariadb else _OF_MYSQL)
            if quoted is None:
                raise first from None
            body = quoted


def _quoted(body: bytes, tokens: Sequence[Token], error: pymysql.MySQLError, words: frozenset[str]) -> bytes | None:
    """The definition with quotes around the word that is no syntax; None where it is none of those."""
    match = _NEAR.search(str(error.args[-1])) if error_number(error) == _SYNTAX else None
    if match is None:
        return None
    rest, line = match[1][:_COMPARED].partition("\ufffd")[0].encode(errors="surrogateescape"), int(match[2])
    starts = [index for index, token in enumerate(tokens)
              if body.startswith(rest, token.start) and body.count(b"\n", 0, token.start) + 1 == line]  # fmt: skip
    # Where a function of that name could stand, the server stumbles over what comes instead of its parenthesis.
    for start in starts if rest else [len(tokens)]:
        for token in reversed(tokens[max(0, start - 1) : start + 1]):
            if token.kind == "word" and token.text.lower().decode(errors="replace") in words:
                return replaced(body, [(token.start, token.end, b"`" + token.text + b"`")])
    return None
