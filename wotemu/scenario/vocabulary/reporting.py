"""Refuses guards and objectives about what surely is never reported, with what is.

An app of the user's own may do anything: of these, nothing is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wotemu.errors import ScenarioError
from wotemu.suggestions import did_you_mean
from wotemu.topology.builtin_apps import (
    ALL_BY_WOTPY,
    BUILTIN_METRICS,
    BUILTIN_REQUESTS,
    OF_ONE_THING,
    SERVES_NOTHING,
)
from wotemu.topology.members import Member, members_by_name
from wotemu.topology.node import Node
from wotemu.topology.service import Service
from wotemu.topology.topology import Topology
from wotemu.topology.uplink import Uplink

_NOT_OF_NODES = ("run.", "guard.", "deploy.", "control.", "gateway.", "page.", "uplink.")
"""Events that neither a node nor a broker reports."""


def check_metric(node: str, key: str, topology: Topology, where: str) -> None:
    """Check that a node may report a metric.

    Raises:
        ScenarioError: It surely never does.
    """
    owner = members_by_name(topology)[node.removeprefix("node:")]
    if not isinstance(owner, Node):
        reporting = [each.name for each in topology.nodes if _metrics(each) != ()]
        raise ScenarioError(
            f"{_kind(owner)} {owner.name!r} reports no metrics",
            where=where,
            hint=f"nodes do: {', '.join(reporting)}" if reporting else None,
        )
    keys = _metrics(owner)
    if keys is not None and key not in keys:
        raise ScenarioError(
            f"the built-in app {_builtin(owner)!r} of {node!r} never reports {key!r}",
            where=where,
            hint=did_you_mean(key, keys) or "it reports no metrics",
        )


def check_event(kind: str, node: str, topology: Topology, where: str) -> None:
    """Check that a node or broker may report events of a kind.

    Raises:
        ScenarioError: It surely never does.
    """
    owner = members_by_name(topology)[node.removeprefix("node:")]
    if isinstance(owner, Service | Uplink):
        raise ScenarioError(
            f"{_kind(owner)} {owner.name!r} reports no events",
            where=where,
            hint=f'write event("{kind}") for those of any role',
        )
    if kind.startswith(_NOT_OF_NODES) or (kind == "broker.ready" and isinstance(owner, Node)):
        raise ScenarioError(
            f"no node reports {kind!r}" if kind != "broker.ready" else f"{node!r} is no broker",
            where=where,
            hint=f'write event("{kind}") without node',
        )


def check_requests(
    whose: Sequence[str],
    topology: Topology,
    where: str,
    *,
    role: str = "consumer",
    operation: str = "",
    thing: str = "",
) -> None:
    """Check that one of some nodes may make or serve such requests.

    Args:
        whose: Replicas; none means all.
        topology: Has their apps.
        where: For messages.
        role: Who measures them: ``consumer`` or ``producer``.
        operation: Such as ``readproperty``; "" for all.
        thing: The Thing's id; "" for all.

    Raises:
        ScenarioError: Surely none of them does.
    """
    known = members_by_name(topology)
    nodes = [known[name] for name in whose] if whose else list(topology.nodes)
    apps = {owner.name: _builtin(owner) for owner in nodes}
    if not apps or not all(apps.values()):
        return
    listed = ", ".join(f"{name} ({app})" for name, app in apps.items())
    if role == "producer":
        if all(app in SERVES_NOTHING for app in apps.values()):
            message = f"no Thing is served by {listed}: these built-in apps only ask others"
            raise ScenarioError(message, where=where, hint="leave role out")
        return
    made = sorted({each for app in apps.values() for each in BUILTIN_REQUESTS[str(app)]})
    if not made or (operation and operation not in made):
        what = f"{operation or 'request'} is made by {listed}"
        hint = f"they make {', '.join(made)}" if made else 'write role="producer" for what they are asked'
        raise ScenarioError(f"no {what}", where=where, hint=hint)
    if thing and all(app in OF_ONE_THING for app in apps.values()):
        things = {
            str(owner.app.params.get("thing_id")) for owner in nodes if isinstance(owner, Node) and owner.app
        }
        if thing not in things:
            message = f"no request to {thing!r} is made by {listed}"
            raise ScenarioError(message, where=where, hint=did_you_mean(thing, sorted(things)))


def check_on_wire(nodes: Iterable[Member], where: str) -> None:
    """Check that the requests of one of some nodes may be seen on the wire.

    Raises:
        ScenarioError: Surely none is, as WoTPy measures them.
    """
    apps = {owner.name: _builtin(owner) for owner in nodes}
    if apps and all(app in ALL_BY_WOTPY for app in apps.values()):
        listed = ", ".join(f"{name} ({app})" for name, app in apps.items())
        raise ScenarioError(
            f"no request of {listed} is seen on the wire: WoTPy itself measures those of built-in apps",
            where=where,
            hint=f'write p95("readproperty", node="{next(iter(apps))}")',
        )


def _builtin(owner: Member) -> str | None:
    """The built-in app that it runs; None where it runs another program."""
    app = owner.app if isinstance(owner, Node) else None
    return app.target if app is not None and app.target in BUILTIN_METRICS else None


def _metrics(owner: Member) -> tuple[str, ...] | None:
    """The metrics of a node's built-in app; None where it may report any."""
    app = _builtin(owner)
    return None if app is None else BUILTIN_METRICS[app]


def _kind(owner: Member) -> str:
    return type(owner).__name__
