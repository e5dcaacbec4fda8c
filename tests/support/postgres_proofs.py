"""Recorded proofs, how two differ, and the scratch database of a drill: what tests of proofs share."""

import json
from pathlib import Path

import holdfast
from holdfast.api import ObjectProof, Proof, ScratchRequest
from holdfast_postgres.options import PostgresOptions
from support.servers.postgres import PostgresServer

Differences = set[tuple[str, str]]


def recorded_proof(backup: holdfast.Backup) -> Proof:
    """The proof in the manifest of a backup."""
    proof = json.loads(Path(backup.path, "backup_manifest.json").read_text())["proof"]
    objects = tuple(ObjectProof(**entry) for entry in proof["objects"])
    return Proof(method=proof["method"], objects=objects, settings=proof["settings"])


def differences(before: Proof, after: Proof) -> Differences:
    """Kind and name of each object that is not in both as it is in the other."""
    assert before.method == after.method
    return {(entry.kind, entry.name) for entry in set(before.objects) ^ set(after.objects)}


def scratch_request(server: PostgresServer, backup: holdfast.Backup, folder: Path) -> ScratchRequest:
    """What a drill asks the engine for."""
    hints = json.loads(Path(backup.path, "backup_manifest.json").read_text())["hints"]
    return ScratchRequest(
        id=backup.id, scratch=folder, into=server.url(""), options=PostgresOptions(), jobs=2, facts=hints
    )
