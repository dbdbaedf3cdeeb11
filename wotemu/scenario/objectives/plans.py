"""Objectives of a scenario as data of its timeline, with the names that the topology has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wotemu.errors import ScenarioError
from wotemu.scenario.objectives.expect import Objective
from wotemu.scenario.timeline import ObjectivePlan
from wotemu.scenario.vocabulary.actions import seconds
from wotemu.scenario.vocabulary.on_wire import ends_of
from wotemu.scenario.vocabulary.reporting import check_metric, check_requests
from wotemu.scenario.vocabulary.targets import replicas
from wotemu.suggestions import did_you_mean
from wotemu.topology.members import members_by_name
from wotemu.topology.node import Node
from wotemu.topology.topology import Topology


def objective_plans(objectives: Iterable[Objective], topology: Topology) -> tuple[ObjectivePlan, ...]:
    """The objectives as a timeline has them.

    Args:
        objectives: In the order in which they are written.
        topology: Has the nodes that they name.

    Raises:
        ScenarioError: The topology does not have a node, or it runs no app.
    """
    return tuple(_plan(number, each, topology) for number, each in enumerate(objectives))


def _plan(number: int, objective: Objective, topology: Topology) -> ObjectivePlan:
    figure, within_us = objective.figure, objective.within_us
    return ObjectivePlan(
        id=number,
        text=objective.text,
        figure="app" if figure.select.key else figure.kind,
        statistic=figure.select.statistic,
        unit=figure.unit,
        **_selected(objective, topology),
        key=figure.select.key,
        op=objective.op or "",
        limit=objective.limit,
        during=objective.phase,
        after=objective.since,
        within_s=None if within_us is None else float(seconds(within_us)),
        abort=objective.abort,
    )


def _selected(objective: Objective, topology: Topology) -> dict[str, Any]:
    """What is counted, of whom."""
    select, where = objective.figure.select, objective.where
    if (wire := select.wire) is not None:
        nodes, peers = ends_of(wire, topology, where)
        what = {"operation": wire.method, "name": wire.path, "binding": wire.protocol, "role": wire.side}
        return {**what, "replicas": nodes, "peers": peers}
    whose = () if select.node is None else tuple(replicas(select.node, topology, where))
    _check_apps(whose, objective, topology)
    if select.key:
        check_metric(str(select.node), select.key, topology, where)
    elif select.role or objective.figure.kind == "availability":
        asked = {"role": select.role or "consumer", "operation": select.operation, "thing": select.thing}
        check_requests(whose, topology, where, **asked)
    fields = ("operation", "thing", "name", "binding", "role")
    return {field: getattr(select, field) for field in fields} | {"replicas": whose}


def _check_apps(whose: Iterable[str], objective: Objective, topology: Topology) -> None:
    """Refuse brokers, services and uplinks: they have no app that makes requests, reports or is restarted."""
    known = members_by_name(topology)
    for name in whose:
        if not isinstance(owner := known[name], Node):
            kind = type(owner).__name__
            nodes = sorted({each.name for each in known.values() if isinstance(each, Node)})
            raise ScenarioError(
                f"{kind} {name!r} has no app to measure",
                where=objective.where,
                hint=did_you_mean(name, nodes),
            )


def check_phases(objectives: Iterable[Objective], *, reached: Iterable[str], names: Iterable[str]) -> None:
    """Check that every phase that objectives name is one of the scenario's, and begins before its end.

    Args:
        objectives: Of the scenario.
        reached: The phases that begin before its end.
        names: All phases.

    Raises:
        ScenarioError: One is not, or begins too late.
    """
    begun, known = set(reached), list(dict.fromkeys(names))
    for objective in objectives:
        wanted = objective.named_phase
        if not wanted or wanted in begun:
            continue
        if wanted in known:
            raise ScenarioError(
                f"the phase {wanted!r} begins only after the scenario's end",
                where=objective.where,
                hint="give the Scenario a longer duration=",
                field="expect",
            )
        raise ScenarioError(
            f"there is no phase {wanted!r}",
            where=objective.where,
            hint=did_you_mean(wanted, known),
            field="expect",
        )
