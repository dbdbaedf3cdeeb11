"""Requests seen on the wire, for objectives and guards: ``http("GET", "/status", node="client")``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, get_args

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.vocabulary.reporting import check_on_wire
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.scenario.vocabulary.targets import NodeTarget, replicas, reusable, target_label
from wotemu.suggestions import did_you_mean
from wotemu.topology.members import members_by_name
from wotemu.topology.node import Node
from wotemu.topology.topology import Topology

Side = Literal["client", "server"]
HTTP_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
COAP_METHODS = ("GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH")
MAX_PATTERN = 200
"""Characters of a path that are recorded."""


@attrs.frozen(kw_only=True)
class OnWire:
    """Which requests of those that nodes' packets show; "" and None stand for all.

    Attributes:
        protocol: ``http`` or ``coap``.
        method: Such as ``GET``.
        path: Where each ``*`` stands for any text.
        side: At which end of the connection they are seen.
        node: That end: names, objects or a tag, as the user gave them.
        peer: The other end.
    """

    protocol: Literal["http", "coap"]
    method: str = ""
    path: str = ""
    side: Side = "client"
    node: Any = None
    peer: Any = None

    @property
    def text(self) -> str:
        """Such as ``HTTP GET /status of client to hub, seen on the wire``."""
        names = {"http": "HTTP", "coap": "CoAP"}
        parts = [names[self.protocol], self.method, self.path or "requests"]
        node, peer = (target_label(each) if each is not None else "" for each in (self.node, self.peer))
        is_client = self.side == "client"
        parts += [f"of {node}" if node and is_client else "", f"to {peer}" if peer and is_client else ""]
        parts += [
            f"at {node}" if node and not is_client else "",
            f"of {peer}" if peer and not is_client else "",
        ]
        seen = "seen on the wire" if is_client else "seen on the servers' wire"
        return f"{' '.join(filter(None, parts))}, {seen}"


def http(
    method: str | None = None,
    path: str | None = None,
    *,
    node: NodeTarget | None = None,
    peer: NodeTarget | None = None,
    side: Side = "client",
) -> OnWire:
    """Requests of HTTP that were seen on the wire: ``p95(http("GET", "/status", node="client")) < "500ms"``.

    They are those of the table `requests`: of programs that are not WoTPy, in the clear. What apps on WoTPy
    ask and serve are interactions: ``p95("readproperty")``.

    Args:
        method: Such as ``"GET"``; None for all.
        path: Without the query; each ``*`` stands for any text, as in ``"/sensors/*/value"``. None for all.
        node: Whose: a Node, its name or a replica's, a tag, or several; None for all.
        peer: Who is at the other end, likewise, or the address of another machine.
        side: At which end they were seen: ``"client"``, whose durations include the network, or ``"server"``.

    Raises:
        ScenarioError: There is no such method or side, or no request has such a path.
    """
    return _on_wire("http", HTTP_METHODS, method, path, side, node, peer)


def coap(
    method: str | None = None,
    path: str | None = None,
    *,
    node: NodeTarget | None = None,
    peer: NodeTarget | None = None,
    side: Side = "client",
) -> OnWire:
    """Requests of CoAP that were seen on the wire; arguments are those of `http`.

    Notifications of observations are no requests.
    """
    return _on_wire("coap", COAP_METHODS, method, path, side, node, peer)


def _on_wire(
    protocol: Literal["http", "coap"],
    methods: tuple[str, ...],
    method: Any,
    path: Any,
    side: Any,
    node: Any,
    peer: Any,
) -> OnWire:
    where = source_location(protocol)
    if isinstance(method, str) and method.startswith("/") and path is None:
        hint = f'write {protocol}(path="{method}")'
        raise ScenarioError(f"{method!r} is a path, no method", where=where, hint=hint)
    if method is not None and method not in methods:
        raise ScenarioError(
            f"method={method!r} is not known", where=where, hint=did_you_mean(method, methods)
        )
    if side not in get_args(Side):
        aliases = {"consumer": "client", "producer": "server"}
        raise ScenarioError(
            f"side={side!r} is not known", where=where, hint=did_you_mean(side, get_args(Side), aliases)
        )
    if path is not None:
        _check_path(path, where)
    return OnWire(
        protocol=protocol,
        method=method or "",
        path=path or "",
        side=side,
        node=reusable(node),
        peer=reusable(peer),
    )


def _check_path(path: Any, where: str) -> None:
    """Refuse a pattern that no recorded path matches."""
    if not isinstance(path, str) or not path:
        raise ScenarioError(f"path={path!r} is no path", where=where, hint='write path="/status"')
    if found := re.search(r"[?#]", path):
        hint = f"write {path[: found.start()] or '/'!r}"
        raise ScenarioError(f"no path has a query: {path!r}", where=where, hint=f"{hint}: it is left out")
    if "://" in path:
        hint = 'write the path alone, and peer="..." for the server'
        raise ScenarioError(f"{path!r} is a URL, no path", where=where, hint=hint)
    if path[0] not in "/*":
        raise ScenarioError(f"no path is {path!r}", where=where, hint=did_you_mean(path, [f"/{path}"]))
    if len(path.replace("*", "")) > MAX_PATTERN:
        hint = "write its first part and *"
        raise ScenarioError(f"of a path {MAX_PATTERN} characters are recorded", where=where, hint=hint)


def path_pattern(path: str) -> str:
    """A path with ``*`` as a regular expression of the whole, for Python's `re` and for Rust's."""
    return f"^(?s:{'.*'.join(map(re.escape, path.split('*')))})$"


def matches_path(pattern: str, path: str) -> bool:
    """Whether a path is what a pattern says; "" is any path."""
    return not pattern or re.search(path_pattern(pattern), path) is not None


def peers_of(select: OnWire, topology: Topology, where: str) -> tuple[str, ...]:
    """The names and addresses at the other end; none means all.

    Raises:
        ScenarioError: The topology does not have one, and it is no address.
    """
    if select.peer is None:
        return ()
    if isinstance(select.peer, str) and re.fullmatch(r"\d+(\.\d+){3}", select.peer):
        return (select.peer,)
    return tuple(replicas(select.peer, topology, where))


def ends_of(select: OnWire, topology: Topology, where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The replicas at which requests are seen and their peers; none means all.

    Raises:
        ScenarioError: The topology does not have one of them, or nothing like this is ever seen there.
    """
    nodes = () if select.node is None else tuple(replicas(select.node, topology, where))
    peers = peers_of(select, topology, where)
    _check_watched(nodes, select, topology, where)
    _check_reached(nodes, peers, topology, where)
    return nodes, peers


