"""The contract of the proofs that an engine records, as tests: `EngineSuite` has them."""

import re
from pathlib import Path

from holdfast.api import Capability, Proof
from holdfast.testing.contract import states
from holdfast.testing.engine_parts import EngineParts


class ProofTests(EngineParts):
    """What a proof promises of an engine with PROOF."""

    @states("engine 14")
    def test_a_proof_is_recorded_when_it_is_asked_for(self, source: str, store: str, tmp_path: Path) -> None:
        """And where it is not wanted a dump does without: it is not asked for then, and takes time."""
        if self.can(source, Capability.PROOF):
            assert self._proof(source, tmp_path, wanted=True) is not None
            assert self.backup(source, store, proof=False).state == "complete"

    @states("engine 15")
    def test_a_proof_is_the_same_as_long_as_the_content_is(self, source: str, tmp_path: Path) -> None:
        """It tells of each object once, and there is something to compare."""
        if not self.can(source, Capability.PROOF):
            return
        first, again = (self._proof(source, tmp_path, wanted=True) for _ in range(2))
        assert first is not None
        assert first == again
        assert first.method
        names = [(entry.kind, entry.name) for entry in first.objects]
        assert names
        assert len(set(names)) == len(names)
        assert all(re.fullmatch("[0-9a-f]*", entry.digest) for entry in first.objects)
        assert any(entry.digest or entry.kind == "stream" for entry in first.objects)

    @states("engine 33")
    def test_a_proof_counts_each_row_once(self, source: str, tmp_path: Path) -> None:
        """Where it counts rows; `rows` says how many there are."""
        if not self.can(source, Capability.PROOF):
            return
        proof = self._proof(source, tmp_path, wanted=True)
        counted = {entry.name: entry.rows for entry in proof.objects if entry.rows is not None} if proof else {}
        if counted:
            rows = self.rows(self.content(source))
            assert rows, "`rows` counts nothing"
            assert {name: counted.get(name) for name in rows} == {**rows}

    def _proof(self, url: str, scratch: Path, *, wanted: bool) -> Proof | None:
        with self.engine(url).dump(self.request(url, scratch / "scratch", proof=wanted)) as session:
            self.read(session)
            return session.proof()
