"""Blocked traffic: packets between nodes of one protocol or port that gateways drop. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

Protocol = Literal["tcp", "udp", "icmp"]
Heading = Literal["out", "in"]
"""Out of the blocked nodes to the others, or in to them from the others."""

WITH_PORTS: tuple[Protocol, Protocol] = ("tcp", "udp")
_ARROWS = {None: "↔", "out": "→", "in": "←"}


@attrs.frozen
class Block:
    """Packets that are dropped, as a firewall would.

    Attributes:
        nodes: Replicas on one side.
        others: Those on the other side; empty: all others.
        protocol: None for all.
        port: Of either end; None for all, and for protocols without ports.
        heading: Which way; None for both.
    """

    nodes: tuple[str, ...]
    others: tuple[str, ...] = ()
    protocol: Protocol | None = None
    port: int | None = None
    heading: Heading | None = None

    def concerns(self, sender: str, receiver: str) -> bool:
        """Whether it is about packets from one replica to another."""
        return (self.heading != "in" and self._is_between(sender, receiver)) or (
            self.heading != "out" and self._is_between(receiver, sender)
        )

    def _is_between(self, one: str, other: str) -> bool:
        if one not in self.nodes:
            return False
        return other in self.others if self.others else other not in self.nodes

    def matches(self, transport: str, sport: int, dport: int) -> bool:
        """Whether it is about packets of a flow between replicas that it `concerns`."""
        if self.protocol is not None and transport != self.protocol:
            return False
        return self.port is None or (transport in WITH_PORTS and self.port in (sport, dport))

    @property
    def is_of_all(self) -> bool:
        """Whether it is about packets of any protocol and port."""
        return self.protocol is None and self.port is None

    @property
    def protocols(self) -> tuple[Protocol | None, ...]:
        """The protocols that it is about, each by itself; None for all."""
        return WITH_PORTS if self.protocol is None and self.port is not None else (self.protocol,)

    @property
    def traffic(self) -> str:
        """The packets in words: ``tcp port 1883``."""
        words = [self.protocol or "", f"port {self.port}" if self.port is not None else ""]
        return " ".join(filter(None, words)) or "all packets"

    def __str__(self) -> str:
        others = ", ".join(self.others) or "all others"
        return f"{', '.join(self.nodes)} {_ARROWS[self.heading]} {others}: {self.traffic}"

    def to_dict(self) -> dict[str, Any]:
        """As a change of the timeline holds it."""
        sides = {"nodes": list(self.nodes), "others": list(self.others)}
        return {**sides, "protocol": self.protocol, "port": self.port, "heading": self.heading}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        sides = {"nodes": tuple(data["nodes"]), "others": tuple(data["others"])}
        return cls(**{**data, **sides})
