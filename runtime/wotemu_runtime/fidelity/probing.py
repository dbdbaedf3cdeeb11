"""Joins what senders and receivers report of probes, and compares each with what was expected. Pure."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile

import attrs

from wotemu.fidelity.evidence import Losses
from wotemu.records import Probe, ProbeArrived, ProbeSent
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.packets.probe import SIZE
from wotemu_runtime.fidelity.alike import Samples
from wotemu_runtime.fidelity.expectation import Expectation, expect, serialisation_s
from wotemu_runtime.fidelity.history import History
from wotemu_runtime.fidelity.hops import HopLog

MARGIN_S = 0.05
"""A change within this time of a probe may or may not have affected it."""

EARLY_S = 0.0002
"""Beyond the clocks' errors a probe may be so early: gateways let go what is due within a grain of time."""

ENDING_S = 0.5
"""Grace beyond the expected delay before a probe counts as lost at the end of a run."""

LOADED = 0.25
"""Where a larger share of a rate is in use, a probe may wait behind other packets."""

KEPT_S = 30.0
"""After so long a probe without an arrival is missing, and an arrival without a record of its sender overdue.
It is forgotten after as long again: a bus that is back brings a minute's records in any order."""

IN_ORDER_S = 1.0
"""An agent reports arrivals in their order, to within this time."""

MAX_LOSS_RANGE = 0.02
"""Where the expected loss changed by more while a probe was on its way, its loss says nothing."""

MAX_RANGE = 0.05
MAX_RANGE_S = 0.001
"""Where the expected delay changed by more than this share and this time while a probe was on its way,
its delay says nothing."""

HopName = tuple[str, str, str]
"""A network, a replica and a direction."""

LogOf = Mapping[HopName, HopLog]


class Fates:
    """What became of the probes that crossed one hop."""

    __slots__ = ("_loss", "_memory", "came", "early", "leaked", "lost", "risked", "sent", "unjudged")

    def __init__(self) -> None:
        self.came = Samples()
        self._loss = self._memory = 0.0
        self.sent = self.early = self.leaked = self.risked = self.lost = 0
        self.unjudged: Counter[str] = Counter()

    def risk(self, expected: Expectation, *, lost: bool) -> None:
        """One could be lost at random, and was or was not."""
        self.risked += 1
        self.lost += lost
        self._loss += expected.loss
        self._memory = max(self._memory, expected.memory)

    @property
    def losses(self) -> Losses | None:
        """None where no probe could have been lost only at random."""
        if not self.risked:
            return None
        return Losses(
            probes=self.risked, lost=self.lost, expected=self._loss / self.risked, memory=self._memory
        )


@attrs.frozen
class _Way:
    """All that held on a probe's way while it was on it."""

    ups: Sequence[NetworkConditions]
    downs: Sequence[NetworkConditions]
    buckets: Sequence[NetworkConditions | None]
    open: set[bool]
    end: float

    @property
    def expected(self) -> Expectation:
        """What should have become of the probe."""
        return expect(self.ups, self.downs, self.buckets, SIZE)


@attrs.frozen
class _Missing:
    """A probe that is lost unless its receiver still says that it came; `due` is when it should have."""

    sent: ProbeSent
    expected: Expectation
    state: str
    due: float


@attrs.define
class _EarlyArrival:
    """A probe that arrived before its sender's report of it, and since when that report is overdue."""

    arrived: float
    overdue: float | None = None


