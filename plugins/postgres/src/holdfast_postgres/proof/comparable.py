"""The definitions of a restored database, so that they can be compared with recorded ones.

A text that the server printed of a parse tree stands for itself only after another parse (`printed`). Where a restored
object prints another text than was recorded, the recorded one is parsed here once more: if that prints what the object
prints, it was restored faithfully, and its recorded text is digested in the place of its own. The digest still has to
be the recorded one, so that neither a forged text nor anything else of the definition goes unseen.
"""

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import ObjectProof, quote_name
from holdfast_postgres.errors import some_names
from holdfast_postgres.proof.definitions import (
    group_name,
    portable_digest,
    prove_definitions,
    read_definitions,
)
from holdfast_postgres.proof.population import with_refused
from holdfast_postgres.proof.printed import Definition, Printed, Texts, parse_marks, unpack_texts
from holdfast_postgres.proof.reparse import CannotTellError, Reparse, reparsing
from holdfast_postgres.special_extensions import misplaced

log = logging.getLogger("holdfast.postgres.proof")

_PUBLIC = ("definition of schema", "public")
# What prints otherwise once it was parsed again, in texts of which an old proof has no more than a digest.
_CHANGES = re.compile(r"ARRAY\[|\) (?:AND|OR) \(|::|UNION|INTERSECT|EXCEPT|JOIN|CASE|ROW\(")

Name = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Comparable:
    """What was recorded: the objects, the packed texts (None in a proof of Holdfast 0.1), and in which form.

    `public` tells whether the source had the schema of that name; `placed` are the extensions, with their schemas, that
    one database of a server alone may have.
    """

    recorded: Sequence[ObjectProof]
    texts: str | None
    grouped: bool
    public: bool
    same_major: bool
    placed: Mapping[str, str]

    @property
    def digests(self) -> dict[Name, str]:
        """The recorded digests."""
        return {(proof.kind, proof.name): proof.digest for proof in self.recorded}

    @property
    def counts_public(self) -> bool:
        """Whether the schema `public` is compared: the template of a database brings it, and no restore drops it."""
        return self.public and (self.grouped or _PUBLIC in self.digests)


def comparable_definitions(
    connection: "Connection[TupleRow]", major: int, source: Comparable
) -> tuple[list[ObjectProof], list[str]]:
    """The objects to compare with those recorded, and warnings of what cannot be compared."""
    digests = source.digests
    definitions = _with_placed(connection, read_definitions(connection, major, old=source.texts is None), source.placed)
    if not source.counts_public:
        definitions = without_public(definitions)
    definitions = with_refused(connection, definitions, digests, grouped=source.grouped)
    if not source.same_major:
        return [_portable(proof, digests) for proof in prove_definitions(definitions, grouped=source.grouped)], []
    if source.texts is None:
        unknown = {group_name(entry, grouped=source.grouped) for entry in definitions if _may_change(entry)}
        reason = "the proof is that of an older Holdfast, which kept no texts: a new backup can be compared"
    else:
        definitions, entries = _with_recorded_texts(connection, definitions, unpack_texts(source.texts))
        unknown = {group_name(entry, grouped=source.grouped) for entry in entries}
        reason = "the role of the drill may not make such objects: a superuser can compare them"
    objects = prove_definitions(definitions, grouped=source.grouped)
    return _without_unknown(objects, digests, unknown, reason)


def _with_placed(
    connection: "Connection[TupleRow]", definitions: list[Definition], placed: Mapping[str, str]
) -> list[Definition]:
    """The definitions with those of extensions that this database cannot have, which a restore leaves out."""
    there = {entry.name for entry in definitions if entry.kind == "extension"}
    names = misplaced(connection, sorted(placed.keys() - there), connection.info.dbname)
    left = [
        Definition(kind="extension", schema="", name=name, portable=placed[name], full=parse_marks(""))
        for name in names
    ]
    return sorted([*definitions, *left], key=lambda entry: entry.key)


def without_public(definitions: Sequence[Definition]) -> list[Definition]:
    """The definitions but for that of the schema `public`."""
    return [entry for entry in definitions if group_name(entry, grouped=False) != _PUBLIC]


def has_public(definitions: Sequence[Definition]) -> bool:
    """Whether the schema `public` is among them."""
    return any(group_name(entry, grouped=False) == _PUBLIC for entry in definitions)


def _with_recorded_texts(
    connection: "Connection[TupleRow]", definitions: Sequence[Definition], recorded: Texts
) -> tuple[list[Definition], list[Definition]]:
    """The definitions with the recorded texts that they were made of, and those of which that cannot be told."""
    result: list[Definition] = []
    unknown: list[Definition] = []
    with reparsing(connection) as reparse:
        for definition in definitions:
            texts = recorded.get(definition.key, [])
            printed = definition.printed
            if len(texts) == len(printed) and texts != [place.text for place in printed]:
                try:
                    pairs = zip(printed, texts, strict=True)
                    definition = definition.with_texts(_original(reparse, place, text) for place, text in pairs)  # noqa: PLW2901
                except CannotTellError as error:
                    log.info("cannot compare %s: %s", ".".join(definition.key), error)
                    unknown.append(definition)
            result.append(definition)
    return result, unknown


def _original(reparse: Reparse, place: Printed, text: str) -> str:
    """The recorded text where the restored one comes from it, else the restored one."""
    return text if text == place.text or reparse(place, text) == place.text else place.text


def _may_change(definition: Definition) -> bool:
    """Whether a faithful restore may digest otherwise than an older Holdfast recorded."""
    return definition.several_options or any(
        place.what == "domain" or _CHANGES.search(place.text) for place in definition.printed
    )


def _without_unknown(
    objects: Sequence[ObjectProof], digests: Mapping[Name, str], unknown: Collection[Name], reason: str
) -> tuple[list[ObjectProof], list[str]]:
    """The objects, with the portable half alone of those that cannot be compared wholly, and a warning of these."""
    result: list[ObjectProof] = []
    names: list[str] = []
    for proof in objects:
        if (proof.kind, proof.name) in unknown:
            known = _portable(proof, digests)
            if known != proof:
                names.append(f"{proof.kind} {quote_name(proof.name)}")
            result.append(known)
        else:
            result.append(proof)
    warnings = [f"not compared to the letter: {some_names(names)}; {reason}"] if names else []
    return result, warnings


def _portable(proof: ObjectProof, digests: Mapping[Name, str]) -> ObjectProof:
    """The object with its full half as recorded, so that only what every version says alike is compared."""
    recorded = digests.get((proof.kind, proof.name))
    return proof if recorded is None else replace(proof, digest=portable_digest(proof.digest, recorded))
