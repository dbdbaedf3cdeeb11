"""What ran: nodes across networks as a diagram, and as tables."""

from __future__ import annotations

from typing import Any

import attrs

from wotemu_report.blocks import Block, Column, Diagram, Empty, Lane, Line, Section, Stop, Table
from wotemu_report.charts.network_colours import network_colors
from wotemu_report.recorded.dataset import RunData
from wotemu_report.recorded.manifest import Replica
from wotemu_report.wording import UNSHAPED, describe

_MAX_LINES = 24
_ROW, _TOP, _LEFT, _BOX, _WIDTH = 32.0, 70.0, 316.0, 254.0, 1180.0
_LANES = (210.0, 430.0)
_LEAD = "Every link passes its network's gateway, which imposes the conditions; delays are one way."


def section(run: RunData) -> Section:
    """The nodes, brokers and services, and the networks between them."""
    if not run.manifest.replicas and not run.topology.get("nodes"):
        return Section("topology", "Topology", "", [Empty("", "The run failed before anything was placed.")])
    blocks: list[Block] = [diagram(run)] if run.manifest.replicas else []
    return Section("topology", "Topology", _LEAD, [*blocks, _networks(run), _replicas(run)])


@attrs.frozen
class _Group:
    """Replicas that are drawn as one line."""

    name: str
    detail: str
    kind: str
    addresses: dict[str, str]
    node: str


def diagram(run: RunData) -> Diagram:
    """Networks as lanes, replicas as lines; beyond 24 replicas those of one node are one line."""
    colors = network_colors(run)
    networks = {str(entry.get("name")): entry for entry in run.topology.get("networks") or ()}
    apart = max(_LANES[0], min(_LANES[1], (_WIDTH - _LEFT) / max(1, len(colors))))
    lanes = [
        Lane(name, _conditions(networks.get(name, {})), _LEFT + apart * number, color)
        for number, (name, color) in enumerate(colors.items())
    ]
    at = {lane.name: lane for lane in lanes}
    links = _links(run)
    groups = _groups(run.manifest.replicas)
    drawn = [_line(group, number, at, links) for number, group in enumerate(groups)]
    return Diagram(
        "Nodes and networks",
        "A dot is a link: its address, and the conditions that it adds to its network's.",
        _LEFT + apart * max(1, len(lanes)),
        _TOP + _ROW * len(drawn) + 10,
        apart - 16,
        _BOX,
        lanes,
        drawn,
    )


def _line(group: _Group, number: int, at: dict[str, Lane], links: dict[tuple[str, str], str]) -> Line:
    stops = [
        Stop(at[network].x, at[network].color, network, address, links.get((group.node, network), ""))
        for network, address in sorted(group.addresses.items(), key=lambda pair: at[pair[0]].x)
    ]
    end = max((stop.x for stop in stops), default=_BOX)
    return Line(group.name, group.detail, group.kind, _TOP + _ROW * number + _ROW / 2, end, stops)


def _groups(replicas: tuple[Replica, ...]) -> list[_Group]:
    if len(replicas) <= _MAX_LINES:
        return [_Group(r.name, r.app, r.kind, r.addresses, r.node) for r in replicas]
    nodes: dict[str, list[Replica]] = {}
    for replica in replicas:
        nodes.setdefault(replica.node, []).append(replica)
    return [_together(node, copies) for node, copies in nodes.items()]


def _together(node: str, copies: list[Replica]) -> _Group:
    first, more = copies[0], len(copies) - 1
    addresses = {name: f"{address} +{more}" if more else address for name, address in first.addresses.items()}
    return _Group(f"{node} × {len(copies)}" if more else node, first.app, first.kind, addresses, node)


def _conditions(network: dict[str, Any]) -> str:
    return describe(network.get("conditions")) + (", shared" if network.get("shared") else "")


def _links(run: RunData) -> dict[tuple[str, str], str]:
    """(node, network) -> what the node's own link adds, where it adds something."""
    found = {}
    for node in run.topology.get("nodes") or ():
        for link in node.get("networks") or ():
            told = _both_ways(describe(link.get("up")), describe(link.get("down")))
            if told:
                found[str(node.get("name")), str(link.get("network"))] = told
    return found


def _both_ways(up: str, down: str) -> str:
    if up == down:
        return "" if up == UNSHAPED else f"each way {up}"
    return "; ".join(f"{side} {told}" for side, told in (("up", up), ("down", down)) if told != UNSHAPED)


def _networks(run: RunData) -> Table:
    members: dict[str, int] = {}
    for replica in run.manifest.replicas:
        for network in replica.addresses:
            members[network] = members.get(network, 0) + 1
    rows = [
        (str(entry.get("name")), describe(entry.get("conditions")), "yes" if entry.get("shared") else "no",
         members.get(str(entry.get("name")), 0))
        for entry in run.topology.get("networks") or ()
    ]  # fmt: skip
    return Table(
        "Networks",
        "Conditions at T0 of one crossing; the rate limits each node's way up and its way down.",
        (Column("Network"), Column("Conditions"), Column("Shared rate"), Column("Nodes", "int")),
        rows,
    )


def _replicas(run: RunData) -> Table:
    links, fixes = _links(run), run.manifest.wotpy_fixes
    rows = [
        (
            replica.name,
            replica.kind,
            replica.app,
            ", ".join(f"{network} {address}" for network, address in replica.addresses.items()),
            "; ".join(
                links[replica.node, network]
                for network in replica.addresses
                if (replica.node, network) in links
            ),
            ", ".join(fixes.get(replica.node) or fixes.get(replica.name) or ()),
        )
        for replica in run.manifest.replicas
    ]
    return Table(
        "Nodes, brokers and services",
        "A row for each replica. WoTPy fixes: known defects of WoTPy that were mended for this node "
        "at its request.",
        (
            Column("Name"),
            Column("Kind"),
            Column("App or command", "code"),
            Column("Addresses"),
            Column("Its own links"),
            Column("WoTPy fixes"),
        ),
        rows[:300],
        total=len(rows),
        filterable=len(rows) > 12,
    )
