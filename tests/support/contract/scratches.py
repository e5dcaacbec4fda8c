# mypy: ignore-errors
"""Engines whose scratch databases break one sentence each."""

from contextlib import contextmanager

from holdfast.api import ObjectProof, Proof
from support.contract import add_suites, breaks
from support.contract.sound_engine import Dump, Scratch, Shelf, digests, name_of, suite_of, with_part


@breaks("scratch 1")
class IntoTheSource(Shelf):
    """The scratch database is the source."""

    def scratch_name(self, request):
        self.server.databases["source"] = {}
        return "source"


@breaks("scratch 1")
class NotEmpty(Shelf):
    """There is something in it already."""

    @contextmanager
    def scratch(self, request):
        with super().scratch(request) as scratch:
            self.server.databases[name_of(scratch.url)] = {"welcome": b"hello"}
            yield scratch


@breaks("scratch 2")
class OneForAll(Shelf):
    """All drills have one database."""

    def scratch_name(self, request):
        return "holdfast_drill"


@breaks("scratch 2")
class OneForEachBackup(Shelf):
    """All drills of a backup have one database."""

    def scratch_name(self, request):
        return f"holdfast_drill_{request.id}"


@breaks("scratch 3")
class NotDropped(Shelf):
    """It is not dropped."""

    @contextmanager
    def scratch(self, request):
        yield self.make_scratch(self, f"shelf://host/{self.scratch_name(request)}")


@breaks("scratch 3")
class DroppedWhenWell(Shelf):
    """It is dropped only after a drill that could be carried out."""

    @contextmanager
    def scratch(self, request):
        name = self.scratch_name(request)
        yield self.make_scratch(self, f"shelf://host/{name}")
        self.server.databases.pop(name, None)


@breaks("scratch 3")
class DroppedAfterExceptions(Shelf):
    """It is not dropped when the program is ended."""

    @contextmanager
    def scratch(self, request):
        name = self.scratch_name(request)
        try:
            yield self.make_scratch(self, f"shelf://host/{name}")
        except Exception:
            self.server.databases.pop(name, None)
            raise
        else:
            self.server.databases.pop(name, None)


@breaks("scratch 4")
@with_part("scratch")
class CheckIsNone(Scratch):
    """A check that finds nothing returns nothing."""

    def check(self):
        return None


@breaks("scratch 4")
@with_part("scratch")
class CheckIsText(Scratch):
    """A check returns a text."""

    def check(self):
        return ""


@breaks("scratch 4")
@with_part("scratch")
class FaultsAreText(Scratch):
    """What was wrong in the source is a text."""

    faults = "nothing"


@breaks("scratch 4")
@with_part("scratch")
class VersionIsNumber(Scratch):
    """The version is no text."""

    server_version = None


@breaks("scratch 5")
@with_part("scratch")
class FalseAlarm(Scratch):
    """Its check finds fault with what is sound."""

    def check(self):
        return ["the database has never been vacuumed"]


@breaks("scratch 5")
@with_part("scratch")
class AnotherMethod(Scratch):
    """The proof is computed in another way."""

    def proof(self, recorded):
        return Proof(method="crc32", objects=super().proof(recorded).objects)


@breaks("scratch 5")
@with_part("scratch")
class MoreThanRecorded(Scratch):
    """The proof has objects of the scratch database itself."""

    def proof(self, recorded):
        marker = ObjectProof(kind="part", name="holdfast_marker", digest="00")
        return Proof(method=recorded.method, objects=(*super().proof(recorded).objects, marker))


@breaks("scratch 5")
@with_part("scratch")
class NamesChanged(Scratch):
    """Objects have the name of their database before them."""

    def proof(self, recorded):
        return digests({f"{name_of(self.url)}.{name}": data for name, data in self.content().items()})


@breaks("scratch 6")
@with_part("scratch")
class Echo(Scratch):
    """The proof is what was recorded."""

    def proof(self, recorded):
        return recorded


@breaks("scratch 6")
@with_part("scratch")
class CountsOnly(Scratch):
    """Only the number of objects is compared."""

    def proof(self, recorded):
        return recorded if len(recorded.objects) == len(self.content()) else super().proof(recorded)


@breaks("scratch 6")
@with_part("scratch")
class SizesOnly(Scratch):
    """Only sizes are compared."""

    def proof(self, recorded):
        sizes = {name: len(data) for name, data in self.engine.server.content("source").items()}
        same = sizes == {name: len(data) for name, data in self.content().items()}
        return recorded if same else super().proof(recorded)


@breaks("scratch 7")
@with_part("dump")
class ProofOfAll(Dump):
    """All of the source is recorded, whatever was selected."""

    def proof(self):
        return super().proof() and digests(self.engine.server.content(name_of(self.request.url)))


add_suites(globals(), suite_of)
