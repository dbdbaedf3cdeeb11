"""A guard's condition on the number of requests that were seen on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from wotemu.records import WireRequest
from wotemu.scenario.vocabulary.on_wire import OnWire, ends_of, matches_path
from wotemu.topology.topology import Topology


@attrs.frozen
class RequestCondition:
    """So many requests that were seen on the wire have ended since T0, or have failed: for `when`."""

    select: OnWire
    failed: bool
    count: int

    def to_dict(self, topology: Topology, where: str) -> dict[str, Any]:
        """The condition as JSON, with the names of the replicas and peers; an empty list means all."""
        nodes, peers = ends_of(self.select, topology, where)
        select = self.select
        what = {
            "protocol": select.protocol,
            "side": select.side,
            "method": select.method,
            "path": select.path,
        }
        ends = {"replicas": list(nodes), "peers": list(peers)}
        return {"kind": "requests", "failed": self.failed, "count": self.count, **what, **ends}

    def __str__(self) -> str:
        return f"{self.count} {'failures' if self.failed else 'requests'} of {self.select.text}"


def is_counted(condition: Mapping[str, Any], request: WireRequest) -> bool:
    """Whether a condition, as `RequestCondition.to_dict` gives it, counts a request."""
    return (
        request.stage == "request"
        and request.protocol == condition["protocol"]
        and request.side == condition["side"]
        and condition["method"] in ("", request.method)
        and (not condition["replicas"] or request.node in condition["replicas"])
        and (not condition["peers"] or request.peer in condition["peers"])
        and (not condition["failed"] or request.has_failed)
        and matches_path(condition["path"], request.path)
    )
