"""Serves the report of a run while it goes on, until its end."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from wotemu.errors import InputError
from wotemu_report.live.server import PageServer
from wotemu_report.page.head import run_name
from wotemu_report.page.render import PageParts, run_parts
from wotemu_report.recorded.run_data import RunData, reading
from wotemu_runtime.recording.growing_tables import GrowingTables
from wotemu_runtime.recording.run_directory import SPOOL, is_being_recorded

PAUSE_S = 3.0
REST = 4.0
_LAST_PAGE_S = 10.0
_SHARED = ("manifest.json", "topology.json", "timeline.json", "events.jsonl", "logs")
_GROWING = ("manifest.json", "timeline.json", "events.jsonl", "spool/*", "logs/*")

Page = tuple[PageParts, str, str]


async def watch_run(
    run_dir: Path,
    announce: Callable[[str], None],
    *,
    over: asyncio.Event | None = None,
    pause_s: float = PAUSE_S,
    rest: float = REST,
) -> None:
    """Serve the growing report of a run until nobody records there any more.

    Args:
        run_dir: The run directory, which is only read.
        announce: Is called once with the page's address.
        over: Is set when the run is over, where the caller knows.
        pause_s: Between two looks at the directory, in seconds, at least.
        rest: The pause after a page is, at least, so many times the CPU time that making it took: with 4, a
            fifth of one CPU is taken at most.

    Raises:
        HostError: No port can be opened.
        InputError: A file of the run is damaged.
    """
    over = over or asyncio.Event()
    with tempfile.TemporaryDirectory(prefix="wotemu-live-") as folder:
        copy = _RunCopy(run_dir, Path(folder))
        async with PageServer() as server:
            announce(server.address)
            await _follow(run_dir, copy, server, over, pause_s, rest)


async def _follow(
    run_dir: Path, copy: _RunCopy, server: PageServer, over: asyncio.Event, pause_s: float, rest: float
) -> None:
    seen = None
    while True:
        knows_end, state = over.is_set(), _state(run_dir)
        # A look at the lock holds it for an instant: a run that grows need not be asked.
        is_over = knows_end or (state == seen and not is_being_recorded(run_dir))
        if knows_end and not server.is_open_anywhere:
            return
        started = time.process_time()
        if is_over or state != seen:
            try:
                page = await asyncio.to_thread(copy.page, goes_on=not is_over)
                await server.show(*page, is_last=is_over)
            except (InputError, OSError):  # such as a file that is being replaced: the next look finds it
                if is_over:
                    raise
        if is_over:
            await server.drained(_LAST_PAGE_S)
            return
        seen = state
        pause = max(pause_s, rest * (time.process_time() - started))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), pause)


def _state(run_dir: Path) -> list[tuple[str, int, int]]:
    """The sizes and times of the files that a recorder writes."""
    return sorted(_stamps(run_dir))


def _stamps(run_dir: Path) -> Iterator[tuple[str, int, int]]:
    for pattern in _GROWING:
        for path in run_dir.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                yield path.name, found.st_size, found.st_mtime_ns


class _RunCopy:
    """A run directory in another folder, for reports: tables of what is stored by now, links to the rest."""

    def __init__(self, run_dir: Path, folder: Path) -> None:
        self._run_dir = run_dir.resolve()
        self._folder = folder
        self._tables = GrowingTables(self._run_dir, folder / "tables")

    def __repr__(self) -> str:
        return f"_RunCopy({str(self._run_dir)!r}, {str(self._folder)!r})"

    def page(self, *, goes_on: bool) -> Page:
        """The parts of the report, the run's name and WoTemu's version."""
        return reading(self._readable(), _page, goes_on=goes_on)

    def _readable(self) -> Path:
        spool = self._run_dir / SPOOL
        with contextlib.suppress(FileNotFoundError):
            if spool.is_dir():
                self._tables.update()
                self._link_rest()
            if spool.is_dir():
                return self._folder
        return self._run_dir  # it is over, and its own tables are whole

    def _link_rest(self) -> None:
        for name in _SHARED:
            if (self._run_dir / name).exists() and not (self._folder / name).exists():
                (self._folder / name).symlink_to(self._run_dir / name)


def _page(run: RunData) -> Page:
    return run_parts(run), run_name(run), run.manifest.wotemu_version
