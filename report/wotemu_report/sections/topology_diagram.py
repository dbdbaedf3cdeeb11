"""Topology: nodes across networks as a diagram, and as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from wotemu.wording import counted
from wotemu_report.blocks import Block, Column, Diagram, Empty, LinkDot, NetworkLane, NodeLine, Section, Table
from wotemu_report.charts import palette
from wotemu_report.formats import percent, seconds
from wotemu_report.queries.link_troubles import link_troubles
from wotemu_report.queries.node_groups import group_of
from wotemu_report.recorded.manifest import RecordedReplica
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.folding import folded
from wotemu_report.state_text import UNSHAPED, conditions_text

_MAX_LINES = 24
_LINE_PX, _TOP_PX, _LEFT_PX, _BOX_PX, _WIDTH_PX = 38.0, 70.0, 316.0, 254.0, 1180.0
_LEAST_LANE_PX, _MOST_LANE_PX = 210.0, 430.0
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
    addresses: Mapping[str, str]
    node: str
    replicas: Sequence[str]


_CUT, _LOSSY, _FINE, _UNKNOWN = (
    "cut off from others",
    "over 1 % lost in a phase",
    "none of these",
    "not measured",
)
_SLOW = "slower in a phase than in the first"
_TROUBLE_COLORS = {
    _CUT: palette.BAD, _LOSSY: palette.SERIES[1], _SLOW: palette.SERIES[5], _FINE: palette.SERIES[2],
    _UNKNOWN: palette.OTHERS,
}  # fmt: skip
_LOSSY_FROM = 0.01
_SLOW_FACTOR, _SLOW_LEAST_S = 1.5, 0.01


def diagram(run: RunData) -> Diagram:
    """Networks as lanes, replicas as lines; beyond 24 replicas those of one group are one line."""
    colors = palette.colors(run.network_names())
    networks = {str(entry.get("name")): entry for entry in run.topology.get("networks") or ()}
    room = (_WIDTH_PX - _LEFT_PX) / max(1, len(colors))
    apart = max(_LEAST_LANE_PX, min(_MOST_LANE_PX, room))
    lanes = [
        NetworkLane(name, _conditions(networks.get(name, {})), _LEFT_PX + apart * number, color)
        for number, (name, color) in enumerate(colors.items())
    ]
    lane_of = {lane.name: lane for lane in lanes}
    links = _links(run)
    drawn = [
        _line(group, _TOP_PX + _LINE_PX * (number + 0.5), lane_of, links, link_troubles(run))
        for number, group in enumerate(_groups(run))
    ]
    return Diagram(
        "Nodes and networks",
        "A line is a link, coloured by what it suffered: beside its address how long it was cut, the worst "
        "loss and the longest delay to its nearest node (medians, worst phase); below it the conditions that "
        "it adds to its network's.",
        width=_LEFT_PX + apart * max(1, len(lanes)),
        height=_TOP_PX + _LINE_PX * len(drawn) + 10,
        lane_width=apart - 16,
        node_width=_BOX_PX,
        lanes=lanes,
        lines=drawn,
        legend=[
            (name, color)
            for name, color in _TROUBLE_COLORS.items()
            if any(dot.trouble == name for line in drawn for dot in line.links)
        ],
    )


def _line(
    group: _Group,
    y: float,
    lane_of: Mapping[str, NetworkLane],
    links: Mapping[tuple[str, str], str],
    troubles: Mapping[tuple[str, str], Mapping[str, float]],
) -> NodeLine:
    dots = [
        _dot(
            lane_of[network].x,
            network,
            address,
            links.get((group.node, network), ""),
            [troubles[network, name] for name in group.replicas if (network, name) in troubles],
        )
        for network, address in sorted(group.addresses.items(), key=lambda pair: lane_of[pair[0]].x)
    ]
    return NodeLine(group.name, group.detail, group.kind, y, dots)


def _dot(
    x: float, network: str, address: str, conditions: str, troubles: Sequence[Mapping[str, float]]
) -> LinkDot:
    """The link of one replica, or of several: then with the worst of them."""
    worst = {key: max(each[key] for each in troubles if key in each) for key in ("cut", "loss", "delay")
             if any(key in each for each in troubles)}  # fmt: skip
    kind = min((_kind(each) for each in troubles), key=list(_TROUBLE_COLORS).index, default=_UNKNOWN)
    words = []
    if worst.get("cut"):
        words.append(f"cut {seconds(worst['cut'])}")
    if worst.get("loss"):
        words.append(f"loss {percent(worst['loss'])}")
    if "delay" in worst:
        words.append(seconds(worst["delay"]))
    return LinkDot(x, _TROUBLE_COLORS[kind], network, address, conditions, kind, " · ".join(words))


def _kind(trouble: Mapping[str, float]) -> str:
    if trouble.get("cut"):
        return _CUT
    if trouble.get("loss", 0.0) > _LOSSY_FROM:
        return _LOSSY
    first = trouble.get("first")
    if first is not None and trouble["delay"] > max(first * _SLOW_FACTOR, first + _SLOW_LEAST_S):
        return _SLOW
    return _FINE


def _groups(run: RunData) -> list[_Group]:
    replicas = run.manifest.replicas
    if len(replicas) <= _MAX_LINES:
        return [_Group(r.name, r.app, r.kind, r.addresses, r.node, [r.name]) for r in replicas]
    groups: dict[str, list[RecordedReplica]] = {}
    for replica in replicas:
        groups.setdefault(group_of(run)[replica.name], []).append(replica)
    return [_one_line(name, copies) for name, copies in groups.items()]


def _one_line(name: str, copies: list[RecordedReplica]) -> _Group:
    first, more = copies[0], len(copies) - 1
    addresses = {
        network: f"{address} +{more}" if more else address for network, address in first.addresses.items()
    }
    apps = list(dict.fromkeys(replica.app for replica in copies))
    detail = first.app if len(apps) == 1 else counted(len(apps), "app")
    return _Group(
        f"{name} × {len(copies)}" if more else name,
        detail,
        first.kind,
        addresses,
        first.node,
        [replica.name for replica in copies],
    )


def _conditions(network: Mapping[str, Any]) -> str:
    return conditions_text(network.get("conditions")) + (", shared" if network.get("shared") else "")


def _links(run: RunData) -> dict[tuple[str, str], str]:
    """The conditions that a node's own link adds, by node and network; links that add none are left out."""
    found = {}
    for node in run.topology.get("nodes") or ():
        for link in node.get("networks") or ():
            added = _both_ways(conditions_text(link.get("up")), conditions_text(link.get("down")))
            if added:
                found[str(node.get("name")), str(link.get("network"))] = added
    return found


