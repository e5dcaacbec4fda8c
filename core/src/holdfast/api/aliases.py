"""What several kinds of plugins hand to each other."""

from __future__ import annotations

from typing import Literal

from holdfast.error_meanings import Meaning

#: Which of the engine's own checks to run: False none, True the quick one, `full` that of `Capability.FULL_CHECK`.
Check = bool | Literal["full"]


#: A piece of a stream, 256 KiB to 4 MiB where the source allows, never one row. Who hands it over does not change it.
Chunk = bytes | bytearray | memoryview


#: What an error means: the class that is raised in its place, or a function that is given the error and returns such a
#: class, or the very exception to raise (which may have a `hint`), or None for an error that stays what it is.
ErrorMeaning = Meaning
