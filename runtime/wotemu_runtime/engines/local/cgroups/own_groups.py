"""The control groups that this process is in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wotemu_runtime.engines.local.cgroups.delegation import ROOT

_SELF = Path("/proc/self/cgroup")


def version_1_groups(listing: str) -> dict[str, str]:
    """The version 1 group by controller, of lines of cgroups(7)'s ``ID:CONTROLLERS:PATH``."""
    groups: dict[str, str] = {}
    for line in listing.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


def directories(controller: str, listing: Path = _SELF, root: Path = ROOT) -> Iterator[Path]:
    """The directories of this process's group of a controller and of all its ancestors, nearest first.

    Each of them may limit this process. In a container the path may be one that only the host sees; then the
    root of what is mounted is the container's group.

    Args:
        controller: Such as ``pids``.
        listing: The process's groups, as /proc has them.
        root: Where control groups are mounted.
    """
    groups = version_1_groups(listing.read_text())
    mounted = root / controller if controller in groups else root
    path = groups.get(controller, groups.get("", "/"))
    directory = mounted / path.lstrip("/")
    while directory != mounted:
        if directory.is_dir():
            yield directory
        directory = directory.parent
    if mounted.is_dir():
        yield mounted
