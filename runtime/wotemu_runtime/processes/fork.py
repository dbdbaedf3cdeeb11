"""Forks children from a process that has imported their modules: they start fast and share its memory."""

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
    """Run `child` in a new process. The caller must have one thread and no running event loop.

    Args:
        child: Returns the exit code; None is 0.
        keep_fds: Descriptors that stay open in the child, besides 0, 1 and 2.

    Returns:
        The child's process id.
    """
    kept = set(keep_fds)
    # Else both processes would write what is buffered now.
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _run(child, kept)
    return pid


def _run(child: Callable[[], int | None], keep_fds: set[int]) -> NoReturn:
    code = 1
    try:
        # The parent's wake-up pipe and handlers would get this process's signals.
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        close_all_except(keep_fds)
        code = child() or 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:  # no caller is left that could report it
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)  # without the cleanup handlers, which are the parent's


def close_all_except(keep_fds: Iterable[int]) -> None:
    """Close every descriptor but these and 0, 1 and 2."""
    start = 3
    for fd in sorted(keep_fds):
        os.closerange(start, fd)
        start = max(start, fd + 1)
    os.closerange(start, 1 << 20)


def freeze() -> None:
    """Exempt all present objects from garbage collection, before children are forked.

    The collector writes to each object that it visits, and so the kernel would copy the shared pages.
    """
    gc.collect()
    gc.freeze()


def exit_text(status: int) -> str:
    """A wait(2) status in words: ``exit code 1`` or ``killed by SIGKILL``."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"
