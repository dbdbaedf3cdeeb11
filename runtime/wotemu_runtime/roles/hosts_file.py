"""The text of a replica's /etc/hosts, the same under every engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import attrs


@attrs.frozen
class HostsEntry:
    """A replica's address on one network."""

    replica: str
    network: str
    address: str


Lines = Mapping[str, Mapping[str, Sequence[str]]]
"""The lines of a hosts file by node and replica, both in the order of the plan."""


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
    number = next((number for number, replica in enumerate(nodes) if replica == own), 0)
    return rotated_text(hosts_lines(entries, nodes), own, number)


def hosts_lines(entries: Iterable[HostsEntry], nodes: Mapping[str, str]) -> Lines:
    """The lines of the hosts files of all replicas that are on the same networks; see `hosts_text`."""
    rank = {replica: number for number, replica in enumerate(nodes)}
    lines: dict[str, dict[str, list[str]]] = {}
    # Sorted by the plan, since addresses that are announced arrive in any order.
    for entry in sorted(entries, key=lambda entry: rank.get(entry.replica, len(rank))):
        node = nodes.get(entry.replica, entry.replica)
        lines.setdefault(node, {}).setdefault(entry.replica, []).append(_line(entry, node))
    return lines


def rotated_text(lines: Lines, own: str, number: int) -> str:
    """The hosts file of the replica `own`, which is the plan's N-th; see `hosts_text`."""
    text = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    for replicas in lines.values():
        groups = [*replicas.values()]
        first = number % len(groups)
        text += chain.from_iterable((*groups[first:], *groups[:first]))
    if not any(own in replicas for replicas in lines.values()):
        text.append(f"127.0.0.1 {own}")
    return "\n".join(text) + "\n"


def _line(entry: HostsEntry, node: str) -> str:
    names = list(dict.fromkeys((entry.replica, node)))
    return " ".join([entry.address, *names, *(f"{name}.{entry.network}" for name in names)])


__all__ = ["HostsEntry", "Lines", "hosts_lines", "hosts_text", "rotated_text"]
