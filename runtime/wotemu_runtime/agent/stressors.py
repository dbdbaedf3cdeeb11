"""The processes that stress a node, as its launcher starts and ends them."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import signal
from collections.abc import Callable
from typing import Any, NoReturn

from wotemu_runtime.agent import process_tree, stressor
from wotemu_runtime.agent.process_figures import anonymous_bytes
from wotemu_runtime.processes import syscalls
from wotemu_runtime.processes.fork import exit_text, fork

_NAME = "wotemu-stress"


class Stressors:
    """The processes of one stress at a time.

    Args:
        isolate: Confines a process as the app is, to its user and limits.
    """

    def __init__(self, isolate: Callable[[], None]) -> None:
        self._isolate = isolate
        self._pids: set[int] = set()
        self._base_bytes = 0
        self._died = ""

    def __repr__(self) -> str:
        return f"<Stressors {sorted(self._pids)}>"

    @property
    def pids(self) -> frozenset[int]:
        """Their ids."""
        return frozenset(self._pids)

    def start(self, cpu: float, mem_bytes: int) -> None:
        """Start as many processes as `cpu` needs cores; the first one holds the memory.

        Raises:
            OSError: The kernel refuses a process.
        """
        self.end()
        self._base_bytes = anonymous_bytes(os.getpid())  # a fork has all of it, too
        count = max(1, math.ceil(cpu))
        for number in range(count):
            memory = 0 if number else mem_bytes
            self._pids.add(fork(functools.partial(self._run, cpu / count, memory)))

    def _run(self, share: float, mem_bytes: int) -> NoReturn:
        syscalls.name_thread(_NAME)
        self._isolate()
        stressor.run(share, mem_bytes)

    def end(self) -> dict[str, Any]:
        """Kill them all.

        Returns:
            The CPU time that they used (`cpu_s`), the memory that they held besides what any such process
            has (`held_bytes`), and how one of them ended before, `died`, or "".
        """
        cpu_s = sum(process_tree.cpu_time_s(pid) or 0.0 for pid in self._pids)
        held = sum(max(0, anonymous_bytes(pid) - self._base_bytes) for pid in self._pids)
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        died, self._died = self._died, ""
        self._pids.clear()
        return {"cpu_s": cpu_s, "held_bytes": held, "died": died}

    def ended(self, pid: int, status: int) -> None:
        """A child of the launcher has ended; those that `end` killed are no news."""
        if pid in self._pids:
            self._pids.discard(pid)
            self._died = exit_text(status)
