"""Options that several commands have, with one name, type and help text each."""

from __future__ import annotations

import sys

import click

from wotemu.units import Seconds


class Duration(click.ParamType[Seconds]):
    """A duration that is not zero, such as ``90s`` or ``2m``."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Seconds:
        """Parse it, or fail as click does."""
        try:
            duration = Seconds.offset(value)
        except (ValueError, TypeError) as error:
            self.fail(str(error), param, ctx)
        if not duration:
            self.fail(f"{value!r} is no time at all: write 30s or 2m", param, ctx)
        return duration


class Threshold(click.ParamType[tuple[str, str]]):
    """One of the fidelity certificate's thresholds: its name and value, which `Thresholds.of` checks."""

    name = "threshold"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Split it, or fail as click does."""
        name, equals, limit = value.partition("=")
        if not (name and equals and limit):
            self.fail(f"{value!r} is no NAME=VALUE: write change_late_invalid=20ms", param, ctx)
        return name.strip().replace("-", "_"), limit.strip()  # as in change-late-invalid


class SwarmOption(click.Option):
    """An option that only a swarm has a use for."""


class CommandOnSwarm(click.Command):
    """A command whose help has its swarm's options under a heading of their own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then those of a swarm."""
        found: dict[str, list[tuple[str, str]]] = {"Options": [], "Options on a swarm": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                found["Options on a swarm" if isinstance(param, SwarmOption) else "Options"].append(record)
        for heading, rows in found.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


duration_option = click.option(
    "--duration",
    type=Duration(),
    metavar="TIME",
    help="Length of the scenario, such as 90s or 5m.  [default: the scenario's own]",
)
seed_option = click.option(
    "--seed",
    type=int,
    metavar="N",
    help="Seed of the random number generators.  [default: the scenario's own]",
)
follow_option = click.option(
    "--follow",
    is_flag=True,
    help="Show events as they happen; on a pipe, one line for each.  [default: on a terminal]",
)
json_events_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object for each event."
)
engine_option = click.option(
    "--engine",
    type=click.Choice(["local", "swarm"]),
    default="local",
    show_default=True,
    help="Run the nodes in namespaces of this machine, or on the Docker Swarm of DOCKER_HOST.",
)
shaper_option = click.option(
    "--shaper",
    type=click.Choice(["auto", "tun", "netem"]),
    default="auto",
    show_default=True,
    help="Delay, drop and limit packets in user space (tun) or in the kernel (netem); auto takes netem"
    " where the kernel has it and it is accurate enough.",
)
checked_engine_option = click.option(
    "--engine",
    type=click.Choice(["local", "swarm"]),
    default="local",
    show_default=True,
    help="Check as a run with this engine would that apps and programs are there and faults can be imposed.",
)
debug_option = click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
for_option = click.option(
    "--for", "lasting", type=Duration(), metavar="TIME", help="End it after so long.  [default: it stays]"
)
quiet_option = click.option(
    "-q", "--quiet", is_flag=True, help="Show warnings, errors and the summary alone."
)


def follows(*, follow: bool, quiet: bool) -> bool:
    """Whether to show events as they happen: by default on a terminal.

    Raises:
        click.UsageError: Both are given.
    """
    if follow and quiet:
        raise click.UsageError("give either --follow, or --quiet")
    return follow or (sys.stdout.isatty() and not quiet)
