"""A service of objects as a storage, by obstore: what stores in Google Cloud Storage and in Azure have in common."""

from dataclasses import dataclass, field
from typing import Literal

from holdfast_obstore.place import Place, open_place

__all__ = ["ObstoreOptions", "Place", "open_place"]


@dataclass(frozen=True, kw_only=True)
class ObstoreOptions:
    """What may be told of a store by `--store-option`."""

    create: Literal["prefer", "require"] = field(
        default="prefer",
        metadata={
            "help": "require: an object of more than a part goes to a temporary name, from which the service copies "
            "it to its own only if that is free, which needs the right to delete; prefer: whether it is free is looked "
            "before"
        },
    )
