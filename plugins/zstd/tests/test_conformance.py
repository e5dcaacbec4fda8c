"""The zstd codec keeps the contract of a codec, at levels with small and large windows."""

from holdfast.testing import CodecSuite


class TestFast(CodecSuite):
    spec = "zstd:1"


class TestLargeWindow(CodecSuite):
    spec = "zstd:19"
