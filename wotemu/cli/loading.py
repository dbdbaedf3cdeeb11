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
    from wotemu_runtime.engines.local.cgroups.limits import PlanLimits


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


def check_plan(
    deployment: Deployment, resolver: Resolver, engine: str, shaper: str = "auto"
) -> PlanLimits | None:
    """Refuse what a run would refuse before anything starts: programs that are not there, impossible faults.

    Returns:
        What this machine would enforce of nodes' limits; None where there are none, or a swarm would.

    Raises:
        InputError: An app or program is not there.
        HostError: This machine, or a swarm, can't impose the scenario.
    """
    from wotemu.cli.written_places import located
    from wotemu.scenario.timeline import OF_NODES
    from wotemu_runtime.planning.planner import make_plan

    with located(deployment.path):
        plan = make_plan(
            deployment.topology,
            resolver.timeline,
            stack=deployment.path.stem,
            root=deployment.root,
            on_this_machine=engine == "local",
        )
    if engine == "swarm":
        from wotemu_runtime.engines.swarm import requirements

        requirements.check_plan(plan, shaper)
        return None
    has_limits = any(replica.resources is not None for replica in plan.replicas)
    has_faults = any(change.action in OF_NODES for change in plan.timeline.all_changes)
    if not has_limits and not has_faults and shaper != "netem":
        return None  # importing the engine takes a while
    from wotemu_runtime.engines.local import plan_check

    limits = plan_check.check_plan(plan, shaper)
    return limits if has_limits else None
