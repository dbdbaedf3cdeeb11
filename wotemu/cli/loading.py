"""Load a deployment's file for a command."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wotemu.units import Seconds

if TYPE_CHECKING:
    from wotemu.deployment_file import Deployment
    from wotemu.scenario import Resolver
    from wotemu_runtime.planning.models import Plan


@contextlib.contextmanager
def clean_stdout(*, as_json: bool) -> Iterator[None]:
    """Send what the deployment's file prints to stderr, where a program parses JSON from stdout."""
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        yield


def load_and_resolve(
    path: str,
    duration: Seconds | None,
    seed: int | None,
    *,
    func: str = "topology",
    as_json: bool = False,
    unscripted: Seconds | None = None,
) -> tuple[Deployment, Resolver]:
    """Load a file, and resolve its scenario to a timeline.

    Args:
        path: The file.
        duration: In place of the scenario's.
        seed: In place of the scenario's.
        func: The file's function that gives the topology.
        as_json: Whether stdout is for JSON alone.
        unscripted: The duration where the file has no scenario and none is given; None for `Scenario`'s own.
    """
    from wotemu.deployment_file import load
    from wotemu.scenario import Resolver

    with clean_stdout(as_json=as_json):
        deployment = load(path, func)
    if duration is None and not deployment.has_scenario:
        duration = unscripted
    resolver = Resolver.overriding(deployment.topology, deployment.scenario, duration=duration, seed=seed)
    resolver.warnings[:0] = deployment.warnings
    return deployment, resolver


def check_programs(deployment: Deployment, resolver: Resolver, engine: str) -> Plan:
    """Refuse apps and programs that are not there, as a run would before anything starts.

    Returns:
        The plan of such a run.
    """
    from wotemu.cli.written_places import located
    from wotemu_runtime.planning.planner import make_plan

    with located(deployment.path):
        return make_plan(
            deployment.topology,
            resolver.timeline,
            stack=deployment.path.stem,
            root=deployment.root,
            on_this_machine=engine == "local",
        )
