"""The processes of a node's app: all of its PID namespace but the first process, the agent and outsiders.

An outsider entered the namespace from outside, as a container's health check or ``docker exec`` does: its
ancestors end outside, not at the first process.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

END_DEADLINE_S = 2.0
"""Seconds for killed processes to disappear; one in uninterruptible sleep (a device) does not."""
_POLL_S = 0.001
_UTIME, _STIME, _THREADS = 9, 10, 15
"""Places among the fields that follow the parent's id: see proc_pid_stat(5)."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_CPUCLOCK_SCHED = 2
"""Which of a process's clocks (linux/posix-timers.h): that of all its threads, ended ones included."""
PROC = Path("/proc")
_CHUNK_BYTES = 1 << 16


@attrs.frozen
class Process:
    """One line of ``/proc/PID/stat``: its parent's id is 0 where that is outside of the namespace."""

    parent: int
    state: str
    threads: int = 1
    cpu_s: float = 0.0
    """CPU time that its threads have used, without its children's."""

    name: str = ""
    """The kernel's name of it, of 15 bytes at most; a process may choose any."""

    @property
    def is_alive(self) -> bool:
        """Whether it still holds anything: the files and sockets of a zombie without threads are closed."""
        return self.state not in "ZX" or self.threads > 1


def snapshot() -> dict[int, Process]:
    """Every process of this PID namespace, by its id."""
    return dict(_processes(PROC))


def _processes(proc: Path) -> Iterator[tuple[int, Process]]:
    for path in proc.iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                yield int(path.name), parse_stat((path / "stat").read_text(errors="replace"))


def read_file(path: str) -> str:
    """A file of /proc, in a third of the time of `Path.read_text`: each node's are read each second."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = b""
        while part := os.read(fd, _CHUNK_BYTES):
            text += part
    finally:
        os.close(fd)
    return text.decode(errors="replace")


def cpu_time_s(pid: int) -> float | None:
    """CPU time of a process, to the nanosecond, without its children's; None where it has ended."""
    try:
        # clock_getcpuclockid(3) makes the same number; `stat` counts ticks of 10 ms.
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError:
        return None


def parse_stat(text: str, precise_cpu_s: float | None = None) -> Process:
    """Read ``pid (command) state parent ...``; the command may hold blanks and brackets itself.

    Args:
        text: The line.
        precise_cpu_s: The CPU time, where it is known better than in ticks.
    """
    end = text.rindex(")")
    state, parent, *others = text[end + 2 :].split()
    if precise_cpu_s is None:
        precise_cpu_s = (int(others[_UTIME]) + int(others[_STIME])) / _TICKS_PER_S
    return Process(
        int(parent),
        state,
        threads=int(others[_THREADS]),
        cpu_s=precise_cpu_s,
        name=text[text.find("(") + 1 : end],
    )


def descendants(pid: int, proc: Path = PROC) -> dict[int, Process]:
    """The processes that a process has started, directly or through others, and that are there, by their id.

    It reads only their files, so that a machine with hundreds of nodes need not look at all of its processes
    for each of them; where the kernel has no lists of children (CONFIG_PROC_CHILDREN), it does.
    """
    if not _has_lists_of_children(proc):
        everything = dict(_processes(proc))
        return {each: found for each, found in everything.items() if _descends(each, pid, everything)}
    found: dict[int, Process] = {}
    waiting = _children(pid, _threads(pid, proc), proc)
    while waiting:
        child = waiting.pop()
        with contextlib.suppress(OSError):  # it ended meanwhile
            process = found[child] = parse_stat(
                read_file(f"{proc}/{child}/stat"), cpu_time_s(child) if proc is PROC else None
            )
            waiting += _children(child, [child] if process.threads == 1 else _threads(child, proc), proc)
    return found


@functools.cache
def _has_lists_of_children(proc: Path) -> bool:
    return (proc / "thread-self" / "children").exists()


def _threads(pid: int, proc: Path) -> Sequence[int | str]:
    """The threads of a process; empty where it has ended."""
    try:
        return os.listdir(f"{proc}/{pid}/task")  # noqa: PTH208  # as `read_file`
    except OSError:
        return ()


def _children(pid: int, threads: Iterable[int | str], proc: Path) -> list[int]:
    """The children of some threads of a process; those of one that has ended meanwhile are left out."""
    children: list[int] = []
    for thread in threads:
        with contextlib.suppress(OSError):
            children += map(int, read_file(f"{proc}/{pid}/task/{thread}/children").split())
    return children


def _descends(pid: int, ancestor: int, processes: Mapping[int, Process]) -> bool:
    while pid in processes:
        pid = processes[pid].parent
        if pid == ancestor:
            return True
    return False


def of_app(processes: Mapping[int, Process], spared: Collection[int]) -> set[int]:
    """The ids of the app's processes that are alive.

    Args:
        processes: every process of the namespace.
        spared: the ids of the namespace's first process, and of the agent where it has one of its own.
    """
    return {
        pid
        for pid, process in processes.items()
        if process.is_alive and pid not in spared and not _is_outsider(pid, processes)
    }


def _is_outsider(pid: int, processes: Mapping[int, Process]) -> bool:
    while pid != 1 and pid in processes:
        pid = processes[pid].parent
    return pid == 0


def end_all(spared: Collection[int], deadline_s: float = END_DEADLINE_S) -> tuple[int, int]:
    """SIGKILL all of the app, whatever it forks meanwhile, and wait until its files and sockets are closed.

    Only for a process that has a PID namespace to itself, as it stops everything in it for a moment: what is
    stopped can't fork, so nothing gets away between the look and the kill.

    Returns: how many processes were killed, and how many of them were still there after `deadline_s`.
    """
    until_s = time.monotonic() + deadline_s
    # Not only where a look finds some of it: what forks and ends at once can be missed by each look at /proc.
    killed = kill_at_once(spared)
    while alive := of_app(snapshot(), spared):
        if time.monotonic() > until_s:
            return len(killed), len(alive)
        if alive - killed:
            killed |= kill_at_once(spared)
        else:
            time.sleep(_POLL_S)
    return len(killed), 0


def kill_at_once(spared: Collection[int]) -> set[int]:
    """SIGKILL what is of the app now, as `end_all` does; the ids of what was killed."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGSTOP)  # under the kernel's lock of all processes: a fork is before it or after
    killed: set[int] = set()
    try:
        # A fork that was under way makes its child all the same, unless its parent is killed before. Such a
        # child is stopped, too, and would go on with the SIGCONT.
        while targets := of_app(snapshot(), spared) - killed:
            for pid in targets:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            killed |= targets
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGCONT)
    return killed


def stop_all(spared: Collection[int]) -> None:
    """SIGSTOP all of the app at once. Only for a process that has a PID namespace to itself."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGSTOP)  # under the kernel's lock of all processes: nothing forks away
    processes = snapshot()
    _continue(processes.keys() - of_app(processes, spared))


def continue_all(spared: Collection[int]) -> None:
    """SIGCONT all of the app."""
    _continue(of_app(snapshot(), spared))


def _continue(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGCONT)
