"""Suspends all processes of a node: by the freezer of its control group where it has one, else by signals.

The freezer is not noticed by what it suspends. SIGSTOP is by a parent that waits for stopped children
(waitpid(2), WUNTRACED), and the SIGCONT that ends it by a process that handles it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Literal

from wotemu_runtime.agent import process_tree

By = Literal["freezer", "signals"]

_DEADLINE_S = 1.0
"""The kernel freezes a process when it next returns to user space or sleeps; one in a device may not."""
_POLL_S = 0.001


class Suspension:
    """The processes of one node, for the first process of its PID namespace.

    Args:
        groups: Directories of the control groups that the node's processes are in.
        spared: The ids of processes that are never suspended, nor killed.
        kept: Those of processes that are suspended, but not killed with the app.
    """

    def __init__(
        self,
        groups: Sequence[str],
        spared: Callable[[], Collection[int]],
        kept: Callable[[], Collection[int]] = tuple,
    ) -> None:
        self._freezer = next((freezer for group in groups if (freezer := _freezer_of(group))), None)
        self._spared = spared
        self._kept = kept
        self.is_on = False

    def __repr__(self) -> str:
        return f"<Suspension by {self.by}{', on' if self.is_on else ''}>"

    @property
    def by(self) -> By:
        """How it suspends."""
        return "freezer" if self._freezer is not None else "signals"

    def begin(self) -> None:
        """Suspend every process of the node; those that are suspended already stay so.

        Raises:
            OSError: A process can't be suspended.
        """
        self.is_on = True
        if self._freezer is not None:
            self._freezer.set(frozen=True)
        else:
            process_tree.stop_all(self._spared())

    def end(self) -> None:
        """Let them go on.

        Raises:
            OSError: The kernel refuses it.
        """
        self.is_on = False
        if self._freezer is not None:
            self._freezer.set(frozen=False)
        else:
            process_tree.continue_all(self._spared())

    def end_all(self) -> tuple[int, int]:
        """As `process_tree.end_all`, also of suspended processes, none of which runs again."""
        spared = {*self._spared(), *self._kept()}
        if self._freezer is None or not self.is_on:
            ended = process_tree.end_all(spared)
            if self.is_on:
                process_tree.stop_all(self._spared())  # what is kept was let go on by that
            return ended
        process_tree.kill_at_once(spared)  # a frozen process of version 1 dies once it is thawed
        with contextlib.suppress(OSError):
            self._freezer.set(frozen=False)
        ended = process_tree.end_all(spared)
        with contextlib.suppress(OSError):
            self._freezer.set(frozen=True)
        return ended


class _Freezer:
    """The freezer of one control group: two files, and what they say of each state."""

    def __init__(self, control: Path, state: Path, frozen: str, thawed: str, marks: tuple[str, str]) -> None:
        self._control = control
        self._state = state
        self._written = {True: frozen, False: thawed}
        self._marks = {True: marks[0], False: marks[1]}

    def set(self, *, frozen: bool) -> None:
        """Freeze or thaw, and wait until all processes of the group are.

        Raises:
            OSError: The kernel refuses it, or takes too long.
        """
        until_s = time.monotonic() + _DEADLINE_S
        self._control.write_text(self._written[frozen])
        while self._marks[frozen] not in self._state.read_text().splitlines():
            if time.monotonic() > until_s:
                raise TimeoutError(
                    f"a process is not {'frozen' if frozen else 'thawed'} in {_DEADLINE_S:g} s"
                )
            time.sleep(_POLL_S)
            if frozen:  # version 1 tries again only when it is asked again
                self._control.write_text(self._written[True])


def _freezer_of(group: str) -> _Freezer | None:
    """The freezer of a control group of version 2 or 1 that this process may use; None where it has none."""
    directory = Path(group)
    version_2, version_1 = directory / "cgroup.freeze", directory / "freezer.state"
    if os.access(version_2, os.W_OK):
        return _Freezer(version_2, directory / "cgroup.events", "1", "0", ("frozen 1", "frozen 0"))
    if os.access(version_1, os.W_OK):
        return _Freezer(version_1, version_1, "FROZEN", "THAWED", ("FROZEN", "THAWED"))
    return None
