"""``wotemu calibrate``: measure how fast machines are beside devices such as a Raspberry Pi."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

import click

from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import debug_option, json_option
from wotemu.errors import EmulationError, HostError

if TYPE_CHECKING:
    from wotemu_runtime.engines.swarm.calibration import RatedMachine


@click.command(short_help="Measure this machine, so that nodes can be as fast as devices.")
@click.option(
    "--engine",
    type=click.Choice(["local", "swarm"]),
    default="local",
    show_default=True,
    help="Measure this machine, or all machines of the swarm of DOCKER_HOST at the same time.",
)
@click.option("--quick", is_flag=True, help="Take the bundled benchmark, three seconds instead of a minute.")
@json_option
@debug_option
def calibrate(engine: str, quick: bool, as_json: bool, debug: bool) -> None:
    """Measure one core of this machine with 7-zip's benchmark, by which devices are known.

    Without 7-zip a bundled benchmark is taken, which is less exact. The rating is stored for this CPU model,
    in the user's cache directory; nodes with NodeResources(device=...) follow it. Close others first.

    With --engine swarm a container on each machine does so, and stores the rating in a volume there.

    \b
    sudo apt install 7zip
    wotemu calibrate
    wotemu calibrate --engine swarm
    """
    with reporting_errors(debug=debug):
        if engine == "swarm":
            asyncio.run(_calibrate_swarm(quick=quick, as_json=as_json))
        else:
            _calibrate_here(quick=quick, as_json=as_json)


def _calibrate_here(*, quick: bool, as_json: bool) -> None:
    from wotemu.cli.screen.terminal import console
    from wotemu_runtime.calibration import seven_zip, store
    from wotemu_runtime.calibration.measuring import measured

    out = console()
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    takes = "a few seconds" if quick or seven_zip.find() is None else "about a minute"
    if not as_json:
        out.print(f"measuring {store.cpu_model()}, {takes} ...", highlight=False)
    try:
        rating = measured(is_quick=quick)
        file = store.save(rating)
    except OSError as error:
        raise HostError(str(error), where="wotemu calibrate", hint="try --quick") from error
    if as_json:
        click.echo(json.dumps({**rating.to_dict(), "file": str(file)}, indent=1))
        return
    out.print(f"one thread: {rating}", highlight=False)
    out.print(f"stored in {file}", highlight=False)
    if not quick and seven_zip.find() is None:
        out.print("7-zip is not installed (sudo apt install 7zip): with it, the rating is more exact")
    if load > 0.5:
        out.print(f"other programs were running (load {load:.1f} a core): better measure again without them")


async def _calibrate_swarm(*, quick: bool, as_json: bool) -> None:
    """Measure all machines of a swarm, and print one line a machine."""
    from wotemu.cli.screen.terminal import console
    from wotemu_runtime.runs.swarm_access import docker_client

    out, found = console(), list["RatedMachine"]()
    async with docker_client() as docker:
        from wotemu_runtime.engines.swarm.calibration import rate_machines

        if not as_json:
            takes = "some seconds" if quick else "about a minute"
            out.print(f"measuring all machines of the swarm, {takes} ...", highlight=False)
        async for machine in rate_machines(docker, is_quick=quick):
            found.append(machine)
            if not as_json and machine.rating is not None:
                out.print(f"{machine.host}, {machine.rating.cpu_model}: {machine.rating}", highlight=False)
    if as_json:
        rated = {each.host: each.rating.to_dict() for each in found if each.rating is not None}
        click.echo(json.dumps(rated, indent=1))
    if failed := [f"{each.host}: {each.error}" for each in found if each.rating is None]:
        raise EmulationError("; ".join(failed), where="wotemu calibrate", hint="is the image there?")
