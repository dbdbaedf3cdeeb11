"""The process that serves the growing page of a run that this command runs."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from pathlib import Path

_END_S = 15.0
"""A process that has not ended by itself so long after the run is killed."""


class LivePage:
    """Serves a run's page from another process, which is of low priority, from `start` to `end`."""

    def __init__(self, announce: Callable[[str], None]) -> None:
        """Prepare; `announce` is called with the page's address, or with "" where it can't be served."""
        self._announce = announce
        self._serving: asyncio.Task[Process] | None = None

    def __repr__(self) -> str:
        return f"LivePage({self._serving})"

    def start(self, run_dir: Path) -> None:
        """Start the process; once."""
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve(run_dir), name="live page")

    async def _serve(self, run_dir: Path) -> Process:
        command = ("-P", "-m", "wotemu.cli", "report", str(run_dir), "--watch", "--until-eof")
        # A session of its own: Ctrl-C is for the run, whose end the page shows.
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True
        )
        if process.stdout is not None:
            self._announce((await process.stdout.readline()).decode().strip())
        return process

    async def end(self) -> None:
        """Let browsers have the final page, and wait for the process."""
        if self._serving is None:
            return
        process = await self._serving
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _END_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
