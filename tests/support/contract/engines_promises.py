# mypy: ignore-errors
"""Engines that break a sentence on moments, missing sources, options or proofs each."""

from dataclasses import replace

from holdfast.api import Change, ObjectProof, Preview, Proof, UnsafeError
from holdfast.errors import IntegrityError
from support.contract import add_suites, breaks
from support.contract.sound_engine import Dump, Restore, Server, Shelf, digests, name_of, suite_of, with_part

counter = iter(range(1_000_000))


@breaks("engine 10")
@with_part("dump")
class ReadsLive(Dump):
    """Reading shows what is there now."""

    def data(self, name):
        return self.engine.server.content(name_of(self.request.url))[name]


@breaks("engine 10")
class OpensLate(Shelf):
    """The snapshot is taken at the first read."""

    class make_dump(Dump):  # noqa: N801
        def data(self, name):
            if not self.__dict__.get("taken"):
                live = self.engine.server.content(name_of(self.request.url))
                self.held = {known: live[known] for known in self.held}
                self.taken = True
            return self.held[name]


@breaks("engine 11")
class MakesSource(Shelf):
    """A database that is not there is made."""

    def dump(self, request):
        self.server.databases.setdefault(name_of(request.url), {"empty": b""})
        return super().dump(request)


@breaks("engine 11")
class MissingIsEmpty(Shelf):
    """A database that is not there holds nothing."""

    def dump(self, request):
        server = Server()
        server.databases = {name_of(request.url): {"empty": b""}, **self.server.databases}
        return Shelf.dump(Shelf(server), request)


@breaks("engine 11")
class MissingIsForeign(Shelf):
    """A database that is not there is an error of the library."""

    def dump(self, request):
        self.server.databases[name_of(request.url)]
        return super().dump(request)


@breaks("engine 28")
class TakesForeign(Shelf):
    """What is no database is one that holds nothing."""

    def dump(self, request):
        server = Server()
        held = {name: content if isinstance(content, dict) else {} for name, content in self.server.databases.items()}
        server.databases = {name: content or {"empty": b""} for name, content in held.items()}
        return Shelf.dump(Shelf(server), request)


@breaks("engine 28")
class ForeignIsForeign(Shelf):
    """What is no database is an error of the library."""

    def dump(self, request):
        self.server.databases[name_of(request.url)].keys()
        return super().dump(request)


@breaks("engine 28")
class TakesOver(Shelf):
    """What is no database becomes one, and is refused afterwards."""

    def dump(self, request):
        held = self.server.databases.get(name_of(request.url))
        if isinstance(held, str):
            self.server.databases[name_of(request.url)] = {}
            raise IntegrityError("it was no database")
        return super().dump(request)


@breaks("engine 28")
class LeavesTrace(Shelf):
    """A file is left beside what is no database."""

    def dump(self, request):
        if isinstance(self.server.databases.get(name_of(request.url)), str):
            self.server.databases["foreign-journal"] = {}
        return super().dump(request)


@breaks("engine 12")
class TakesAnyOption(Shelf):
    """Options that it does not know are without effect."""

    def options(self, values):
        return None


@breaks("engine 13")
class CheckFails(Shelf):
    """Its own check takes a sound source for damaged."""

    def dump(self, request):
        if request.check:
            raise IntegrityError("the source is damaged")
        return super().dump(request)


@breaks("engine 13")
class ProofFails(Shelf):
    """A proof that is asked for is an error, though it says that it can."""

    def dump(self, request):
        if request.proof:
            raise NotImplementedError
        return super().dump(request)


@breaks("engine 14")
@with_part("dump")
class FactsNeedProof(Dump):
    """Without a proof it has no facts."""

    asked = False

    def proof(self):
        self.asked = True
        return super().proof()

    def facts(self):
        if not self.asked:
            raise RuntimeError("there is no proof")
        return super().facts()


@breaks("engine 14")
@with_part("dump")
class ProofForgotten(Dump):
    """No proof is recorded though it was asked for."""

    def proof(self):
        return None


@breaks("engine 15")
@with_part("dump")
class ProofOfChance(Dump):
    """The digests are others each time."""

    def proof(self):
        salt = str(next(counter)).encode()
        return super().proof() and digests({name: data + salt for name, data in self.held.items()})


@breaks("engine 15")
@with_part("dump")
class ProofOfNothing(Dump):
    """There is nothing in it."""

    def proof(self):
        return super().proof() and Proof(method="sha256")


@breaks("engine 15")
@with_part("dump")
class ProofTwice(Dump):
    """Each object occurs twice."""

    def proof(self):
        proof = super().proof()
        return proof and Proof(method="sha256", objects=proof.objects * 2)


@breaks("engine 15")
@with_part("dump")
class ProofOfNames(Dump):
    """Objects have names and no digests."""

    def proof(self):
        return super().proof() and Proof(
            method="names", objects=tuple(ObjectProof(kind="part", name=name) for name in self.held)
        )


@breaks("engine 27")
@with_part("restore")
class AlwaysAdded(Restore):
    """What is there is called added."""

    def preview(self, blobs):
        return Preview(changes=tuple(Change(action="added", kind="part", name=name) for name in self.names))


@breaks("engine 27")
@with_part("restore")
class OnlyAdded(Restore):
    """What is replaced is not named."""

    def preview(self, blobs):
        preview = super().preview(blobs)
        return Preview(changes=tuple(change for change in preview.changes if change.action == "added"))


@breaks("engine 27")
@with_part("restore")
class PreviewedTwice(Restore):
    """Each object is named twice."""

    def preview(self, blobs):
        return Preview(changes=super().preview(blobs).changes * 2)


@breaks("engine 30")
@with_part("restore")
class LeavesLog(Restore):
    """The log of what was replaced is applied to what is restored."""

    def commit(self):
        log = self.databases.get(f"{self.name}-log")
        super().commit()
        if log:
            self.databases[f"{self.name}-log"] = log


@breaks("engine 30")
@with_part("restore")
class AppliesLog(Restore):
    """What the log holds is taken over."""

    def commit(self):
        log = self.databases.get(f"{self.name}-log", {})
        super().commit()
        self.databases[self.name].update(log)


@breaks("engine 32")
@with_part("restore")
class CommitsNothing(Restore):
    """A commit makes nothing visible."""

    def commit(self):
        pass


@breaks("engine 32")
@with_part("restore")
class RefusesAtCommit(Restore):
    """A target with data is refused once all is loaded."""

    def __init__(self, engine, request):
        super().__init__(engine, replace(request, replace=True))
        self.asked = request.replace

    def commit(self):
        if self.databases.get(self.name) and not self.asked:
            raise UnsafeError(f"{self.name} holds data")
        super().commit()


@breaks("engine 32")
@with_part("restore")
class RefusesNoDryRun(Restore):
    """A dry run of a restore into a target with data is not refused."""

    def __init__(self, engine, request):
        super().__init__(engine, replace(request, replace=request.replace or request.dry_run))


add_suites(globals(), suite_of)
