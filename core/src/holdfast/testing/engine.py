"""The contract of an engine, as tests: what the core relies on whatever the database is."""

from holdfast.testing.drilling import DrillTests
from holdfast.testing.dumping import DumpTests, SourceTests
from holdfast.testing.proving import ProofTests
from holdfast.testing.restoring import RestoreTests
from holdfast.testing.selecting import SelectionTests


class EngineSuite(DumpTests, SourceTests, ProofTests, RestoreTests, SelectionTests, DrillTests):
    """Override `source`, `target` and `content`; set `password` where the URLs hold one.

    An engine with `Capability.SNAPSHOT` or `Capability.PROOF` overrides `change` as well, one with `PROOF` `into`, and
    `rows` where it counts any, and one with `SELECT` sets `selection` and overrides `selected` and `excluded`.
    `leave_log`, and `foreign` where databases are no files, are overridden in any case: what the suite cannot know of
    an engine is skipped.

    `options` and `restore_options` go into every dump and every restore; a suite with `configurations` may make
    properties of them that read `configuration`.
    """
