"""What is no script of SQLite's, by how it begins: taken for one by mistake, it would fail in words of SQL."""

from collections.abc import Iterable, Iterator

from holdfast.api import IntegrityError

_BEGINNING = 4096
# Whose script it is, and words of which one stands in its first 4096 characters.
_MAKERS = (
    ("MySQL or MariaDB", "mysql", ("-- MySQL dump", "-- MariaDB dump", "-- MySqlBackup", "-- phpMyAdmin SQL Dump",
        "/*!40101 SET", "/*M!999999", "/*!999999\\- enable the sandbox mode")),
    ("PostgreSQL", "postgres", ("-- PostgreSQL database dump", "-- PostgreSQL database cluster dump", "PGDMP")),
)  # fmt: skip


def refuse_other_makers(texts: Iterable[str]) -> Iterator[str]:
    """Pass texts on, unless they begin as what `mysqldump` or `pg_dump` writes."""
    beginning = ""
    pieces = iter(texts)
    while len(beginning) < _BEGINNING and (piece := next(pieces, "")):
        beginning += piece
    for name, engine, marks in _MAKERS:
        if any(mark in beginning[:_BEGINNING] for mark in marks):
            raise IntegrityError(
                f"the script is one of {name}, not of SQLite",
                hint=f"load it with that database's own client, and back that up by its {engine}:// URL",
            )
    yield beginning
    yield from pieces
