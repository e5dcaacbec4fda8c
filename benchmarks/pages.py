"""A source of realistic SQLite pages: narrow rows, documents, blobs, an index over some of it."""

import os
import random
import sqlite3
import zlib
from pathlib import Path


def make(path: Path, megabytes: int, *, wal: bool = False) -> None:
    """Make an SQLite database of about this size, always with the same content."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5000)]
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        """
        PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;
        CREATE TABLE event(id INTEGER PRIMARY KEY, at INTEGER, kind TEXT, amount REAL);
        CREATE TABLE document(id INTEGER PRIMARY KEY, title TEXT, body TEXT, attachment BLOB);
        CREATE INDEX event_at ON event(at);
        """
    )
    while os.path.getsize(path) < megabytes * 1_000_000:
        connection.execute("BEGIN")
        events = [(rng.randrange(10**9), rng.choice(words), rng.random() * 1000) for _ in range(20_000)]
        connection.executemany("INSERT INTO event(at, kind, amount) VALUES (?, ?, ?)", events)
        for number in range(2_000):
            body = " ".join(rng.choices(words, k=200))
            attachment = rng.randbytes(600) if number % 2 else zlib.compress(body.encode())
            row = (body[:40], body, attachment)
            connection.execute("INSERT INTO document(title, body, attachment) VALUES (?, ?, ?)", row)
        connection.execute("COMMIT")
    if wal:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
