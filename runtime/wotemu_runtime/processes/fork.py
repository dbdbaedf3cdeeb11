"""Forking roles from a process that has their imports loaded: quick to start, and their memory is shared."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import NoReturn


def fork(child: Callable[[], int | None], keep_fds: Iterable[int] = ()) -> int:
    """Run `child` in a new process and return its id. Only `keep_fds` and the standard three stay open in it.

    The caller must be a process of one thread without a running event loop.
    """
    kept = set(keep_fds)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _run(child, kept)
    return pid


def _run(child: Callable[[], int | None], keep_fds: set[int]) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        close_all_except(keep_fds)
        code = child() or 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:  # the last frame of this process: nothing above could report it
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def close_all_except(keep_fds: Iterable[int]) -> None:
    """Close every descriptor but these and the standard three."""
    start = 3
    for fd in sorted(keep_fds):
        os.closerange(start, fd)
        start = max(start, fd + 1)
    os.closerange(start, 1 << 20)


def freeze() -> None:
    """Before forking children: keep the collector from touching, and so copying, what they share."""
    gc.collect()
    gc.freeze()


def exit_text(status: int) -> str:
    """A wait(2) status for people: ``exit code 1`` or ``killed by SIGKILL``."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"
