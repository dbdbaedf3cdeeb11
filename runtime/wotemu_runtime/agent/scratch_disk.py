"""Fills a node's scratch folder, which is a tmpfs of its own: its size is lowered, so no memory is used."""

from __future__ import annotations

import errno
import os

import attrs

from wotemu_runtime.processes import syscalls

_FLAGS = syscalls.MS_REMOUNT | syscalls.MS_NOSUID | syscalls.MS_NODEV
_ATTEMPTS = 20
"""The app may write between a look at what is used and the change of the size."""


@attrs.define
class ScratchDisk:
    """The scratch folder at `path`, for a process that may mount it."""

    path: str
    _size: int | None = None
    """Its size before it was filled."""
    _placeholder: int | None = None
    """A file without a name, of one page: a tmpfs of size 0 would have no limit at all."""

    def fill(self, leave_bytes: int) -> dict[str, int]:
        """Lower its size to what is used now, and so many bytes; where less is free, to its present size.

        Returns:
            What is used now and what is free now: `used_bytes`, `free_bytes`.

        Raises:
            OSError: The kernel refuses it, or the app writes too fast.
        """
        self.free()
        full = os.statvfs(self.path)
        self._size = full.f_blocks * full.f_frsize
        try:
            self._shrink(self._size, leave_bytes)
        except OSError:
            self.free()
            raise
        return self._figures()

    def _shrink(self, most: int, leave_bytes: int) -> None:
        for attempt in range(_ATTEMPTS):
            used = self._figures()["used_bytes"]
            if not used + leave_bytes:
                self._occupy_a_page()
                used = self._figures()["used_bytes"]
            try:
                self._resize(min(most, used + leave_bytes))
            except OSError as error:
                if error.errno != errno.EINVAL or attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def free(self) -> dict[str, int]:
        """Give it its size again, where it was filled; the same figures as of `fill`, from before that."""
        figures = self._figures()
        if self._placeholder is not None:
            os.close(self._placeholder)
            self._placeholder = None
        if self._size is not None:
            self._resize(self._size)
            self._size = None
        return figures

    def _occupy_a_page(self) -> None:
        self._placeholder = os.open(self.path, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        os.write(self._placeholder, b"\0")

    def _resize(self, size: int) -> None:
        syscalls.mount("tmpfs", self.path, "tmpfs", _FLAGS, f"size={size}")

    def _figures(self) -> dict[str, int]:
        now = os.statvfs(self.path)
        return {
            "used_bytes": (now.f_blocks - now.f_bfree) * now.f_frsize,
            "free_bytes": now.f_bavail * now.f_frsize,
        }
