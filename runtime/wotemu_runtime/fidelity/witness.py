"""Takes a run's records as they come and sums them up as evidence. Pure: callers pass the time, too."""

from __future__ import annotations

import json
import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from wotemu.fidelity.evidence import (
    ChangeEvidence,
    Evidence,
    FaultEvidence,
    HopEvidence,
    LossEvidence,
    RoleChanges,
)
from wotemu.percentiles import nearest_rank
from wotemu.records import (
    Change,
    Event,
    GatewayLoad,
    Hop,
    Host,
    Log,
    Probe,
    ProbeArrived,
    ProbeSent,
    Record,
    Stall,
)
from wotemu.scenario.timeline import Change as PlannedChange
from wotemu.scenario.timeline import Timeline
from wotemu_gateways.conditions.network_state import NetworkSetup
from wotemu_runtime.fidelity.faults import fault_without_effect
from wotemu_runtime.fidelity.history import History
from wotemu_runtime.fidelity.hops import HopLog
from wotemu_runtime.fidelity.machines import GatewayLog, HostLog, StallLog
from wotemu_runtime.fidelity.probing import Fates, HopName, ProbeLog
from wotemu_runtime.fidelity.rates import RateCourse

ANSWERED_S = 1.0
"""A change that is due shortly before the end may not be answered any more."""

DRIFT_S = 0.001
"""Drift of a clock other than the bus's own between two comparisons: 100 ppm in 10 s."""

UNKNOWN_CLOCK_S = 0.001
"""By how much a clock may be off of which its role says nothing."""

SETTLED_S = 3.0
"""Within so long the records of a moment have come: publishers send theirs every second."""

JUDGE_EVERY_S = 5.0
"""Hops are judged so often while the run goes on."""

KEPT_S = 90.0
"""Counters are kept for so long after they were judged; probes that take longer find none."""


