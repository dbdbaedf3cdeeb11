"""Crashes, stops and cuts: the steps that instants and periods share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.state import Groups, State
from wotemu.scenario.timeline import Change
from wotemu.scenario.vocabulary.actions import Step, TimedStep, microseconds
from wotemu.scenario.vocabulary.targets import HopTarget, NodeTarget, replica_networks, replicas

SILENCE_BEFORE_CRASH_S = 0.05
"""A crashed machine sends no FIN and no RST: its network goes silent this long before its app is killed."""

SILENCE_BEFORE_CRASH_US = microseconds(SILENCE_BEFORE_CRASH_S)


@attrs.frozen(eq=False)
class Span:
    """One period of an event, as the reason for what it cuts, parts or stops. Each is one of its own."""

    where: str


OnReplica = Callable[[State, int, str], Iterator[Change]]


def on_apps(where: str, nodes: NodeTarget, act: OnReplica) -> Step:
    """A step that does something to each replica's app."""

    def step(state: State, at_us: int) -> Iterator[Change]:
        for replica in app_replicas(nodes, state, where):
            yield from act(state, at_us, replica)

    return step


def app_replicas(nodes: NodeTarget, state: State, where: str) -> list[str]:
    """The replicas that are named, all of which have an app that can be started and ended."""
    found = replicas(nodes, state.topology, where)
    for replica in found:
        if replica not in state.app:
            raise ScenarioError(
                f"{replica!r} is a plain service, whose program is not WoTemu's to start or end",
                where=where,
                hint=f"cut it off instead: .cut({replica!r})",
            )
    return found


def crash_steps(where: str, nodes: NodeTarget, at_us: int, crash: Hashable) -> Iterator[TimedStep]:
    """Silence, then the end of the apps. `crash` is what undoes it: see `State.revive`."""
    yield at_us, on_apps(where, nodes, lambda state, at_us, name: state.silence(at_us, name, crash))
    kill = on_apps(where, nodes, lambda state, at_us, name: state.kill(at_us, name, crash))
    yield at_us + SILENCE_BEFORE_CRASH_US, kill


def cutting(where: str, target: HopTarget, reason: Hashable, cut: bool) -> Step:
    """A step that cuts off, or lets back, all that a target stands for."""

    def step(state: State, at_us: int) -> Iterator[Change]:
        for replica, network in replica_networks(target, state.topology, where):
            yield from state.set_cut(at_us, replica, [network], reason, cut)

    return step


def parting(where: str, groups: tuple[NodeTarget, ...], name: Hashable) -> Step:
    """A step that begins a partition, or replaces the one of this name."""

    def step(state: State, at_us: int) -> Iterator[Change]:
        sets: Groups = tuple(tuple(replicas(group, state.topology, where)) for group in groups)
        seen: set[str] = set()
        for names in sets:
            if twice := seen.intersection(names):
                raise ScenarioError(f"{sorted(twice)[0]!r} is in two groups", where=where)
            seen.update(names)
        return state.part(at_us, name, sets, where)

    return step
