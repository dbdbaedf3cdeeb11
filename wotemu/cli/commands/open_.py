"""``wotemu open``: a run's report in the browser."""

from __future__ import annotations

import os
from pathlib import Path

import click

from wotemu.cli.completing import RunName
from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import debug_option


@click.command("open", short_help="Open a run's report in the browser.")
@click.argument("run", required=False, type=RunName())
@debug_option
def open_(run: str | None, debug: bool) -> None:
    """Open the report of RUN, a run's directory or its name under runs/; by default, of the newest one there.

    Of a folder that `wotemu search` made, it is the search's own page. A run's is written first where there
    is none yet, or the run still goes on. Its path is printed; without a display (DISPLAY, WAYLAND_DISPLAY)
    or BROWSER, nothing more is done.

    \b
    wotemu open
    wotemu open quickstart
    """
    with reporting_errors(debug=debug):
        from wotemu.cli.local_runs import found_run, newest_run, page_of_runs
        from wotemu.cli.screen.terminal import console, path_link

        searched = None if run is None else page_of_runs(run)
        page = searched or _page(newest_run() if run is None else found_run(run))
        console().print(path_link(page))
        if has_browser():
            import webbrowser

            webbrowser.open(page.resolve().as_uri())


def _page(run_dir: Path) -> Path:
    """The report's page, which is written where it isn't there or the run goes on."""
    from wotemu.emulation.reports import write_report
    from wotemu_runtime.recording.run_directory import is_being_recorded

    page = run_dir / "report" / "index.html"
    return page if page.is_file() and not is_being_recorded(run_dir) else write_report(run_dir)


def has_browser() -> bool:
    """Whether a browser can show a window; one for terminals would take this terminal over."""
    return any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
