"""What is written comes in parts of one size, the last of which is shorter."""

import pytest

from holdfast.api import PartWriter


@pytest.mark.parametrize("sizes", [[], [0], [3], [4], [9], [1] * 9, [4, 4], [13, 1, 0, 5]])
def test_parts_have_one_size_and_hold_what_was_written(sizes: list[int]) -> None:
    parts: dict[int, bytes] = {}
    writer = PartWriter(4, parts.__setitem__)
    written = bytes(range(sum(sizes)))
    at = 0
    for size in sizes:
        chunk = bytearray(written[at : at + size])
        writer.write(memoryview(chunk))
        chunk[:] = bytes(size)  # whose memory may be used again
        at += size
    assert len(writer.rest) == len(written) % 4
    writer.finish()
    assert b"".join(parts[number] for number in range(writer.count)) == written
    assert [len(parts[number]) for number in range(writer.count)][:-1] == [4] * (writer.count - 1)
    assert (writer.size, writer.count) == (len(written), -(-len(written) // 4))


def test_a_part_that_cannot_be_put_is_counted_so_that_it_is_removed() -> None:
    def put(number: int, part: bytes) -> None:
        raise OSError(28, f"no space for part {number} of {len(part)} bytes")

    writer = PartWriter(4, put)
    with pytest.raises(OSError, match="no space for part 0 of 4 bytes"):
        writer.write(b"12345")
    assert writer.count == 1
