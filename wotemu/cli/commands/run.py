"""``wotemu run``: run a deployment and write its report."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

import click

from wotemu.cli.completing import DeploymentFile
from wotemu.cli.failures import reporting_errors
from wotemu.cli.loading import clean_stdout
from wotemu.cli.options import (
    CommandOnSwarm,
    SwarmOption,
    Threshold,
    debug_option,
    duration_option,
    engine_option,
    follow_option,
    follows,
    json_events_option,
    quiet_option,
    seed_option,
    shaper_option,
)
from wotemu.units import Seconds

if TYPE_CHECKING:
    from wotemu.emulation.reported_run import ReportedRun
    from wotemu.emulation.run_options import EngineName, ShaperName
    from wotemu_runtime.engines.local.monitor import Monitor


PCAP = "--pcap"
EVERY_NODE = "*"
"""The value of ``--pcap`` without one."""


class Options(NamedTuple):
    """The command line, parsed."""

    path: str
    follow: bool
    quiet: bool
    duration: Seconds | None
    seed: int | None
    name: str | None
    out: str | None
    engine: EngineName
    keep: bool
    shaper: ShaperName
    threshold: tuple[tuple[str, str], ...]
    strict: bool
    pcap: tuple[str, ...]
    pcap_size: str
    live: bool
    as_json: bool
    debug: bool


class _RunCommand(CommandOnSwarm):
    """The command, whose ``--pcap`` may stand before FILE."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take no path for the nodes of ``--pcap``: no name has a dot or slash."""
        given = [
            f"{PCAP}={EVERY_NODE}" if word == PCAP and {".", "/"} & {*after} else word
            for word, after in zip_longest(args, args[1:], fillvalue="")
        ]
        return super().parse_args(ctx, given)


@click.command(cls=_RunCommand, short_help="Run a deployment and write its report.")
@click.argument("path", metavar="FILE", type=DeploymentFile())
@follow_option
@quiet_option
@duration_option
@seed_option
@click.option(
    "--name", help="Name of the run.  [default: the file's, numbered while another run of this name goes on]"
)
@click.option("--out", metavar="DIR", help="The run directory.  [default: runs/NAME, numbered if taken]")
@engine_option
@click.option(
    "--keep", cls=SwarmOption, is_flag=True, help="Leave the nodes on the swarm when the run is over."
)
@shaper_option
@click.option(
    "--threshold",
    type=Threshold(),
    multiple=True,
    metavar="NAME=VALUE",
    help="A limit beyond which the certificate says SUSPECT or INVALID, such as change_late_invalid=20ms or"
    " cpu_suspect=none; docs/concepts.md lists them. May be repeated.",
)
@click.option("--strict", is_flag=True, help="Exit with 4 if the fidelity certificate says INVALID.")
@click.option(
    PCAP,
    multiple=True,
    is_flag=False,
    flag_value=EVERY_NODE,
    metavar="[NODE,...]",
    help="Store the packets of these nodes, or else of all, for Wireshark: DIR/captures/NODE.pcapng.",
)
@click.option(
    "--pcap-size",
    metavar="SIZE",
    default="64MiB",
    show_default=True,
    help="Size of a node's capture at most; what comes later is counted alone.",
)
@click.option(
    "--live",
    is_flag=True,
    help="Serve the report from T0 on, while it grows, to browsers of this machine that have the address that"
    " is printed.",
)
@json_events_option
@debug_option
def run(**given: object) -> None:
    """Run the deployment that the FILE describes, and write a report of it.

    \b
    wotemu run deployment.py
    wotemu run deployment.py --duration 20s --seed 7 --name short
    wotemu run deployment.py --quiet --strict --threshold change_late_invalid=20ms

    Meanwhile, `wotemu show`, `wotemu set` and others watch and change it from another terminal.

    FILE defines a function topology(), and may define a function scenario().

    The first Ctrl-C ends the run and still writes its report, a second one ends it at once.

    Each run gets a fidelity certificate: VALID if the networks did what the scenario says; SUSPECT or
    INVALID, with the reasons, if not.

    The objectives of the scenario, Scenario(expect=[...]), are printed at the end with their figures; one
    without data has not passed. docs/objectives.md says how they are judged.

    Exit codes: 0 done, 1 an objective has not passed, 2 wrong input or a machine that lacks something,
    3 the emulation or its report failed, 4 the certificate says INVALID and --strict is given,
    130 interrupted.
    """
    options = Options(**given)  # type: ignore[arg-type]  # click gives what is declared above
    from wotemu_runtime.engines.local.monitor import early_monitor

    made: list[ReportedRun] = []
    follow = follows(follow=options.follow, quiet=options.quiet)
    with (
        reporting_errors(debug=options.debug, run_dir=lambda: made[0].run_dir if made else None),
        early_monitor(options.engine, options.shaper) as monitor,
    ):
        # Imported only now, as in all commands: --help and completion answer at once. The sandbox's first
        # process imports what it needs meanwhile.
        with _without_collections():
            from wotemu.cli.session import run_to_end

            made.append(_emulation(options, monitor))
        sys.exit(run_to_end(made[0], follow=follow, as_json=options.as_json, live=options.live))


@contextmanager
def _without_collections() -> Iterator[None]:
    """Exempt all that is imported and made in the block from garbage collection: most of it stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _emulation(options: Options, monitor: Monitor | None) -> ReportedRun:
    from pathlib import Path

    from wotemu.cli.written_places import located
    from wotemu.deployment_file import load
    from wotemu.emulation.reported_run import ReportedRun
    from wotemu.fidelity import Thresholds

    thresholds = Thresholds.of(dict(options.threshold))
    with clean_stdout(as_json=options.as_json):
        deployment = load(options.path)
    with located(deployment.path):
        return ReportedRun(
            deployment,
            name=options.name,
            out=options.out,
            duration=options.duration,
            seed=options.seed,
            engine=options.engine,
            keep=options.keep,
            shaper=options.shaper,
            command=[Path(sys.argv[0]).name, *sys.argv[1:]],
            thresholds=thresholds,
            strict=options.strict,
            monitor=monitor,
            pcap=_nodes(options.pcap),
            pcap_size=options.pcap_size,
        )


def _nodes(given: tuple[str, ...]) -> bool | list[str]:
    """The nodes that are named; True for all, False for none."""
    if EVERY_NODE in given:
        return True
    return [name for each in given for name in each.split(",")] or False
