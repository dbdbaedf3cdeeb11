"""The file of one node's capture. Whatever happens to its disk, it holds whole blocks alone."""

from __future__ import annotations

import contextlib
import os

from wotemu_runtime.capture.node_packets import NodePackets
from wotemu_runtime.capture.whole_blocks import append_blocks


class CaptureFile:
    """Stores what a node's interfaces pass, until its disk refuses it.

    Args:
        name: Its name in the folder.
        folder: Descriptor of the folder, which this process may be unable to name.
        packets: What is stored.

    Attributes:
        size: Bytes that are stored.
        error: Why no more is stored; None while all is well.
        unstored: Packets that the disk did not take.
    """

    def __init__(self, name: str, folder: int, packets: NodePackets) -> None:
        self.name = name
        self.packets = packets
        self.size = self.unstored = 0
        self.error: OSError | None = None
        self._fd = -1
        try:
            self._fd = os.open(
                name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666, dir_fd=folder
            )
        except OSError as error:
            self.error = error

    def __repr__(self) -> str:
        return f"<CaptureFile {self.name}, {self.size} bytes>"

    def store(self) -> None:
        """Store what has come since."""
        before = self.packets.stored
        if not self._write(self.packets.take()):
            self.unstored += self.packets.stored - before

    @property
    def stored(self) -> int:
        """Packets that are in the file."""
        return self.packets.stored - self.unstored

    @property
    def left_out(self) -> int:
        """Packets that the file's size or its disk had no room for."""
        return self.packets.left_out + self.unstored

    def finish(self) -> None:
        """Store the rest and the counts, and close both."""
        self.store()
        self._write(self.packets.statistics())
        self.packets.close()
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)

    def _write(self, blocks: bytes) -> bool:
        """Write whole blocks, all or none; whether they are written."""
        if self.error is not None:
            return False
        try:
            append_blocks(self._fd, self.size, blocks)
        except OSError as error:
            self.error = error
            return False
        self.size += len(blocks)
        return True
