"""What the snapshot of a dump held, as a drill compares it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.field_docs import explain_fields


@explain_fields
@dataclass(frozen=True, kw_only=True)
class ObjectProof:
    """What was recorded of one object; `kind` and `name` together are unique in a proof.

    An object of kind `stream` with an empty digest stands for the plain SHA-256 of the stream of that name: the core,
    which computes it anyway, fills it in.
    """

    #: What it is, such as `table`.
    kind: str
    #: Which it is, such as `public.orders`.
    name: str
    #: The number of its rows, or None where that says nothing.
    rows: int | None = None
    #: A digest of its content in lowercase hexadecimal.
    digest: str = ""


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the dump's own snapshot held."""

    #: The name of the way in which it was computed, so that this can be repeated.
    method: str
    #: What was recorded of each object.
    objects: tuple[ObjectProof, ...] = ()
    #: What repeating it takes, such as ranges of keys: plain data that JSON can hold.
    settings: Mapping[str, Any] = field(default_factory=dict)
