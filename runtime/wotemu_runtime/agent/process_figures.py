"""Single figures of a process, each from the kernel at the least cost. What has ended has none."""

from __future__ import annotations

import os

from wotemu_runtime.agent.process_tree import read_file

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(pid: int) -> int:
    """Memory of a process that is resident now; 0 where it has ended."""
    try:
        # `stat` has it too, but there the kernel leaves out what each processor has not added up yet.
        return int(read_file(f"/proc/{pid}/statm").split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def most_resident_bytes(pid: int) -> int:
    """The most memory of a process that was ever resident; 0 where it has ended."""
    return _keyed(f"/proc/{pid}/status").get("VmHWM:", 0) * 1024


def anonymous_bytes(pid: int) -> int:
    """Memory of a process that is resident now and of no file; 0 where it has ended."""
    return _keyed(f"/proc/{pid}/status").get("RssAnon:", 0) * 1024


def storage_bytes(pid: int) -> tuple[int, int] | None:
    """Bytes that storage read and wrote for a process so far; None where this user may not know them."""
    figures = _keyed(f"/proc/{pid}/io")
    if "read_bytes:" not in figures:
        return None
    return figures["read_bytes:"], max(0, figures["write_bytes:"] - figures["cancelled_write_bytes:"])


def open_files(pid: int) -> int:
    """How many files, sockets and others a process has open; 0 where this user may not know."""
    try:
        # The directory's size is the number since Linux 6.2, and 0 before.
        return os.stat(f"/proc/{pid}/fd").st_size or len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH116, PTH208
    except OSError:
        return 0


def _keyed(path: str) -> dict[str, int]:
    """The numbers of a file whose lines begin with a word and a number; empty where there is none."""
    try:
        lines = (line.split(None, 2) for line in read_file(path).splitlines())
    except OSError:
        return {}
    return {line[0]: int(line[1]) for line in lines if len(line) > 1 and line[1].isdigit()}
