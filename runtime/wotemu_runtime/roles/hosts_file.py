"""The text of a replica's /etc/hosts, the same under every engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs


@attrs.frozen
class HostsEntry:
    """A replica's address on one network."""

    replica: str
    network: str
    address: str


def hosts_text(entries: Iterable[HostsEntry], nodes: Mapping[str, str], own: str) -> str:
    """The hosts file of one replica.

    A replica's name resolves to all its addresses, a node's name to those of all its replicas, and
    ``NAME.NETWORK`` to those on one network. Programs try the addresses of a name in order. So each client
    gets a node's replicas in another order, and the replicas share the load evenly.

    Args:
        entries: The addresses of all replicas on the replica's networks, its own too.
        nodes: The node of each replica, in the order of the plan.
        own: The replica's name. The N-th replica of the plan gets each node's replicas rotated by N.
    """
    rank = {replica: number for number, replica in enumerate(nodes)}
    by_node: dict[str, dict[str, list[HostsEntry]]] = {}
    # Sorted by the plan, since addresses that are announced arrive in any order.
    for entry in sorted(entries, key=lambda entry: rank.get(entry.replica, len(rank))):
        node = nodes.get(entry.replica, entry.replica)
        by_node.setdefault(node, {}).setdefault(entry.replica, []).append(entry)
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    for node, replicas in by_node.items():
        groups = [*replicas.values()]
        first = rank.get(own, 0) % len(groups)
        lines += [_line(entry, node) for group in (*groups[first:], *groups[:first]) for entry in group]
    if not any(own in replicas for replicas in by_node.values()):
        lines.append(f"127.0.0.1 {own}")
    return "\n".join(lines) + "\n"


def _line(entry: HostsEntry, node: str) -> str:
    names = list(dict.fromkeys((entry.replica, node)))
    return " ".join([entry.address, *names, *(f"{name}.{entry.network}" for name in names)])


__all__ = ["HostsEntry", "hosts_text"]
