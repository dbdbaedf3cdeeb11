"""``wotemu report``: writes the report of a run that was recorded earlier."""

from __future__ import annotations

from pathlib import Path

import click

from wotemu.cli.failures import told


@click.command()
@click.option(
    "--run", "run_dir", metavar="DIR", required=True, help="The run's directory, such as runs/quickstart."
)
@click.option("--out", metavar="DIR", help="Where to write it; by default the run's report/.")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def report(run_dir: str, out: str | None, debug: bool) -> None:
    """Write the report of a recorded run, also of one that was killed."""
    with told(debug=debug):
        from wotemu.cli.terminal import console, path_link
        from wotemu.emulation import write_report

        console().print(path_link(write_report(Path(run_dir), Path(out) if out else None)))
