"""What skews the wall clocks of nodes: libfaketime, and which nodes have it preloaded.

A time namespace can't: it moves CLOCK_MONOTONIC and CLOCK_BOOTTIME alone, never CLOCK_REALTIME, and for good
once a process is in it (time_namespaces(7)).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wotemu_runtime.planning.models import Plan  # a node, which looks for the library, does without

_FOLDERS = (
    f"/usr/lib/{os.uname().machine}-linux-gnu/faketime",  # Debian, Ubuntu
    "/usr/lib/arm-linux-gnueabihf/faketime",
    "/usr/lib64/faketime",  # Fedora
    "/usr/lib/faketime",  # Arch, Alpine
    "/usr/local/lib/faketime",
)
_LIBRARY = "libfaketimeMT.so.1"
"""The one for programs with threads: it also corrects waits until a time of the wall clock."""
INSTALL = "install it: sudo apt install libfaketime"


def find_library() -> str | None:
    """The path of libfaketime; None where it is not installed."""
    paths = (Path(folder, _LIBRARY) for folder in _FOLDERS)
    return next((str(path) for path in paths if path.is_file()), None)


def skewed_replicas(plan: Plan) -> frozenset[str]:
    """The replicas whose clocks the scenario skews: their programs are started so that this is possible."""
    return frozenset(
        str(change.node) for change in plan.timeline.all_changes if change.action == "skew_clock"
    )