class ProbeLog:
    """All probes of a run: joined, compared, and counted by hop. It keeps those only whose fate is open.

    `clock_error_s` says by how much the clock of a replica's agent may be off.
    """

    def __init__(
        self, histories: Mapping[str, History], logs: LogOf, clock_error_s: Callable[[str], float]
    ) -> None:
        self._histories = histories
        self._logs = logs
        self._clock_error_s = clock_error_s
        self._sent: dict[tuple[str, int], ProbeSent] = {}
        self._early: dict[tuple[str, int], _EarlyArrival] = {}
        self._come: deque[tuple[ProbeSent, float]] = deque()
        self._missing: dict[tuple[str, int], _Missing] = {}
        self._last_arrival: dict[str, float] = {}
        """When the last probe came to each replica that is known of."""
        self.fates: dict[HopName, Fates] = {}

    def take_sent(self, probe: ProbeSent) -> None:
        """A probe left its sender."""
        if probe.network not in self._histories:
            return
        for name in _hops(probe):
            self.fates.setdefault(name, Fates()).sent += 1
        key = probe.network, probe.id
        early = self._early.pop(key, None)
        if early is None:
            self._sent[key] = probe
        else:
            self._come.append((probe, early.arrived))

    def take_arrived(self, probe: ProbeArrived) -> None:
        """A probe came to its receiver; its copies, if the network makes any, are passed over."""
        key = probe.network, probe.id
        self._last_arrival[probe.node] = max(self._last_arrival.get(probe.node, probe.t), probe.t)
        sent = self._sent.pop(key, None)
        if sent is not None:
            self._come.append((sent, probe.t))
        elif key in self._missing:
            self._come.append((self._missing.pop(key).sent, probe.t))
        else:
            self._early.setdefault(key, _EarlyArrival(probe.t))

    def settle(self, until: float) -> Iterator[Probe]:
        """The fates of those that came before `until`, by when all must be known that held till then."""
        for _ in range(len(self._come)):
            sent, arrived = self._come.popleft()
            if arrived + MARGIN_S <= until:
                yield self._compare(sent, arrived)
            else:
                self._come.append((sent, arrived))
        self._forget_early(until)
        self._look_for_missing(until)
        yield from self._give_up()

    def _forget_early(self, until: float) -> None:
        """Forget arrivals whose senders' reports are long overdue."""
        for key, early in list(self._early.items()):
            if early.overdue is not None and early.overdue < until - KEPT_S:
                del self._early[key]
            elif early.overdue is None and early.arrived < until - KEPT_S:
                early.overdue = until

    def _look_for_missing(self, until: float) -> None:
        """Judge those as lost that should have come long ago: later the counters of then are gone."""
        overdue = takewhile(lambda each: each[1].t < until - KEPT_S, self._sent.items())
        for key, sent in list(overdue):
            missing = self._miss(sent)
            if missing.due + ENDING_S <= until:
                self._missing[key] = missing
                del self._sent[key]

    def _give_up(self) -> Iterator[Probe]:
        """The fates of missing probes whose receivers have reported later ones since."""
        lost = [
            key
            for key, missing in self._missing.items()
            if self._last_arrival.get(missing.sent.peer, -math.inf) > missing.due + IN_ORDER_S
        ]
        for key in lost:
            yield self._lose(self._missing.pop(key))

    def finish(self, end: float) -> Iterator[Probe]:
        """The fates of all others: the run ended at `end`."""
        for sent, arrived in self._come:
            yield self._compare(sent, arrived)
        for missing in (*self._missing.values(), *(self._miss(sent, end) for sent in self._sent.values())):
            yield self._lose(missing)
        self._come.clear()
        self._missing.clear()
        self._sent.clear()

    def _compare(self, sent: ProbeSent, arrived: float) -> Probe:
        way, measured_s = self._way(sent, arrived), arrived - sent.t
        expected = way.expected
        state = self._state(sent, way, expected)
        up, down = (self.fates[name] for name in _hops(sent))
        if state == "cut":
            up.leaked += 1
            return _row(sent, expected, None, measured_s, state)
        clocks_s = self._clock_error_s(sent.node) + self._clock_error_s(sent.peer)
        if measured_s < expected.least_s - clocks_s - EARLY_S:
            up.early += 1
        error_s = expected.error_s(measured_s)
        if error_s > 0:
            error_s = max(0.0, error_s - sent.took)
        for fates in (up, down):
            if state == "":
                fates.came.add(expected.median_s, error_s, expected.spread_s, clocks_s)
                _risk(fates, expected, lost=False)
            else:
                fates.unjudged[state] += 1
        expected_s = None if state == "outage" else expected.nearest_s(measured_s)
        return _row(sent, expected, expected_s, measured_s, state)

    def _miss(self, sent: ProbeSent, end: float = math.inf) -> _Missing:
        """What is to be said of a probe if it never came, and the run ends at `end`."""
        way = self._way(sent, None)
        expected = way.expected
        state = self._state(sent, way, expected)
        if state not in ("cut", "outage") and way.end + ENDING_S > end:
            state = "ending"
        return _Missing(sent, expected, state, way.end)

    def _lose(self, missing: _Missing) -> Probe:
        sent, expected, state = missing.sent, missing.expected, missing.state
        for fates in (self.fates[name] for name in _hops(sent)):
            if state == "":
                _risk(fates, expected, lost=True)
            elif state != "cut":
                fates.unjudged[state] += 1
        expected_s = None if state in ("cut", "outage") else expected.median_s
        return _row(sent, expected, expected_s, None, state)

    def _way(self, sent: ProbeSent, arrived: float | None) -> _Way:
        history, left = self._histories[sent.network], sent.t + sent.took
        start = sent.t - MARGIN_S
        ups = history.conditions(sent.node, "up", start, left + MARGIN_S)
        buckets = history.buckets(start, left + MARGIN_S)
        # It meets the delay that holds when it has been sent at the rate.
        served = left + _longest_s(ups) + _longest_s(buckets)
        if served == math.inf:
            served = arrived or left
        ups = history.conditions(sent.node, "up", start, served + MARGIN_S)
        buckets = history.buckets(start, served + MARGIN_S)
        downs = history.conditions(sent.peer, "down", start, (arrived or left) + MARGIN_S)
        if arrived is None:
            expected = expect(ups, downs, buckets, SIZE)
            arrived = left + expected.longest_s
            downs = history.conditions(sent.peer, "down", start, arrived + MARGIN_S)
        ways = history.ways(sent.node, sent.peer, start, arrived + MARGIN_S)
        return _Way(ups, downs, buckets, ways, arrived)

    def _state(self, sent: ProbeSent, way: _Way, expected: Expectation) -> str:
        if way.open == {False}:
            return "cut"
        if False in way.open:
            return "changing"
        if expected.high_s == math.inf:
            return "outage"
        if self._is_loaded(sent, way):
            return "loaded"
        return "changed" if _is_vague(expected) else ""

    def _is_loaded(self, sent: ProbeSent, way: _Way) -> bool:
        """Whether it may have waited for a rate behind other packets; yes where nobody knows.

        What waited while the rate changed is among them: the second in which it waited is a busy one.
        What waits for the end of a silence is not: probes pass beside it.
        """
        up, down = _hops(sent)
        silent = {name for name, held in ((up, way.ups), (down, way.downs)) if _least_duty_cycle(held) < 1}
        limited = [(_lowest(way.ups), [up]), (_lowest(way.downs), [down])]
        shared = [each for each in way.buckets if each is not None]
        if shared:
            everyone = [name for name in self._logs if name[0] == sent.network and name[2] == "up"]
            limited += [(_lowest(shared), everyone), (math.inf, [(sent.network, "", "shared")])]
        queues = {name for _, names in limited for name in names} - silent
        if any(self._waiting(name, sent.t, way.end) > LOADED for name in queues):
            return True
        return any(
            LOADED * rate < sum(self._busiest_bps(name, sent.t, way.end) for name in names)
            for rate, names in limited
            if rate < math.inf
        )

    def _busiest_bps(self, name: HopName, start: float, end: float) -> float:
        log = self._logs.get(name)
        return math.inf if log is None else log.busiest_bps(start, end)

    def _waiting(self, name: HopName, start: float, end: float) -> float:
        log = self._logs.get(name)
        return 0.0 if log is None else log.waiting(start, end)


