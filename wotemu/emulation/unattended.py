"""Run a deployment to its end in one call, awaited or blocking."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict, Unpack

from wotemu.emulation.emulation import Emulation
from wotemu.emulation.run_options import EngineName, ShaperName
from wotemu.errors import InputError
from wotemu.fidelity import Thresholds
from wotemu.recorded_run import RecordedRun
from wotemu.scenario.scenario import Scenario
from wotemu.topology.topology import Topology
from wotemu.units import QuantityLike


class EmulationOptions(TypedDict, total=False):
    """The keyword arguments of `Emulation`."""

    engine: EngineName
    shaper: ShaperName
    name: str
    out: Any
    root: Any
    duration: QuantityLike | None
    seed: int | None
    thresholds: Thresholds | None


async def run(
    topology: Topology, scenario: Scenario | None = None, **options: Unpack[EmulationOptions]
) -> RecordedRun:
    """Run a deployment to the end of its scenario.

    Args:
        topology: What to run.
        scenario: What changes and when; None for a minute in which nothing does.
        options: The keyword arguments of `Emulation`.

    Returns:
        The record of the run.

    Raises:
        InputError: A value is not what it has to be.
        HostError: This machine lacks something.
        WotemuError: What failed the run.
    """
    async with Emulation(topology, scenario, **options) as emulation:
        await emulation.done()
    return emulation.result


def run_sync(
    topology: Topology, scenario: Scenario | None = None, **options: Unpack[EmulationOptions]
) -> RecordedRun:
    """`run` for scripts without asyncio: it returns when the run is over. Ctrl-C ends the run.

    Raises:
        InputError: An event loop runs already, as in a notebook; else as `run`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run(topology, scenario, **options))
    raise InputError("an event loop runs already", where="run_sync", hint="write: await wotemu.run(...)")
