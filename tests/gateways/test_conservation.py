"""Whatever the conditions, however they change, each packet is delivered, dropped for a reason, or held."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Fraction, Seconds
from wotemu_gateways.packets import probe

from .network import FakeNetwork

CONDITIONS = st.fixed_dictionaries(
    {
        "rate": st.sampled_from([None, 0, "20kbit", "1mbit", "100mbit"]),
        "queue": st.sampled_from([None, "5p", "2K", "50ms"]),
        "loss": st.sampled_from([Fraction(0), Fraction(0.3)]),
        "duplicate": st.sampled_from([Fraction(0), Fraction(0.3)]),
        "latency": st.sampled_from([Seconds(0), Seconds(0.0005), Seconds(0.3)]),
        "jitter": st.sampled_from([Seconds(0), Seconds(0.01)]),
    }
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([("a", "up"), ("b", "down")]), CONDITIONS),
        st.tuples(st.just("shared"), st.sampled_from([None, 0, "20kbit", "1mbit"])),
        st.tuples(st.just("send"), st.integers(1, 12)),
        st.tuples(st.just("probe"), st.integers(1, 3)),
        st.tuples(st.just("wait"), st.sampled_from([0.0001, 0.01, 0.5])),
        st.tuples(st.just("cut"), st.booleans()),
    ),
    max_size=25,
)
NAMES = ("sent", "dropped_loss", "dropped_queue", "dropped_cut", "dropped_memory")


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_every_packet_is_accounted_for(steps: list[tuple[Any, Any]]) -> None:
    totals: dict[tuple[str, str], dict[str, int]] = {}
    offered = delivered = 0

    def drain(net: FakeNetwork) -> None:
        for key, row in net.drain()[1].items():
            hop = totals.setdefault(key, dict.fromkeys(NAMES, 0))
            for name in NAMES:
                assert getattr(row, name) >= 0
                hop[name] += getattr(row, name)
            hop["backlog"] = row.backlog

    with FakeNetwork("a", "b") as net:
        net.switch.set_shared_bucket(NetworkConditions())
        for what, value in steps:
            match what:
                case "send":
                    for _ in range(value):
                        net.send("a", "b", bytes(200))
                    offered += value
                case "probe":
                    for number in range(value):
                        net.send(
                            "a",
                            "b",
                            probe.pack(number),
                            sport=probe.PORT,
                            dport=probe.PORT,
                        )
                case "wait":
                    net.advance(value)
                case "cut":
                    net.switch.cut("b", value)
                case "shared":
                    net.switch.set_shared_bucket(NetworkConditions(rate=value, queue="3K"))
                case (node, direction):
                    net.switch.set_hop(node, direction, NetworkConditions(**value))
            delivered += sum(len(frame) == 238 for frame in net.received("b"))
            drain(net)
        up, down = totals.get(("a", "up")), totals.get(("b", "down"))
        assert net.switch.packets_in_flight == (up["backlog"] + down["backlog"] if up and down else 0)
        net.switch.set_shared_bucket(None)
        for node, direction in (("a", "up"), ("b", "down")):
            net.switch.set_hop(node, direction, NetworkConditions())  # type: ignore[arg-type]
        net.advance(2)
        delivered += sum(len(frame) == 238 for frame in net.received("b"))
        drain(net)
        up, down = totals["a", "up"], totals["b", "down"]
        assert up["backlog"] == down["backlog"] == net.switch.packets_in_flight == 0
        assert net.switch.memory.held_bytes == 0
        assert down["sent"] == delivered
        copies = sum(up[name] + down[name] for name in NAMES[1:]) + delivered - offered
        assert copies >= 0
        if not any(isinstance(value, dict) and value["duplicate"] for _, value in steps):
            assert copies == 0
