"""The resolved scenario: one flat, ordered list of atomic changes, each at its offset from T0."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from typing import Any, Literal, Self, get_args

import attrs

OfNetworks = Literal["conditions", "partition", "cut", "block", "disconnect"]
OfNodes = Literal["app", "pause", "limit", "stress", "fill_disk", "skew_clock"]
ChangeKind = Literal[OfNetworks, OfNodes]
Direction = Literal["up", "down"]

OF_NODES: frozenset[ChangeKind] = frozenset(get_args(OfNodes))
"""Changes of a replica itself, which its agent applies; all others are of networks."""

DIRECTIONS: tuple[Direction, Direction] = ("up", "down")

HopKey = tuple[str, str | None, Direction]
"""Network, node (None: the network's own conditions) and direction."""


@attrs.frozen
class Change:
    """One atomic change, applied and answered by exactly one process: see `applier`.

    | action | target | before and after |
    |---|---|---|
    | conditions | network, node (None: the whole network's), direction | conditions as JSON |
    | partition | network | groups of node names that can't reach each other |
    | block | network | the traffic that is dropped, as `wotemu.scenario.blocks.Block.to_dict` has it |
    | cut | network, node (a replica) | whether its traffic is cut off |
    | disconnect | network, node (a replica) | whether its interface has no carrier, or is down |
    | app | node (a replica) | ``running``, ``crashed`` or ``stopped`` |
    | pause | node (a replica) | whether its processes are suspended |
    | limit | node (a replica) | `cpu` in cores and `mem_bytes`; None: as at T0 |
    | stress | node (a replica) | `cpu` in cores and `mem_bytes` that a program of WoTemu's uses; None: none |
    | fill_disk | node (a replica) | `leave_bytes` of its scratch folder; None: it is not filled |
    | skew_clock | node (a replica) | `by_s`: the seconds that its wall clock is ahead, negative: behind |
    """

    id: int
    at_s: float
    action: ChangeKind
    network: str | None
    node: str | None
    direction: Direction | None
    before: Any
    after: Any

    def numbered(self, number: int) -> Self:
        """The same with this id."""
        return type(self)(
            number, self.at_s, self.action, self.network, self.node, self.direction, self.before, self.after
        )

    @property
    def applier(self) -> str:
        """The role that applies it: ``gateway:NETWORK`` or ``agent:REPLICA``."""
        return f"agent:{self.node}" if self.action in OF_NODES else f"gateway:{self.network}"

    @property
    def target(self) -> str:
        """What it changes, for people: ``reader@field up``."""
        if self.action in OF_NODES:
            return str(self.node)
        place = f"{self.node}@{self.network}" if self.node else str(self.network)
        return f"{place} {self.direction}" if self.direction else place


@attrs.frozen
class Phase:
    """A named stretch of the scenario, from `start_s` until the next one starts."""

    name: str
    start_s: float


@attrs.frozen
class GuardPlan:
    """Changes that wait for a condition, and happen once it has held for `held_s`.

    `text` is the condition for people, `condition` for the coordinator, which watches it from `after_s` on.
    If it has not fired by `deadline_s` (None: the end), it does what `otherwise` says: skip, fire or fail.
    `changes` have their times from its firing, as though it fired at T0; once it fired, at `fired_s`, the
    timeline's own changes hold them with their times.
    """

    id: int
    text: str
    condition: dict[str, Any]
    held_s: float
    after_s: float
    deadline_s: float | None
    otherwise: str
    changes: tuple[Change, ...]
    fired_s: float | None = None


@attrs.frozen
class ObjectivePlan:
    """What the run is expected to show, as `wotemu.scenario.expect` says it, with the topology's names.

    Attributes:
        id: Its place in the scenario.
        text: For people: ``p95 of readproperty of phone during fade``.
        figure: ``p50``, ``p90``, ``p95``, ``p99``, ``mean``, ``errors``, ``throughput``, ``requests``,
            ``failures``, ``availability``, ``lost_events``, ``restarts``, ``crashes``, or ``app`` with the
            `statistic` of its metric `key`.
        unit: Of the figure and `limit`: ``s``, ``share``, ``/s``, ``count`` or ``number``.
        operation, thing, name, binding, role: What is counted; "" means all. Of requests seen on the wire,
            method, "", path, protocol and side.
        replicas: Whose is counted; empty means all.
        peers: The other ends of requests that were seen on the wire; empty means all.
        op, limit: The limit; "" and None where `within_s` needs none.
        during, after: The phase during which, or from whose beginning on, it has to hold; "" for none.
        within_s: Within how many seconds it has to recover; None where it has to hold throughout.
        abort: Whether the run ends once it can't be met any more.
    """

    id: int
    text: str
    figure: str
    unit: str
    op: str = ""
    limit: float | None = None
    statistic: str = ""
    operation: str = ""
    thing: str = ""
    name: str = ""
    binding: str = ""
    role: str = ""
    replicas: tuple[str, ...] = ()
    key: str = ""
    during: str = ""
    after: str = ""
    within_s: float | None = None
    abort: bool = False
    peers: tuple[str, ...] = ()

    @property
    def is_on_wire(self) -> bool:
        """Whether it is about requests that were seen on the wire, rather than about interactions."""
        return self.role in ("client", "server")


@attrs.frozen
class Timeline:
    """What will happen, all of it, before it starts. Times are seconds after T0.

    `conditions_hash` stands for every hop's conditions at T0, so that the timelines of two topologies whose
    hops differ have different hashes. `objectives` change nothing, and so are not part of the hash.
    """

    seed: int
    duration_s: float
    phases: tuple[Phase, ...]
    changes: tuple[Change, ...]
    guards: tuple[GuardPlan, ...] = ()
    conditions_hash: str = ""
    objectives: tuple[ObjectivePlan, ...] = ()

    @property
    def hash(self) -> str:
        """The same for the same topology, scenario and seed."""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True).encode()).hexdigest()[:16]

    def phase_at(self, offset_s: float) -> str:
        """The name of the phase that holds this offset; "" before T0."""
        index = bisect_right([phase.start_s for phase in self.phases], offset_s) - 1
        return self.phases[index].name if index >= 0 else ""

    @property
    def all_changes(self) -> tuple[Change, ...]:
        """The changes, and those of guards that may fire."""
        return (*self.changes, *(change for guard in self.guards for change in guard.changes))

    def _content(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "duration_s": self.duration_s,
            "conditions_hash": self.conditions_hash,
            "phases": [_plain(phase) for phase in self.phases],
            "changes": [_plain(change) for change in self.changes],
            "guards": [
                {**_plain(guard), "changes": [_plain(change) for change in guard.changes]}
                for guard in self.guards
            ],
        }

    def to_dict(self) -> dict[str, Any]:
        """The timeline as JSON holds it, with its hash."""
        objectives = [_plain(objective) for objective in self.objectives]
        return {**self._content(), "objectives": objectives, "hash": self.hash}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """What `to_dict` gave."""
        return cls(
            seed=data["seed"],
            duration_s=data["duration_s"],
            phases=tuple(Phase(**phase) for phase in data["phases"]),
            changes=_changes(data["changes"]),
            conditions_hash=data.get("conditions_hash", ""),
            guards=tuple(
                GuardPlan(**{**guard, "changes": _changes(guard["changes"])})
                for guard in data.get("guards", ())
            ),
            objectives=tuple(
                ObjectivePlan(
                    **{**each, "replicas": tuple(each["replicas"]), "peers": tuple(each.get("peers", ()))}
                )
                for each in data.get("objectives", ())
            ),
        )


def _plain(value: Any) -> dict[str, Any]:
    """An attrs value's fields, without a copy of what they hold."""
    return {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}


def _changes(data: list[dict[str, Any]]) -> tuple[Change, ...]:
    return tuple(Change(**change) for change in data)