class Witness:
    """The evidence of a run of `places`, whose changes `timeline` returns (guards may add some meanwhile).

    Nothing before `begin` or after `end` counts: what happens while apps are started and stopped proves
    nothing of the run.

    A change by hand, which `is_by_hand` tells by its id, may be refused by the role that is to apply it: then
    what held before goes on to hold, and the run is judged by that.
    """

    def __init__(
        self,
        places: Sequence[NetworkSetup],
        timeline: Callable[[], Timeline],
        is_by_hand: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self._places = places
        self._timeline = timeline
        self._is_by_hand = is_by_hand
        self._planned: dict[int, PlannedChange] = {}
        self._seen: Timeline | None = None
        self._next = 0
        self._histories = {place.name: History(place) for place in places}
        self._logs: dict[HopName, HopLog] = {}
        self._clock_errors_s: dict[str, float] = {}
        self._probes = ProbeLog(self._histories, self._logs, self._clock_error_s)
        self._answered: set[int] = set()
        self._late_s: dict[str, array[float]] = {}
        self._limits_late_s = array("d")
        self._failed: Counter[str] = Counter()
        self._refused_by_hand = 0
        self._records = 0
        self._stalls: dict[str, StallLog] = {}
        self._hosts: dict[str, HostLog] = {}
        self._gateways: dict[str, GatewayLog] = {}
        self._judged_until = -math.inf
        self._lost: Counter[tuple[str, str]] = Counter()
        self._dropped: Counter[str] = Counter()
        self._faults: list[FaultEvidence] = []
        self._begun, self._ended = math.inf, math.inf

    def begin(self, t0: float) -> None:
        """The run begins."""
        self._begun = t0

    def end(self, t: float) -> None:
        """The run is over; records of what was before may still come."""
        self._ended = min(self._ended, t)

    tables = frozenset(
        kind.TABLE for kind in (Hop, ProbeSent, ProbeArrived, Change, Stall, Host, GatewayLoad, Event)
    )
    """Those whose records are evidence; of others only their number counts."""

    def count(self, records: int) -> None:
        """So many records came, of any table but the log lines'."""
        self._records += records

    def take(self, records: Sequence[Record]) -> None:
        """Take records of any table."""
        for record in records:
            self._take(record)

    def lose(self, source: str, what: str, count: int) -> None:
        """Records that never came."""
        self._lost[source, what] += count

    def _take(self, record: Record) -> None:
        match record:
            case Hop():
                self._hop(record)
            case ProbeSent() if self._counts(record.t):
                self._probes.take_sent(record)
            case ProbeArrived():
                self._probes.take_arrived(record)
            case Change():
                self._change(record)
            case Stall() if self._counts(record.t):
                self._stalls.setdefault(record.source, StallLog()).take(record.duration)
            case Host() if self._counts(record.t):
                self._hosts.setdefault(record.host, HostLog()).take(record)
            case GatewayLoad(shaper="tun") if self._counts(record.t - record.interval):
                # Under NetEm the kernel moves the packets: the process limits nothing but changes.
                self._gateways.setdefault(record.network, GatewayLog()).take(record, self._begun)
            case Event():
                self._event(record)

    def _counts(self, t: float) -> bool:
        return self._begun <= t <= self._ended

    def _hop(self, row: Hop) -> None:
        if row.network in self._histories and self._begun < row.t:
            self._dropped[f"gateway:{row.network}"] += row.dropped_memory
            log = self._logs.get(name := (row.network, row.node, row.direction))
            if log is None:
                log = self._logs[name] = HopLog()
            log.take(row)

    def _change(self, row: Change) -> None:
        self._answered.add(row.id)
        planned = self._plan(row.id)
        role = row.target if planned is None else planned.applier
        if not row.ok:
            if self._is_by_hand(row.id):
                self._refused_by_hand += 1
            else:
                self._failed[role] += 1
            return
        late_s = self._limits_late_s if row.action == "limit" else self._late_s.setdefault(role, array("d"))
        late_s.append(row.applied - row.due)
        if planned is not None and planned.network in self._histories:
            took = attrs.evolve(planned, after=json.loads(row.after))
            self._histories[planned.network].apply(row.applied, took)

    def _plan(self, number: int) -> PlannedChange | None:
        if number not in self._planned:
            self._planned = {change.id: change for change in self._timeline().changes}
        return self._planned.get(number)

    def _event(self, event: Event) -> None:
        match event.kind:
            case "role.ready":
                self._clock(event.source, event.data)
            case "records.lost":
                self.lose(event.source, str(event.data["what"]), int(event.data["count"]))
            case "pause.ended" | "stress.ended" | "clock.skewed":
                if (fault := fault_without_effect(event)) is not None:
                    self._faults.append(fault)
            case "interface.dropped":
                self._dropped[event.source] += int(event.data["count"])

    def _clock(self, role: str, data: Mapping[str, Any]) -> None:
        """A role says by how much its clock may be off from the bus's: by nothing on the bus's kernel."""
        error_s = data.get("offset_error_s")
        if isinstance(error_s, int | float):
            grown_s = error_s + DRIFT_S if error_s else 0.0
            self._clock_errors_s[role] = max(self._clock_errors_s.get(role, 0.0), grown_s)

    def _clock_error_s(self, replica: str) -> float:
        return self._clock_errors_s.get(f"agent:{replica}", UNKNOWN_CLOCK_S)

    # The evidence

    def settle(self, now: float) -> list[Probe]:
        """The fates of those probes of which all is known by now."""
        until = min(now - SETTLED_S, self._known_until(now))
        if until >= self._judged_until + JUDGE_EVERY_S:
            self._judged_until = until
            self._judge_hops(until)
        return list(self._probes.settle(until))

    def _judge_hops(self, until: float) -> None:
        """Judge all hops by their counters up to a time; those of before are not needed any more."""
        since: dict[str, float] = {}
        for (network, _, _), log in self._logs.items():
            since[network] = min(since.get(network, until), log.unjudged_since)
        for name, log in self._logs.items():
            log.judge(until, self._course(name, since[name[0]], until))
            log.forget(until - KEPT_S)

    def _known_until(self, now: float) -> float:
        """Until when all changes that were due have been answered."""
        timeline = self._timeline()
        if timeline is not self._seen:
            self._seen, self._next = timeline, 0
        changes = timeline.changes
        while self._next < len(changes) and changes[self._next].id in self._answered:
            self._next += 1
        return min(self._begun + changes[self._next].at_s, now) if self._next < len(changes) else now

    def finish(self) -> list[Probe]:
        """The fates of all other probes; no more records come."""
        found = list(self._probes.finish(self._ended))
        self._judge_hops(math.inf)
        for log in self._logs.values():
            log.close()
        return found

    def evidence(self) -> Evidence:
        """All of it, after `finish`."""
        lost = [LossEvidence(source, what, n) for (source, what), n in sorted(self._lost.items())]
        return Evidence(
            changes=self._changes(),
            hops=tuple(self._hops()),
            stalls=tuple(each.evidence(source) for source, each in sorted(self._stalls.items())),
            hosts=tuple(each.evidence(name) for name, each in sorted(self._hosts.items())),
            gateways=tuple(
                found for _, log in sorted(self._gateways.items()) if (found := log.evidence()) is not None
            ),
            frames_dropped=tuple(
                LossEvidence(source, "frames", n) for source, n in sorted(self._dropped.items()) if n
            ),
            records_lost=tuple(each for each in lost if not _is_of_logs(each)),
            log_lines_lost=tuple(each for each in lost if _is_of_logs(each)),
            records=self._records,
            probes_missing=tuple(self._without_probes()),
            faults_without_effect=tuple(self._faults),
        )

    def _changes(self) -> ChangeEvidence:
        lasted_s = self._ended - self._begun - ANSWERED_S
        due = [change for change in self._timeline().changes if change.at_s < lasted_s]
        missing = Counter(change.applier for change in due if change.id not in self._answered)
        late_s = [each for of_role in self._late_s.values() for each in of_role]
        return ChangeEvidence(
            planned=len(due),
            late_p50_s=nearest_rank(late_s, 0.5),
            late_p95_s=nearest_rank(late_s, 0.95),
            late_max_s=max(late_s, default=None),
            limits_late_p95_s=nearest_rank(self._limits_late_s, 0.95),
            refused_by_hand=self._refused_by_hand,
            roles=tuple(
                RoleChanges(
                    role=role,
                    failed=self._failed[role],
                    missing=missing[role],
                    late_p95_s=nearest_rank(self._late_s.get(role, ()), 0.95),
                )
                for role in sorted({*self._late_s, *self._failed, *missing})
            ),
        )

    def _hops(self) -> Iterator[HopEvidence]:
        for name in sorted({*self._logs, *self._probes.fates}):
            fates, log = self._probes.fates.get(name, Fates()), self._logs.get(name, HopLog())
            network, node, direction = name
            yield HopEvidence(
                network=network,
                node=node,
                direction=direction,
                probes=fates.sent,
                delays=fates.came.furthest(),
                losses=fates.losses,
                early=fates.early,
                leaked=fates.leaked,
                unjudged=dict(sorted(fates.unjudged.items())),
                late_p95_s=log.late_p95_s,
                late_max_s=log.late_max_s,
                rate_excess=log.rate_excess,
                goodput=log.goodput,
                packets=log.packets,
                dropped=log.dropped,
                backlog_max=log.backlog_max,
            )

    def _course(self, name: HopName, start: float, end: float) -> RateCourse:
        network, node, direction = name
        history = self._histories[network]
        if direction == "shared":
            return history.shared_course(start, end)
        return history.course(node, "up" if direction == "up" else "down", start, end)

    def _without_probes(self) -> Iterator[str]:
        probed = {network for network, _, _ in self._probes.fates}
        for place in self._places:
            if len(place.nodes) > 1 and place.name not in probed:
                yield place.name


def _is_of_logs(loss: LossEvidence) -> bool:
    """Whether it is lines of logs that were lost: `what` begins with the table's name."""
    return loss.what.partition(" ")[0] == Log.TABLE
