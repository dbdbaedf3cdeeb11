"""Finds or makes a version 2 control group whose child groups can have limits.

The kernel enables no controller for the children of a group that has processes itself ("no internal
processes", cgroups(7)). So an emulation's roles are in a leaf, and the replicas' groups are beside it:

    wotemu-NAME ─┬─ roles
                 ├─ REPLICA
                 └─ ...

Where systemd runs, it makes the group, as a scope whose subtree is delegated (systemd.resource-control(5),
Delegate=). Elsewhere it is made below the nearest ancestor of this process's group that this user may use:
one that was delegated to an ordinary user, or any for root.
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
"""Exists where systemd is the init (sd_booted(3))."""

_TRIAL_S = 10.0
# In a shell, as it runs inside the scope: prints the scope's directory, and fails where this user may not use
# it. A scope of `systemd-run --user` may exist without its controllers or its files being delegated.
_LOOK = 'd=$1$(sed -n "s/^0:://p" /proc/self/cgroup); echo "$d"; test -w "$d/cgroup.procs" && test -w "$d"'


@attrs.frozen
class DelegatedGroup:
    """The group at `path`, and the controllers that it can enable for its children.

    `command` is the prefix of a command that starts a program in it; where it is empty, the program has to
    join the `leaf` itself.
    """

    path: Path
    controllers: frozenset[str]
    command: tuple[str, ...] = ()

    @property
    def leaf(self) -> Path:
        """The child group of the emulation's roles."""
        return self.path / "roles"

    @property
    def to_remove(self) -> list[str]:
        """The directories to remove at the end; none where systemd removes its scope."""
        return [] if self.command else [str(self.leaf), str(self.path)]


def is_version_2() -> bool:
    """Whether this machine mounts control groups of version 2 only, not the hybrid of both."""
    return (ROOT / "cgroup.controllers").exists()


def current() -> Path:
    """The version 2 group of this process."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::/"):
            return ROOT / line[4:]
    return ROOT


def find(name: str, wanted: Collection[str]) -> DelegatedGroup | None:
    """Make the emulation's group, with as many of the `wanted` controllers as this user can enable.

    Returns:
        The group, or None where no controller can be enabled anywhere.
    """
    # What root alone uses for a default limit is not worth the time that systemd takes to make a scope.
    by_systemd = {*wanted} != {"pids"} and SYSTEMD.exists() and shutil.which("systemd-run")
    if by_systemd and (scope := _scope(name)):
        return scope
    best: DelegatedGroup | None = None
    for parent in _ancestors():
        enabled = frozenset(each for each in wanted if _enable(parent, each))
        if len(enabled) > (0 if best is None else len(best.controllers)):
            group = DelegatedGroup(parent / name, enabled)
            if _make(group):
                if best is not None:
                    remove(best)
                best = group
        if best is not None and best.controllers >= set(wanted):
            break
    return best


def enable(group: DelegatedGroup, wanted: Collection[str]) -> set[str]:
    """Enable controllers for the group's children. Its processes have to be in the leaf already.

    Returns:
        The controllers for which that worked.
    """
    return {each for each in wanted if _enable(group.path, each)}


def remove(group: DelegatedGroup) -> None:
    """Remove the group, as far as it is empty, unless systemd does."""
    for directory in group.to_remove:
        with contextlib.suppress(OSError):
            Path(directory).rmdir()


def _scope(name: str) -> DelegatedGroup | None:
    """A scope that systemd will make, after a trial with one that ends at once."""
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
    return DelegatedGroup(Path(path.replace(trial, name)), frozenset(controllers.split()), command(name))


def _ancestors() -> Iterator[Path]:
    """The ancestors of this process's group, nearest first; the root group where the process is in that."""
    path = current()
    if path == ROOT:
        yield ROOT
    while path != ROOT:
        path = path.parent
        yield path


def _enable(parent: Path, controller: str) -> bool:
    """Enable a controller for the children of `parent`, if need be from further up; whether that worked."""
    try:
        if controller in (parent / "cgroup.subtree_control").read_text().split():
            return True
        if controller not in (parent / "cgroup.controllers").read_text().split() and (
            parent == ROOT or not _enable(parent.parent, controller)
        ):
            return False
        # A group with processes may enable cpu, as that is a threaded controller, but its children
        # become "domain invalid" and take no process from then on (EOPNOTSUPP). Only the root group of the
        # machine, which has no cgroup.type, is exempt.
        if (parent / "cgroup.type").exists() and (parent / "cgroup.procs").read_text():
            return False
        (parent / "cgroup.subtree_control").write_text(f"+{controller}")
    except OSError:
        return False
    return True


def _make(group: DelegatedGroup) -> bool:
    """Make the group and its leaf; whether a process of this user can join the leaf."""
    try:
        group.path.mkdir()
        group.leaf.mkdir()
        # A shell tries, not this process: moving needs access to the cgroup.procs of the common ancestor
        # too, so that the permissions of the leaf alone do not say whether it works.
        join = f"echo 0 > '{group.leaf}/cgroup.procs'"
        subprocess.run(["sh", "-c", join], check=True, capture_output=True, timeout=_TRIAL_S)
    except (OSError, subprocess.SubprocessError):
        remove(group)
        return False
    return True
