"""Files of captures that come in pieces hold whole blocks alone."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from wotemu_runtime.capture.whole_blocks import WholeBlocks


def block(payload: int) -> bytes:
    size = 12 + payload * 4
    return struct.pack("<II", 6, size) + bytes(payload * 4) + struct.pack("<I", size)


@given(st.lists(st.integers(0, 20), min_size=1), st.lists(st.integers(1, 60), min_size=1))
def test_pieces_of_any_size_become_whole_blocks(payloads: list[int], sizes: list[int]) -> None:
    made = [block(payload) for payload in payloads]
    data, taken = b"".join(made), b""
    ends = {sum(map(len, made[:number])) for number in range(len(made) + 1)}
    blocks, at = WholeBlocks(), 0
    while at < len(data):
        for size in sizes:
            taken += blocks.add(data[at : at + size])
            assert len(taken) in ends
            at += size
    assert taken == data
