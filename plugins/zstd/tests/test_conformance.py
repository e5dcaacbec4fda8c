"""The zstd codec keeps the contract of a codec, at levels with small and large windows."""

from support.sweeps import LONG

from holdfast.testing import CodecSuite


class TestFast(CodecSuite):
    spec = "zstd:1"


class TestLargeWindow(CodecSuite):
    spec = "zstd:19" if LONG else "zstd:9"  # 8 and 4 MiB, in a tenth of the time
