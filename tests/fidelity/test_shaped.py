"""What a gateway's own counters say of it: it serves its rates while packets wait, whatever they become."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tests.gateways.network import FakeNetwork
from wotemu.records import Change, Hop
from wotemu.scenario.timeline import Change as Planned
from wotemu.scenario.timeline import HopKey, Timeline
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Fraction, Rate
from wotemu_gateways.conditions.network_state import NetworkSetup
from wotemu_gateways.impairments.duty_cycle import DutyCycleQueue
from wotemu_runtime.fidelity import HopEvidence, Witness

SECONDS = 20
TICK_S = 0.02
CLEAR = NetworkConditions()
ALWAYS = {0: 1.0}


def evidence(
    rates: Mapping[int, float | None],
    *,
    shared: bool = False,
    queue: str = "200ms",
    duty_cycles: Mapping[int, float] = ALWAYS,
) -> dict[str, HopEvidence]:
    """Of a run in which a and c flood b, with 1.15 Mbit/s each, while the rate becomes `rates` by time.

    A change of the duty cycle has to be at a time of one of the rate.
    """

    def conditions(second: int) -> NetworkConditions:
        rate = rates[max(at for at in rates if at <= second)]
        share = duty_cycles[max(at for at in duty_cycles if at <= second)]
        return NetworkConditions(
            rate=None if rate is None else Rate(rate), queue=queue, duty_cycle=Fraction(share)
        )

    changes = tuple(
        Planned(number, second, "conditions", "field", None, "up", None, conditions(second).to_dict())
        for number, second in enumerate(sorted(rates))
    )
    names = ("a", "b", "c")
    hops: dict[HopKey, NetworkConditions] = {("field", None, way): CLEAR for way in ("up", "down")}
    hops |= {("field", name, way): CLEAR for name in names for way in ("up", "down")}
    place = NetworkSetup(name="field", shared=shared, nodes={name: name for name in names}, hops=hops)
    witness = Witness([place], lambda: Timeline(0, SECONDS, (), changes))
    with FakeNetwork(*names) as net:
        t0 = net.clock.now()
        witness.begin(t0)
        for second in range(SECONDS):
            if second in rates:
                impose(net, conditions(second), shared=shared)
                change = next(change for change in changes if change.at_s == second)
                due = t0 + second
                row = Change(
                    change.id, due, due, "conditions", "field", "", json.dumps(change.after), True, ""
                )
                witness.take([row])
            for _ in range(round(1 / TICK_S)):
                for sender in ("a", "c"):
                    for _ in range(2):
                        net.send(sender, "b", bytes(1400))
                net.advance(TICK_S)
                net.received("b")
            rows = [row for row in net.switch.drain(net.clock.now()) if isinstance(row, Hop)]
            witness.take(rows)
        witness.end(net.clock.now())
    witness.finish()
    return {hop.where: hop for hop in witness.evidence().hops}


def impose(net: FakeNetwork, conditions: NetworkConditions, *, shared: bool) -> None:
    if shared:
        net.switch.set_shared_bucket(conditions)
        for sender in ("a", "c"):
            net.switch.set_hop(sender, "up", CLEAR.replaced({"duty_cycle": conditions.duty_cycle}))
    else:
        for sender in ("a", "c"):
            net.switch.set_hop(sender, "up", conditions)


@pytest.mark.parametrize(
    "rates",
    [
        {0: 1e6},
        {0: 20e3, 5: 1e6, 12: 100e3},
        {0: 1e6, 4: 0, 9: 1e6},
        {0: 100e3, 3: None, 8: 200e3},
        {second: (0.1 + second % 3 / 3) * 1e6 for second in range(SECONDS)},
    ],
)
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("queue", ["200ms", "20p", "1MB"])
def test_a_flooded_rate_is_served_in_full(rates: dict[int, float | None], shared: bool, queue: str) -> None:
    found = evidence(rates, shared=shared, queue=queue)
    hop = found["field's shared rate" if shared else "a@field up"]
    assert hop.goodput is not None
    assert hop.goodput.waited_s >= SECONDS / 2
    assert hop.goodput.short < 0.01
    assert hop.rate_excess is None or hop.rate_excess < 0.01


def test_a_rate_that_is_not_imposed_on_what_waits_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As though a bucket left what is queued to the rate at which it came."""
    monkeypatch.setattr("wotemu_gateways.impairments.rate_limiter.RateLimiter._reschedule", lambda *_: None)
    found = evidence({0: 20e3, 5: 2e6}, queue="1MB")
    hop = found["a@field up"]
    assert hop.goodput is not None
    assert hop.goodput.short > 0.9


RADIOS: list[tuple[dict[int, float | None], dict[int, float]]] = [
    ({0: 1e6}, {0: 0.1}),
    ({0: 1e6}, {0: 0.01}),
    ({0: 100e3, 5: 1e6, 12: 200e3}, {0: 0.1}),
    ({0: 1e6, 4: 0, 9: 1e6}, {0: 0.1}),
    ({0: 1e6, 6: None, 12: 1e6}, {0: 0.1, 6: 1.0, 12: 0.1}),
    ({0: 1e6, 5: 1e6, 12: 1e6}, {0: 0.5, 5: 0.05, 12: 1.0}),
    (
        {second: (0.1 + second % 3 / 3) * 1e6 for second in range(SECONDS)},
        {second: 0.05 + second % 2 / 10 for second in range(SECONDS)},
    ),
]


@pytest.mark.parametrize(("rates", "duty_cycles"), RADIOS)
@pytest.mark.parametrize("queue", ["200ms", "20p"])
def test_silences_explain_what_waits(
    rates: dict[int, float | None], duty_cycles: dict[int, float], queue: str
) -> None:
    hop = evidence(rates, duty_cycles=duty_cycles, queue=queue)["a@field up"]
    assert hop.goodput is not None
    assert hop.goodput.waited_s >= SECONDS / 3
    assert hop.goodput.short < 0.01
    assert hop.rate_excess is None or hop.rate_excess < 0.01


@pytest.mark.parametrize(("rates", "duty_cycles"), RADIOS)
def test_on_a_shared_channel_each_node_has_its_silence(
    rates: dict[int, float | None], duty_cycles: dict[int, float]
) -> None:
    found = evidence(rates, duty_cycles=duty_cycles, shared=True)
    for where in ("a@field up", "c@field up", "field's shared rate"):
        assert (found[where].rate_excess or 0.0) < 0.01
        goodput = found[where].goodput
        assert goodput is None or goodput.short < 0.01


@pytest.mark.parametrize("shared", [False, True])
def test_a_radio_that_sends_more_than_its_duty_cycle_is_noticed(
    monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    whole = DutyCycleQueue._silence_after
    monkeypatch.setattr(DutyCycleQueue, "_silence_after", lambda self, size: whole(self, size) / 2)
    for rate, queue in ((1e6, "200ms"), (200e3, "20p")):
        found = evidence({0: rate}, duty_cycles={0: 0.1}, shared=shared, queue=queue)
        assert (found["a@field up"].rate_excess or 0.0) > 0.5


def test_a_radio_that_is_silent_for_too_long_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = DutyCycleQueue._silence_after
    monkeypatch.setattr(DutyCycleQueue, "_silence_after", lambda self, size: 2 * whole(self, size))
    goodput = evidence({0: 1e6}, duty_cycles={0: 0.1})["a@field up"].goodput
    assert goodput is not None
    assert goodput.short > 0.3
