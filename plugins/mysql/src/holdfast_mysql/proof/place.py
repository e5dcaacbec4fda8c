"""What a drill on another server than the source's can tell: rows and which objects there are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from holdfast.api import ObjectProof, quote_name
from holdfast_mysql.catalog.tables import Table
from holdfast_mysql.rows.key_ranges import ordered_by_key
from holdfast_mysql.session import Server, Session

_FOLDED = frozenset({"rows", "table", "view", "sequence", "sequence state"})
_SHOWN = 10


class Place:
    """The server of a drill, compared with the one that a proof was taken on."""

    def __init__(self, session: Session, source: str, *, source_folds: bool) -> None:
        self._source_folds = source_folds
        self._server = session.server
        self._source = Server.of(source)
        self._folds = session.folds
        self._same = not source or self._server.series == self._source.series

    def settings(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of a proof with names of tables as this server has them."""
        if not self._folds:
            return dict(recorded)
        folded = {key: _lower(value) for key, value in recorded.items() if key != "ranges"}
        return {**folded, "ranges": {name.lower(): bounds for name, bounds in recorded.get("ranges", {}).items()}}

    def named(self, repeated: Sequence[ObjectProof], recorded: Sequence[ObjectProof]) -> list[ObjectProof]:
        """Proofs under the names that were recorded: a server that folds them has written them in lower case."""
        if not self._folds:
            return list(repeated)
        names = {(proof.kind, proof.name.lower()): proof.name for proof in recorded if proof.kind in _FOLDED}
        return [replace(proof, name=names.get((proof.kind, proof.name), proof.name)) for proof in repeated]

    def incomparable(
        self, recorded: Sequence[ObjectProof], repeated: Collection[ObjectProof], tables: Sequence[Table]
    ) -> list[ObjectProof]:
        """The recorded proofs that differ here and cannot be expected to agree; what is missing is none of them."""
        there = {(proof.kind, proof.name): proof for proof in repeated}
        differing = [proof for proof in recorded if there.get((proof.kind, proof.name), proof) != proof]
        mixed = {proof.name for proof in recorded if proof.kind in _FOLDED and proof.name != proof.name.lower()}
        if self._same and self._folds == self._source_folds and not (self._folds and mixed):
            return []
        reordered = set() if self._same else {table.name.lower() for table in tables if _sorted_by_text(table)}
        return [
            proof
            for proof in differing
            if proof.kind != "rows"
            or (proof.name.lower() in reordered and proof.rows == there[proof.kind, proof.name].rows)
        ]

    def why(self, proofs: Sequence[ObjectProof]) -> str:
        """What to say of them."""
        names = [f"{proof.kind} {quote_name(proof.name)}" for proof in proofs]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        reason = (
            f"{self._server.name} writes and sorts otherwise than {self._source.name}"
            if not self._same
            else "one of the two servers has all names in lower case"
        )
        return f"not compared, because {reason}: {', '.join(names[:_SHOWN])}{more}"


def _lower(value: Any) -> Any:
    return [name.lower() for name in value] if isinstance(value, list) else value


def _sorted_by_text(table: Table) -> bool:
    """Whether rows are digested in an order that a collation makes."""
    texts = {column.name for column in table.columns if column.collation and not column.collation.endswith("_bin")}
    return ordered_by_key(table) and bool(texts & set(table.key))
