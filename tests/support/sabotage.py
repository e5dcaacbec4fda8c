"""A database and a store in memory, with a codec, a checksum, a storage and an engine of which any can be disturbed."""

from holdfast.plugins.builtin import NoCodec
from holdfast.plugins.loading import Loader, Plugin
from holdfast.plugins.registry import Registry
from holdfast.plugins.wrapping import Callers
from holdfast.testing import MemoryEngine, MemoryStorage
from support.saboteur import CAPABILITIES, KINDS, NAMES, Sabotage, Saboteur

URL = "shelf://host/app"
TARGET = "shelf://host/copy"
STORE = "kept://here"


class World:
    """A database and a store, and registries of plugins that serve them, of which those of a kind are disturbed."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()
        self.engine = MemoryEngine(
            name="shelf", streams={"books": [b"x" * 1_200_000], "empty": []}, capabilities=CAPABILITIES
        )

    def registry(self, sabotage: Sabotage | None = None, *, kind: str = "") -> Registry:
        """One plugin of each kind, of which that of `kind` is disturbed; each of a distribution `KIND-dist 1.0`."""
        inner = {"engine": self.engine, "codec": NoCodec(), "checksum": None, "storage": self.storage}
        registry = Registry(discover=False, environ={})
        loader = Loader({})
        for each in KINDS:
            plugin = Plugin(name=NAMES[each], distribution=f"{each}-dist", version="1.0", status="active")
            own = sabotage if sabotage and each == kind else Sabotage()
            loader.add(plugin, Saboteur(each, inner[each], own))
        registry.plugins, registry._manager = loader.plugins, loader.manager
        registry._callers = Callers(loader.manager)
        return registry
