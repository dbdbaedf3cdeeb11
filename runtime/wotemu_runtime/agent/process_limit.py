"""Reports that a node met its limit of processes and threads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wotemu_runtime.roles.role import Role


class ProcessLimit:
    """Reports when a node has as many processes and threads as it may have.

    Args:
        role: The node's role.
        most: How many it may have; None for no limit.
        cgroups: Directories of its control groups.
    """

    def __init__(self, role: Role, most: int | None, cgroups: Sequence[str]) -> None:
        self._role = role
        self._most = most
        self._events = [path for group in cgroups if (path := Path(group, "pids.events")).exists()]
        self._is_met = False

    def __repr__(self) -> str:
        return f"ProcessLimit({self._most})"

    def look(self, threads: int) -> None:
        """Report once that the limit is met: by the threads that the node has, or by the kernel's count."""
        if self._most is None or self._is_met or (threads < self._most and not self.refused):
            return
        self._is_met = True
        text = f"{self._role.assignment.subject} has as many processes and threads as it may have"
        self._role.event("app.process_limit", f"{text}, {self._most:,}", limit=self._most)

    @property
    def refused(self) -> int:
        """How many forks the kernel refused, where it counts them."""
        return sum(int(path.read_text().split()[1]) for path in self._events)