def _check_watched(nodes: Sequence[str], select: OnWire, topology: Topology, where: str) -> None:
    known = members_by_name(topology)
    for name in nodes:
        owner = known[name]
        if not isinstance(owner, Node):
            other = "server" if select.side == "client" else "client"
            asked = f"{select.protocol}(peer={owner.name!r}, side={other!r})"
            kind = type(owner).__name__
            raise ScenarioError(
                f"the requests of {kind} {owner.name!r} are not seen there, as it is no node",
                where=where,
                hint=f"write {asked}: they are seen at the nodes that it speaks to",
            )
    check_on_wire((known[name] for name in nodes), where)


def _check_reached(nodes: tuple[str, ...], peers: tuple[str, ...], topology: Topology, where: str) -> None:
    """Refuse ends that have no network in common; addresses of other machines are behind an uplink."""
    known = members_by_name(topology)
    if not nodes or not peers or not all(peer in known for peer in peers):
        return
    networks = [
        {link.network.name for name in names for link in known[name].links} for names in (nodes, peers)
    ]
    if not networks[0] & networks[1]:
        one, other = (known[names[0]].name for names in (nodes, peers))
        shared = sorted(
            {
                each.name
                for each in topology.members
                if networks[0] & {link.network.name for link in each.links}
            }
            - {one}
        )
        raise ScenarioError(
            f"{one!r} and {other!r} have no network in common: no request passes between them",
            where=where,
            hint=did_you_mean(other, shared),
        )
