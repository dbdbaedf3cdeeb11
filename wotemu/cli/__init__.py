"""The command line: a module for each command in `commands`, what is printed in `screen`."""

from __future__ import annotations

import click

from wotemu.cli.commands.attach import attach
from wotemu.cli.commands.compose import compose
from wotemu.cli.commands.doctor import doctor
from wotemu.cli.commands.plan import plan
from wotemu.cli.commands.ps import ps, rm
from wotemu.cli.commands.report import report
from wotemu.cli.commands.run import run
from wotemu.cli.commands.stop import stop

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="wotemu", message="%(prog)s %(version)s")
def main() -> None:
    """Emulate an IoT or edge deployment: real apps, real packets, scripted network conditions, one report."""


main.add_command(run)
main.add_command(attach)
main.add_command(plan)
main.add_command(report)
main.add_command(compose)
main.add_command(stop)
main.add_command(ps)
main.add_command(rm)
main.add_command(doctor)
