"""``wotemu run``: what it takes. Nothing is imported for it before it is asked to run."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from wotemu.cli.failures import reporting_errors
from wotemu.units import Seconds

if TYPE_CHECKING:
    from wotemu.emulation import Emulation, EngineName, ShaperName


class Duration(click.ParamType[Seconds]):
    """A duration that is not zero, as ``90s`` or ``2m``."""

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
    """One of the fidelity certificate's thresholds: its name and value, which are checked later."""

    name = "threshold"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Split it, or fail as click does."""
        name, equals, limit = value.partition("=")
        if not (name and equals and limit):
            self.fail(f"{value!r} is no NAME=VALUE: write change_late_invalid=20ms", param, ctx)
        return name.strip().replace("-", "_"), limit.strip()


class Options(NamedTuple):
    """What was asked for on the command line."""

    path: str
    follow: bool
    duration: Seconds | None
    seed: int | None
    name: str | None
    out: str | None
    engine: EngineName
    keep: bool
    shaper: ShaperName
    threshold: tuple[tuple[str, str], ...]
    strict: bool
    as_json: bool
    debug: bool


@click.command(short_help="Run a deployment and write its report.")
@click.argument("path")
@click.option("--follow", is_flag=True, help="Show what happens as it happens; on a pipe, a line an event.")
@click.option("--duration", type=Duration(), metavar="TIME", help="How long, such as 90s or 5m.")
@click.option("--seed", type=int, metavar="N", help="What every random choice follows from.")
@click.option("--name", help="The run's name.  [default: the file's]")
@click.option("--out", metavar="DIR", help="The run directory.  [default: runs/NAME, numbered if taken]")
@click.option(
    "--engine",
    type=click.Choice(["local", "swarm"]),
    default="local",
    show_default=True,
    help="What places the nodes on machines.",
)
@click.option("--keep", is_flag=True, help="Leave it on the swarm when the run is over.")
@click.option(
    "--shaper",
    type=click.Choice(["auto", "tun", "netem"]),
    default="auto",
    show_default=True,
    help="What imposes the conditions on packets.",
)
@click.option(
    "--threshold",
    type=Threshold(),
    multiple=True,
    metavar="NAME=VALUE",
    help="Beyond what a run is suspect or invalid, such as change_late_invalid=20ms or cpu_suspect=none;"
    " README lists the names. May be repeated.",
)
@click.option("--strict", is_flag=True, help="Exit 3 if the run's fidelity certificate says INVALID.")
@click.option("--json", "as_json", is_flag=True, help="Follow it as one JSON object an event.")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def run(**given: object) -> None:
    """Run the deployment that the Python file PATH describes, and write a report of it.

    PATH has a function topology(), and may have a function scenario(), whose duration and seed --duration
    and --seed override.

    The first Ctrl-C ends the run and still writes its report, a second one ends it at once.

    Each run is certified: VALID, SUSPECT or INVALID, as it did what the scenario says or did not.

    Exit codes: 0 done, 2 bad input, or a machine that can't do it, 3 the emulation failed, 130 interrupted.
    """
    options = Options(**given)  # type: ignore[arg-type]  # click gives what is declared above
    made: list[Emulation] = []
    with reporting_errors(debug=options.debug, run_dir=lambda: made[0].run_dir if made else None):
        from wotemu.cli.session import run_to_end

        made.append(_emulation(options))
        sys.exit(run_to_end(made[0], follow=options.follow, as_json=options.as_json))


def _emulation(options: Options) -> Emulation:
    from wotemu.deployment_file import load
    from wotemu.emulation import Emulation
    from wotemu_runtime.fidelity import Thresholds

    thresholds = Thresholds.of(dict(options.threshold))
    # What the user's file prints is not for who parses JSON lines.
    with contextlib.redirect_stdout(sys.stderr) if options.as_json else contextlib.nullcontext():
        loaded = load(options.path)
    return Emulation(
        loaded,
        name=options.name,
        out=None if options.out is None else Path(options.out),
        duration=options.duration,
        seed=options.seed,
        engine=options.engine,
        keep=options.keep,
        shaper=options.shaper,
        command=[Path(sys.argv[0]).name, *sys.argv[1:]],
        thresholds=thresholds,
        strict=options.strict,
    )
