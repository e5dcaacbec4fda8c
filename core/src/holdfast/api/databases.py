"""Several databases: listed, and held at one moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from holdfast.field_docs import explain_fields


class Databases(tuple[str, ...]):
    """URLs of databases, as a listing returns them that knows more of them than a list of texts can say."""

    #: A name for each, which `--select` and `--exclude` are compared with; empty means the paths of the URLs.
    names: tuple[str, ...]
    #: What the user has to know, one line each: what was left out, and why.
    warnings: tuple[str, ...]
    #: What else was found, one line each.
    notes: tuple[str, ...]

    def __new__(
        cls, urls: Iterable[str], *, names: Iterable[str] = (), warnings: Iterable[str] = (), notes: Iterable[str] = ()
    ) -> Self:
        """Make one of all at once."""
        self = super().__new__(cls, tuple(urls))
        self.names, self.warnings, self.notes = tuple(names), tuple(warnings), tuple(notes)
        if self.names and len(self.names) != len(self):
            raise ValueError(f"{len(self.names)} names for {len(self)} databases")
        return self


@explain_fields
@dataclass(frozen=True, kw_only=True)
class MomentRequest:
    """Which databases to hold at one moment, and how."""

    #: What the moment is called in the manifests of the backups that show it: the tag that they have in common.
    name: str
    #: The URLs of the databases in full, with their secrets.
    urls: tuple[str, ...] = field(repr=False)
    #: A private empty folder, which the core removes once the moment is over.
    scratch: Path
    #: An instance of the component's `options` class, or None where it has none.
    options: Any = None


class Moment(Protocol):
    """One moment of several databases, held while each is dumped; leaving its context frees all of them.

    It is handed to each dump as `DumpRequest.moment`, one after another; what more the engine needs of it is its own
    affair. A dump of a database that it does not cover goes its ordinary way and says so in its facts. An error from
    leaving the context ends the run, whose backups are made by then: whatever is no worse than that is for the log.
    """

    @property
    def missing(self) -> Mapping[str, str]:
        """By URL of the request, why the dump of that database will not show this moment."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What else the user has to know, one line each."""
        ...