def _both_ways(up: str, down: str) -> str:
    if up == down:
        return "" if up == UNSHAPED else f"each way {up}"
    return "; ".join(f"{way} {text}" for way, text in (("up", up), ("down", down)) if text != UNSHAPED)


def _networks(run: RunData) -> Table:
    members = Counter(network for replica in run.manifest.replicas for network in replica.addresses)
    rows = [
        (
            name := str(entry.get("name")),
            conditions_text(entry.get("conditions")),
            "yes" if entry.get("shared") else "no",
            members[name],
        )
        for entry in run.topology.get("networks") or ()
    ]
    return Table(
        "Networks",
        "Conditions at T0 of one crossing; the rate limits each node's up and down hop separately, a shared "
        "rate all of them together.",
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
    table = Table(
        "Nodes, brokers and services",
        "A row for each replica. WoTPy fixes: known defects of WoTPy that were patched for this node at its "
        "request.",
        (
            Column("Name", "node"),
            Column("Kind"),
            Column("App or command", "code"),
            Column("Addresses"),
            Column("Link conditions"),
            Column("WoTPy fixes"),
        ),
        rows,
    )
    groups = group_of(run)
    named = {"Name": [groups[replica.name] for replica in run.manifest.replicas]}
    return folded(table, ["Name", "Kind"], named)
