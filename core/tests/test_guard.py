"""What plugins hand out is guarded as a whole: nothing that the contract names can be called past the guard."""

import pytest

from holdfast import api
from holdfast.plugins.roles import ROLES

PROTOCOLS: dict[str, tuple[type, ...]] = {
    "codec": (api.Codec, api.SupportsShellDecode, api.SupportsFrameSearch),
    "decoder": (api.Decoder,),
    "cipher": (api.Cipher, api.SupportsIdentities, api.SupportsShellDecode),
    "sealer": (api.Sealer,),
    "opener": (api.Opener,),
    "checksum": (api.Hasher,),
    "storage": (
        api.Storage,
        api.SupportsFingerprint,
        api.SupportsFolder,
        api.SupportsAge,
        api.SupportsDeleteMany,
        api.SupportsGuarantees,
        api.SupportsNames,
        api.SupportsRename,
        api.SupportsRetention,
        api.SupportsSharedLease,
        api.SupportsShellFetch,
        api.SupportsStreaming,
        api.SupportsVersions,
        api.SupportsWalk,
    ),
    "writer": (api.Writer,),
    "dump": (api.DumpSession, api.SupportsSource),
    "restore": (
        api.RestoreSession,
        api.SupportsFailures,
        api.SupportsPreview,
        api.SupportsSelection,
        api.SupportsWarnings,
    ),
    "scratch": (api.Scratch, api.SupportsFaults, api.SupportsWarnings),
    "moment": (api.Moment,),
}


@pytest.mark.parametrize("role", PROTOCOLS)
def test_each_member_of_a_protocol_is_guarded(role: str) -> None:
    members = {name for protocol in PROTOCOLS[role] for name in vars(protocol) if not name.startswith("_")}
    assert members == set(ROLES[role])


def test_each_protocol_belongs_to_a_part_that_is_guarded() -> None:
    """`Engine` is called by way of its hooks, and `Blob` is the core's own."""
    protocols = {name for name in api.__all__ if getattr(getattr(api, name), "_is_protocol", False)}
    assert {protocol.__name__ for each in PROTOCOLS.values() for protocol in each} == protocols - {"Engine", "Blob"}
