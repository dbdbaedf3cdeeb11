"""A run told record by record, for tests of the witness."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from wotemu.records import Change, Hop, Probe, ProbeArrived, ProbeSent, Record
from wotemu.scenario.timeline import Change as Planned
from wotemu.scenario.timeline import Direction, HopKey, Timeline
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.network_state import NetworkSetup
from wotemu_runtime.fidelity import Evidence, HopEvidence, Witness

T0 = 1_750_000_000.0
END_S = 60.0
MS_20 = NetworkConditions(latency="20ms")
CLEAR = NetworkConditions()
REPLICAS = ("a", "b", "c")


def planned(number: int, at_s: float, action: Any, after: Any, direction: Direction | None = None) -> Planned:
    return Planned(number, at_s, action, "field", None, direction, None, after)


class Run:
    """A run of three replicas on one network, told as it happens."""

    def __init__(self, *changes: Planned, network: NetworkConditions = MS_20, shared: bool = False) -> None:
        hops: dict[HopKey, NetworkConditions] = {
            ("field", None, "up"): network,
            ("field", None, "down"): NetworkConditions(rate=network.rate),
        }
        hops |= {("field", node, way): CLEAR for node in REPLICAS for way in ("up", "down")}
        place = NetworkSetup(name="field", shared=shared, nodes={name: name for name in REPLICAS}, hops=hops)
        self._changes = {change.id: change for change in changes}
        self._ids = iter(range(1_000_000))
        timeline = Timeline(0, END_S, (), changes)
        self.witness = Witness([place], lambda: timeline)
        self.witness.begin(T0)
        self.early: list[Probe] = []

    def tell(self, *records: Record) -> None:
        for record in records:
            self.witness.take([record])

    def probe(
        self, at_s: float, took_s: float | None, sender: str = "a", receiver: str = "b", handed_s: float = 0.0
    ) -> None:
        number = next(self._ids)
        self.tell(ProbeSent(T0 + at_s, "field", sender, receiver, number, handed_s))
        if took_s is not None:
            self.tell(ProbeArrived(T0 + at_s + took_s, "field", receiver, number))

    def changed(self, number: int, late_s: float = 0.001) -> None:
        change = self._changes[number]
        due = T0 + change.at_s
        after = json.dumps(change.after)
        self.tell(Change(number, due, due + late_s, change.action, change.target, "null", after, True, ""))

    def counters(self, seconds: Iterable[int], node: str = "a", direction: str = "up", **facts: Any) -> None:
        values: dict[str, Any] = {
            "sent": 0, "sent_bytes": 0, "dropped_loss": 0, "dropped_queue": 0, "dropped_cut": 0, "backlog": 0,
            "late_max": None, **facts,
        }  # fmt: skip
        for second in seconds:
            self.tell(
                Hop(t=T0 + second, network="field", node=node, direction=direction, shaper="tun", **values)
            )

    def over(self) -> tuple[list[Probe], Evidence]:
        self.witness.end(T0 + END_S)
        return self.witness.finish(), self.witness.evidence()


def at(evidence: Evidence, node: str, direction: str) -> HopEvidence:
    return next(hop for hop in evidence.hops if (hop.node, hop.direction) == (node, direction))