def _is_vague(expected: Expectation) -> bool:
    range_s = expected.high_s - expected.low_s
    return range_s > MAX_RANGE_S and range_s > MAX_RANGE * expected.low_s


def _longest_s(conditions: Sequence[NetworkConditions | None]) -> float:
    """How long a probe takes to be sent at the lowest rate."""
    return max(serialisation_s(each, SIZE) if each is not None else 0.0 for each in conditions)


def _least_duty_cycle(conditions: Sequence[NetworkConditions]) -> float:
    return min(float(each.duty_cycle) for each in conditions)


def _lowest(conditions: Sequence[NetworkConditions]) -> float:
    return min((float(each.rate) for each in conditions if each.rate is not None), default=math.inf)


def _risk(fates: Fates, expected: Expectation, *, lost: bool) -> None:
    if expected.loss_range <= MAX_LOSS_RANGE:
        fates.risk(expected, lost=lost)


def _hops(probe: ProbeSent) -> tuple[HopName, HopName]:
    return (probe.network, probe.node, "up"), (probe.network, probe.peer, "down")


def _row(
    sent: ProbeSent, expected: Expectation, expected_s: float | None, measured_s: float | None, state: str
) -> Probe:
    return Probe(
        t=sent.t,
        network=sent.network,
        node=sent.node,
        peer=sent.peer,
        expected=expected_s,
        measured=measured_s,
        lost=measured_s is None,
        state=state,
        spread=expected.spread_s,
    )
