"""Keeps files of pcapng free of parts of blocks, which readers stumble over."""

from __future__ import annotations

import contextlib
import os

_HEAD_BYTES = 8
"""A block of pcapng begins with its type and its length, four bytes each."""


class WholeBlocks:
    """Makes a stream of pieces into one of whole blocks of pcapng, so that a file never ends amid one."""

    def __init__(self) -> None:
        self._rest = b""

    def __repr__(self) -> str:
        return f"<WholeBlocks, {len(self._rest)} bytes wait>"

    def add(self, piece: bytes) -> bytes:
        """The blocks that a piece makes whole."""
        data, end = self._rest + piece, 0
        while len(data) - end >= _HEAD_BYTES:
            size = int.from_bytes(data[end + 4 : end + _HEAD_BYTES], "little")
            if size < _HEAD_BYTES or len(data) - end < size:
                break
            end += size
        self._rest = data[end:]
        return data[:end]


def append_blocks(fd: int, size: int, blocks: bytes) -> None:
    """Write whole blocks behind the first `size` bytes of a file: all of them or none.

    Raises:
        OSError: The disk refuses them.
    """
    left = memoryview(blocks)
    try:
        while left:
            left = left[os.write(fd, left) :]
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(fd, size)
        raise
