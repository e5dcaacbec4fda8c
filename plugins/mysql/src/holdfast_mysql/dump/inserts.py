"""Rows as INSERT statements of a script: the same text that the decoder in a backup writes."""

from collections.abc import Iterable, Iterator

from holdfast.api import Chunk
from holdfast_mysql.definitions.script import ScriptWriter, Statement
from holdfast_mysql.rows import decode_rows
from holdfast_mysql.rows.parsers import FieldParser
from holdfast_mysql.rows.wire import LABEL_KINDS, RowReader

_ROWS = 10_000  # of one statement: the server keeps 65535 warnings, and each row may have several


def inserts(chunks: Iterable[Chunk], writer: ScriptWriter) -> Iterator[bytes]:
    """Turn a stream of rows into statements of 512 KiB at most, but for a row that has more."""
    reader = RowReader(chunks)
    columns = reader.header.columns
    header: dict[str, object] = {
        "table": reader.header.table, "columns": [[column.name, column.kind] for column in columns],
        "ends": reader.header.ends,
    }  # fmt: skip
    kinds = decode_rows.kinds_of(header)
    parser = FieldParser(max(1, len(kinds)), None)
    count = parser.count
    labels = [column.name for column in columns if column.kind in LABEL_KINDS]
    for _ in reader.feed(parser):
        values = parser.take()
        batch: list[bytes] = []
        size = 0
        for start in range(0, len(values), count):
            # A table of generated columns alone has rows of one 1 and no kinds: its rows are ().
            row = b"(" + b",".join(map(decode_rows.literal, values[start : start + count], kinds)) + b")"
            if batch and (size + len(row) > decode_rows.BATCH or len(batch) == _ROWS):
                yield _statement(writer, header, batch, labels)
                batch, size = [], 0
            batch.append(row)
            size += len(row) + 2
        if batch:
            yield _statement(writer, header, batch, labels)


def _statement(writer: ScriptWriter, header: dict[str, object], batch: list[bytes], labels: list[str]) -> bytes:
    extra = {"labels": labels} if labels else {}
    body = decode_rows.insert(header, batch)
    return writer.statement(Statement(kind="rows", name=str(header["table"]), body=body, extra=extra))
