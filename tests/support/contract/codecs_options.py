# mypy: ignore-errors
"""Codecs with options that they cannot work with, each a plugin of its own."""

import gzip
from dataclasses import dataclass

from holdfast.api import Component, Kind, UsageError, hookimpl
from support.contract import add_suites, breaks
from support.contract.sound_codec import Gzip, suite_of


@dataclass(frozen=True)
class Options:
    """The options of all of them."""

    level: int = 6


class Leveled(Gzip):
    """A codec with a level, which is looked at when it is opened."""

    def __init__(self, options=None):
        self.options = options or Options()
        if not 0 <= self.level <= 9:
            raise UsageError(f"level is {self.level}, expected 0 to 9")

    @property
    def level(self):
        return self.options.level

    def encode(self, block):
        return gzip.compress(bytes(block), self.level, mtime=0)


@breaks("codec 17")
class RefusesLate(Leveled):
    """A level that there is not is refused by the first block."""

    def __init__(self, options=None):
        self.options = options or Options()


@breaks("codec 17")
class TakesText(Leveled):
    """The level is taken for the text that was typed."""

    @property
    def level(self):
        return int(self.options.level.strip())


@breaks("codec 17")
class StoresLevelZero(Leveled):
    """Level 0 gives plain bytes, which are no frame."""

    def encode(self, block):
        return super().encode(block) if self.level else bytes(block)


@breaks("codec 17")
class RefusesWithValueError(Leveled):
    """The refusal is an error of Python."""

    def __init__(self, options=None):
        self.options = options or Options()
        gzip.compress(b"", self.level)
        if self.level < 0:
            raise ValueError(self.level)


class Plugin:
    """A plugin of one of them."""

    def __init__(self, codec):
        self.codec = codec

    @hookimpl
    def holdfast_components(self):
        return [Component(kind=Kind.CODEC, name="leveled", options=Options)]

    @hookimpl
    def holdfast_compress(self, codec, options):
        return self.codec(options) if codec == "leveled" else None


def suite_with_options(tested):
    """The suite of a codec, which is found by its name as well."""
    globals()[f"plugin_of_{tested.__name__}"] = Plugin(tested)
    names = {"spec": "leveled", "plugins": (f"{__name__}:plugin_of_{tested.__name__}",)}
    return type("Suite", (suite_of(tested),), names)


add_suites(globals(), suite_with_options, Leveled)
