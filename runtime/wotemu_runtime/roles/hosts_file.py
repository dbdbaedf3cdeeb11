"""The text of a replica's /etc/hosts, the same under every engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Entry = tuple[str, str, str, str]
"""A replica, its node, a network that it is on, and its address there."""


def hosts_text(entries: Iterable[Entry], own: str, rank: int) -> str:
    """The hosts file of one replica.

    A replica's name has all its addresses, a node's name those of all its replicas, and ``NAME.NETWORK``
    those on one network. Programs try the addresses of a name in order, so the replicas of a node come in
    another order for each of its clients, and its load is spread evenly over them.

    Args:
        entries: Everybody on the replica's networks, itself too.
        own: The replica's name.
        rank: Its place among all replicas: the `rank`-th begins with a node's replica of that number, modulo
            their count.
    """
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    nodes: dict[str, dict[str, list[Entry]]] = {}
    for entry in entries:
        replica, node, _, _ = entry
        nodes.setdefault(node, {}).setdefault(replica, []).append(entry)
    for replicas in nodes.values():
        for attachments in _rotated([*replicas.values()], rank):
            lines += [_line(*attachment) for attachment in attachments]
    if not any(own in replicas for replicas in nodes.values()):
        lines.append(f"127.0.0.1 {own}")
    return "\n".join(lines) + "\n"


def _rotated(items: Sequence[list[Entry]], by: int) -> list[list[Entry]]:
    start = by % len(items)
    return [*items[start:], *items[:start]]


def _line(replica: str, node: str, network: str, address: str) -> str:
    names = list(dict.fromkeys((replica, node)))
    return " ".join([address, *names, *(f"{name}.{network}" for name in names)])
