"""Gives this process the lowest priority, so that it takes no time from an emulation on this machine."""

from __future__ import annotations

import contextlib
import os


def yield_to_all() -> None:
    """Give this process, and what it starts, the lowest priority on CPU and disk.

    To be called before Polars is imported: it would take a thread for each CPU, and has one then.
    """
    import psutil

    os.environ["POLARS_MAX_THREADS"] = "1"
    os.nice(19)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError, psutil.Error):
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
