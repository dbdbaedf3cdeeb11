"""A version 2 control group of an emulation's own, in which its replicas' groups can have limits.

A group with processes can't limit groups below it. So the emulation's roles are in a leaf, and the replicas'
groups are beside that:

    wotemu-NAME ─┬─ roles
                 ├─ REPLICA
                 └─ ...

Where systemd runs, it makes the group, as a scope whose subtree is delegated to us. Elsewhere it is made
below the nearest group above ours that this user may use: one that was delegated to an ordinary user, or any
for root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

import attrs

ROOT = Path("/sys/fs/cgroup")
SYSTEMD = Path("/run/systemd/system")
"""Is there where systemd is the init (sd_booted(3))."""

_TRIAL_S = 10.0
_LOOK = 'd=$1$(sed -n "s/^0:://p" /proc/self/cgroup); echo "$d"; test -w "$d/cgroup.procs" && test -w "$d"'


@attrs.frozen
class OwnGroup:
    """The group at `path`, with the controllers that it can give to the groups in it.

    `command` starts a program in it; without one, the program joins the `leaf`.
    """

    path: Path
    controllers: frozenset[str]
    command: tuple[str, ...] = ()

    @property
    def leaf(self) -> Path:
        """Where the emulation's roles are."""
        return self.path / "roles"

    @property
    def to_remove(self) -> list[str]:
        """What has to be removed, and is none of systemd's."""
        return [] if self.command else [str(self.leaf), str(self.path)]


def is_version_2() -> bool:
    """Whether this machine's control groups are version 2 alone."""
    return (ROOT / "cgroup.controllers").exists()


def current() -> Path:
    """This process's version 2 group."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::/"):
            return ROOT / line[4:]
    return ROOT


def find(name: str, wanted: Collection[str]) -> OwnGroup | None:
    """Make the emulation's group, with as many of the controllers as can be had; None where none can."""
    if SYSTEMD.exists() and shutil.which("systemd-run") and (scope := _scope(name)):
        return scope
    best: OwnGroup | None = None
    for parent in _ancestors():
        given = frozenset(each for each in wanted if _gives(parent, each))
        if len(given) > (0 if best is None else len(best.controllers)):
            group = OwnGroup(parent / name, given)
            if _make(group):
                if best is not None:
                    remove(best)
                best = group
        if best is not None and best.controllers >= set(wanted):
            break
    return best


def give(group: OwnGroup, wanted: Collection[str]) -> set[str]:
    """Have the groups in it limited by these controllers; those for which that worked.

    The emulation's processes have to be in the leaf by now.
    """
    return {each for each in wanted if _gives(group.path, each)}


def remove(group: OwnGroup) -> None:
    """Remove it, as far as it is empty and none of systemd's."""
    for directory in group.to_remove:
        with contextlib.suppress(OSError):
            Path(directory).rmdir()


def _scope(name: str) -> OwnGroup | None:
    """A scope that systemd makes, tried with one that ends at once."""
    manager = () if os.geteuid() == 0 else ("--user",)

    def command(unit: str) -> tuple[str, ...]:
        options = ("--scope", "--quiet", "--collect", "--property=Delegate=yes", f"--unit={unit}.scope")
        return ("systemd-run", *manager, *options, "--")

    trial = f"{name}-trial"
    try:
        tried = subprocess.run(
            [*command(trial), "sh", "-c", _LOOK + ' && cat "$d/cgroup.controllers"', "sh", str(ROOT)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TRIAL_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    path, controllers = tried.stdout.split("\n", 1)
    return OwnGroup(Path(path.replace(trial, name)), frozenset(controllers.split()), command(name))


def _ancestors() -> Iterator[Path]:
    """The groups above this process's own, nearest first; the root's, where it is in that itself."""
    path = current()
    if path == ROOT:
        yield ROOT
    while path != ROOT:
        path = path.parent
        yield path


def _gives(parent: Path, controller: str) -> bool:
    """Whether groups in `parent` have a controller, after trying to have it given to them from above."""
    try:
        if controller in (parent / "cgroup.subtree_control").read_text().split():
            return True
        if controller not in (parent / "cgroup.controllers").read_text().split() and (
            parent == ROOT or not _gives(parent.parent, controller)
        ):
            return False
        # The kernel lets a group with processes give cpu, a controller of threads, but takes no process into
        # the groups below it from then on. Only the machine's root group, which has no type, is free to.
        if (parent / "cgroup.type").exists() and (parent / "cgroup.procs").read_text():
            return False
        (parent / "cgroup.subtree_control").write_text(f"+{controller}")
    except OSError:
        return False
    return True


def _make(group: OwnGroup) -> bool:
    """Make it and its leaf; whether a process of this user can join."""
    try:
        group.path.mkdir()
        group.leaf.mkdir()
        join = f"echo 0 > '{group.leaf}/cgroup.procs'"
        subprocess.run(["sh", "-c", join], check=True, capture_output=True, timeout=_TRIAL_S)
    except (OSError, subprocess.SubprocessError):
        remove(group)
        return False
    return True
