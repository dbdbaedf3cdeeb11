"""The linter warns of what can be run but may not be meant, and says nothing of what is fine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.scenario.deployment import FIELD, HOME, RADIO, READER, SENSOR, TOPOLOGY
from wotemu.deployment_file import load
from wotemu.scenario import Scenario, at, during, event, every, metric, resolve, square, tag, when
from wotemu.scenario.vocabulary.actions import Action
from wotemu.topology.models import Link, Network, NetworkConditions, Node, Service, Topology

FINE = Link(FIELD)
EXAMPLES = Path(__file__).parents[2] / "examples"


def warnings(*events: Action, topology: Topology | None = None) -> list[str]:
    """What the linter says; without events that is about the topology alone."""
    fine = Topology([Node("reader", command=["x"], networks=[FINE, HOME])])
    return resolve(topology or fine, Scenario(events=events))[1]


def texts(*events: Action) -> list[str]:
    """The same without files and lines."""
    return [re.sub(r"test_lint\.py:\d+, ", "", warning) for warning in warnings(*events)]


def on(**conditions: Any) -> Topology:
    network = Network("net", conditions=NetworkConditions.of(**conditions))
    return Topology([Node("a", command=["x"], networks=[network])])


def test_a_scenario_without_fault_has_no_warnings() -> None:
    assert warnings(at(5).set(FIELD, latency="100ms"), at(10).restore(FIELD), at(20).crash("reader")) == []


def test_a_service_that_is_reached_directly() -> None:
    def using(service: Service) -> Topology:
        return Topology([Node("a", command=["x"], networks=[FINE], services=[service])])

    (warning,) = warnings(topology=using(Service("db", "postgres")))
    assert warning.startswith("db is on no network: what goes between it and a is not shaped")
    assert warnings(topology=using(Service("db", command=["x"], networks=[FIELD]))) == []
    (warning,) = warnings(topology=using(Service("db", "postgres", networks=[FIELD])))
    assert warning.startswith("db runs from an image: on a cluster it sees all its clients at one address")


# Conditions


def test_a_queue_smaller_than_the_rate_delay_product() -> None:
    assert warnings(topology=on(latency="100ms", rate="8mbit", queue="50ms")) == [
        "net: queue 50ms is smaller than the rate-delay product of 100 kB (8mbit for 100ms): "
        "one TCP flow can't fill the link"
    ]
    assert warnings(topology=on(latency="100ms", rate="8mbit", queue="100ms")) == []
    assert warnings(topology=on(latency="100ms", rate="8mbit")) == []


def test_the_delay_of_the_network_counts_for_a_link_s_queue() -> None:
    network = Network("net", conditions=NetworkConditions.of(latency="100ms"))
    tight = NetworkConditions.of(rate="8mbit", queue="10ms")
    topology = Topology([Node("a", command=["x"], networks=[Link(network, up=tight, down=tight)])])
    assert [warning.partition(":")[0] for warning in warnings(topology=topology)] == ["a@net"]


def test_a_queue_without_room_for_a_packet() -> None:
    (warning,) = warnings(topology=on(rate="8mbit", queue="1000B"))
    assert warning == "net: queue 1000B has no room for a full packet"


def test_jitter_of_more_than_the_latency() -> None:
    assert warnings(topology=on(latency="1ms", jitter="50ms", rate="15mbit")) == [
        "net: jitter 50ms is more than the latency 1ms: many delays are 0, and their mean is 20ms"
    ]
    (warning,) = warnings(topology=on(latency="10ms", jitter="30ms", distribution="uniform"))
    assert warning.endswith("many delays are 0, and their mean is 13ms")
    (warning,) = warnings(topology=on(jitter="30ms", distribution="pareto"))
    assert warning.endswith("more than the latency 0s: many delays are 0")
    assert warnings(topology=on(latency="40ms", jitter="40ms", rate="15mbit")) == []


def test_the_latency_of_the_network_counts_for_a_link_s_jitter_on_the_way_up_alone() -> None:
    network, wide = Network("net", NetworkConditions(latency="40ms")), NetworkConditions(jitter="10ms")
    up = Topology([Node("a", command=["x"], networks=[Link(network, up=wide)])])
    down = Topology([Node("a", command=["x"], networks=[Link(network, down=wide)])])
    assert warnings(topology=up) == []
    assert [warning.partition(" is")[0] for warning in warnings(topology=down)] == ["a@net: jitter 10ms"]


PRESETS = ("GPRS", "EDGE", "REGULAR_3G", "FAST_3G", "LTE", "WIFI", "CABLE")


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("other", PRESETS)
def test_the_presets_raise_no_warning(name: str, other: str) -> None:
    preset, whole = getattr(NetworkConditions, name), getattr(NetworkConditions, other)
    network = Network("net", whole)
    nodes = [
        Node("a", command=["x"], networks=[network]),
        Node("b", command=["x"], networks=[Link(network, up=preset, down=preset)]),
    ]
    assert warnings(topology=Topology(nodes)) == []


def test_conditions_that_come_later_are_looked_at_too() -> None:
    (warning,) = warnings(at(7).set(FIELD, jitter="50ms"))
    assert warning.startswith("field from 7s on: jitter 50ms is more than the latency 40ms")


def test_each_suspicion_is_told_once_for_a_place() -> None:
    wave = during(1, 50).wave(FIELD, jitter=("45ms", "90ms"))
    assert len(warnings(wave)) == 1


def test_a_delay_that_falls_by_more_than_a_round_trip() -> None:
    (warning,) = warnings(at(5).set(FIELD, latency="4s"), at(9).restore(FIELD))
    assert warning == (
        "field from 9s on: latency falls by 3.96s to 40ms: packets overtake those under way by more than a "
        "round trip, and TCP takes these for lost"
    )
    assert warnings(at(5).set(FIELD, latency="110ms"), at(9).restore(FIELD)) == []
    at_once = Topology([Node("a", command=["x"], networks=[Network("near")])])
    assert warnings(at(5).set("near", latency="800us"), at(9).restore("near"), topology=at_once) == []


@pytest.mark.parametrize(
    ("conditions", "text"),
    [
        ({"latency": "100s"}, "net: latency 100s is very long: is 100ms meant?"),
        ({"rate": "10bit"}, "net: rate 10bit/s is very slow: a full packet takes 1211.2s"),
        ({"latency": "10s"}, ""),
        ({"rate": "250bit"}, ""),
        ({"rate": 0}, ""),
    ],
)
def test_values_that_are_likely_a_slip_of_the_unit(conditions: dict[str, Any], text: str) -> None:
    assert warnings(topology=on(**conditions)) == ([text] if text else [])


def test_a_queue_that_loses_the_largest_datagrams() -> None:
    (warning,) = warnings(topology=on(rate="8mbit", queue="64K"))
    assert warning.startswith("net: queue 64KiB has no room for UDP's largest datagrams")
    assert warnings(topology=on(rate="8mbit", queue="66K")) == []
    assert warnings(topology=on(rate="1mbit")) == []


def test_a_queue_that_another_rate_takes_the_place_of() -> None:
    network = Network("net", NetworkConditions(rate="10mbit", queue="300K"))

    def linked(**conditions: Any) -> list[str]:
        own = NetworkConditions.of(**conditions)
        node = Node("a", command=["x"], networks=[Link(network, up=own, down=own)])
        return warnings(topology=Topology([node]))

    assert linked(rate="1mbit") == [
        "a@net: its link's rate 1mbit holds, with the default queue: the queue 300KiB is that of the "
        "network's rate 10mbit"
    ]
    assert linked(rate="1mbit", queue="300K") == linked(rate="20mbit") == []


@pytest.mark.parametrize(
    ("conditions", "what"),
    [
        ({"jitter_correlation": 0.5}, "jitter_correlation does nothing without jitter"),
        ({"loss_correlation": 0.5}, "loss_correlation does nothing without loss"),
        ({"reorder": 0.5}, "reorder does nothing without latency"),
        ({"ecn": True}, "ecn does nothing without loss"),
        ({"burst": "64K"}, "burst does nothing without rate"),
        ({"queue": "200ms"}, "queue does nothing without a rate beside it"),
        ({"overhead": 20}, "overhead does nothing without rate"),
        ({"rate": "1mbit", "cell_overhead": 5}, "cell_overhead does nothing without cell_size"),
        (
            {"rate": "1mbit", "burst": "3K", "duty_cycle": "1%"},
            "burst does nothing beside duty_cycle: after each packet its radio is silent",
        ),
    ],
)
def test_conditions_that_do_nothing_alone(conditions: dict[str, Any], what: str) -> None:
    assert any(warning.endswith(what) for warning in warnings(topology=on(**conditions)))


def test_a_duty_cycle_below_which_the_networks_is() -> None:
    radio = Network("radio", NetworkConditions.of(rate="50kbit", duty_cycle="1%"))
    links = [Link(radio, NetworkConditions.of(duty_cycle=each)) for each in ("10%", "0.1%")]
    nodes = [Node(name, command=["x"], networks=[link]) for name, link in zip("ab", links, strict=True)]
    assert warnings(topology=Topology(nodes)) == [
        "a@radio: its link's duty_cycle 10% does nothing: the network's 1% is lower, and holds"
    ]


def test_a_delay_on_one_side_only() -> None:
    link = Link(FIELD, up=NetworkConditions.of(latency="50ms"))
    topology = Topology([Node("a", command=["x"], networks=[link])])
    assert warnings(topology=topology) == [
        "a@field: its link has latency on the way up and none on the way down"
    ]


# Events


def meetings(*events: Action) -> list[str]:
    """What is said of events against each other, without what delays that fall do."""
    return [text for text in texts(*events) if "latency falls" not in text]


def test_an_instant_below_a_period_and_a_period_over_another() -> None:
    instant = during(10, 30).ramp(FIELD, latency="200ms"), at(20).set(FIELD, latency="1s")
    assert meetings(*instant) == [
        "at(20s).set: it sets latency of field up below during(10s, 30s).ramp, and shows only once that "
        "has ended"
    ]
    period = during(10, 30).ramp(FIELD, latency="200ms"), during(20, 40).wave(FIELD, latency=(0, "1s"))
    assert meetings(*period) == [
        "during(10s, 30s).ramp and during(20s, 40s).wave both set latency of field up, from 20s on: "
        "the one that began later holds"
    ]
    restored = during(10, 30).scale(FIELD, latency=2), at(20).restore(FIELD)
    assert texts(*restored)[0] == (
        "at(20s).restore: during(10s, 30s).scale goes on over field up, as restore ends no period"
    )


def test_events_at_one_moment_overlap() -> None:
    assert len(warnings(at(5).set(HOME, loss="5%"), at(5).set(HOME, loss="9%"))) == 1


def test_events_on_other_conditions_hops_or_times_do_not_overlap() -> None:
    assert (
        meetings(
            during(10, 30).ramp(FIELD, latency="200ms"),
            during(10, 30).ramp(FIELD, loss=(0, "1%")),
            during(10, 30).ramp("reader@home", "up", latency="1s"),
            during(30, 40).ramp("reader@home", "up", latency=("1s", "2s")),
        )
        == []
    )


def test_very_many_overlaps_are_counted() -> None:
    ramps = [during(10 + i, 30 + i).ramp(FIELD, latency=(f"{i}s", "9s")) for i in range(6)]
    found = meetings(*ramps)
    assert len(found) == 11
    assert found[-1] == "5 more pairs of events meet so"


def test_a_flap_faster_than_can_be_applied() -> None:
    assert warnings(during(1, 2).flap("reader@home", down="10ms", up="40ms")) == [
        "reader@home is cut off or let back again after 10ms: faster than every 50ms can't be relied on"
    ]


def test_steps_faster_than_can_be_applied() -> None:
    (warning,) = warnings(during(1, 2).ramp(HOME, every="20ms", loss=(0, "100%")))
    assert warning.startswith("home up changes again after 20ms")


def test_an_event_that_changes_nothing() -> None:
    assert texts(at(5).heal(), every("10s").do(at(0).restore(FIELD))) == [
        "at(5s).heal: it changes nothing, as it is so already",
        "every('10s').do: it changes nothing, as it is so already",
    ]


def test_what_ends_with_the_run_is_not_left_out(tmp_path: Path) -> None:
    path = tmp_path / "minute.csv"
    path.write_text("t,loss\n" + "".join(f"{t},0.0{t % 9}\n" for t in range(60)))
    assert (
        warnings(
            during(0, "60s").wave(FIELD, loss=(0, "1%")),
            during(30, "60s").ramp("reader@field", latency=("1ms", "9ms")),
            during(0, "60s").replay(HOME, path),
            during(50, 60).cut("reader@home"),
            every("20s").do(during(0, "20s").scale(FIELD, rate=0.5)),
            during(0, 60).crash("reader"),
        )
        == []
    )


def test_what_begins_after_the_end() -> None:
    assert texts(
        at(60).crash("reader"),
        every("10s", start="100s").do(at(0).heal()),
        when(metric("reader.x") > 1, after="2min").do(at(0).heal()),
        when(event("app.ready")).do(at(0).heal(), within="300s"),
        at(50).set(FIELD, loss="1%"),
        every("20s", start="15s").do(at(0).set(HOME, loss="1%"), at("5s").restore(HOME)),
    ) == [
        "at(60s).crash: nothing of it happens, as the end is at 60s",
        "every('10s').do: nothing of it happens, as the end is at 60s",
        "when(reader.x > 1).do: nothing of it happens, as the end is at 60s",
        "when(1 x app.ready).do: it never waits until 300s, as the end is at 60s",
        "every('20s').do: one of its changes is left out, as the end is at 60s",
    ]


def test_a_wave_in_steps_that_are_too_long_for_it() -> None:
    coarse = during(0, 9).wave(FIELD, period="1s", every="1s", latency=("10ms", "20ms"))
    (warning,) = texts(coarse)[:1]
    assert warning == (
        "during(0s, 9s).wave: every='1s' is too coarse for the wave, which takes another shape: "
        "it needs 250ms or less"
    )
    assert texts(during(0, 9).wave(FIELD, period="1s", latency=("10ms", "20ms"))) == []
    assert texts(during(0, 9).wave(FIELD, square("2s"), every="1s", latency=("10ms", "20ms"))) == []


def test_a_path_that_leads_beyond_its_period() -> None:
    move = during(10, 20).move("reader", [(0, FIELD), (5, HOME), (10, FIELD), (15, HOME)])
    assert texts(move) == ["during(10s, 20s).move: its last 2 places lie beyond the period's end"]


def test_partitions_that_add_up() -> None:
    names = [Node(name, command=["x"], networks=[HOME]) for name in "abc"]
    events = (
        at(1).partition("a"),
        at(2).partition("b"),
        at(3).heal(),
        at(4).partition("c"),
        at(5).partition("b", name="other"),
        during(6, 7).partition("a"),
    )
    found = resolve(Topology(names), Scenario(events=events))[1]
    assert [re.sub(r"test_lint\.py:\d+, ", "", warning) for warning in found] == [
        "at(2s).partition: it adds to at(1s).partition, which still holds: heal first, or give both one name"
    ]


def test_a_name_that_no_partition_has() -> None:
    events = at(1).partition("reader", name="split"), at(2).heal("splt"), at(3).heal("split")
    assert texts(*events)[0] == (
        "at(2s).heal: no partition or block is called 'splt': did you mean 'split'? known are split"
    )


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.py")))
def test_the_examples_raise_no_warning(name: str) -> None:
    loaded = load(EXAMPLES / f"{name}.py")
    assert resolve(loaded.topology, loaded.scenario)[1] == []


def test_one_sentence_for_many_nodes_alike() -> None:
    link = Link(FIELD, up=NetworkConditions.of(latency="50ms"))
    nodes = [Node(f"n{number}", command=["x"], networks=[link]) for number in range(100)]
    flap = during(1, 2).flap(FIELD, down="10ms", up="40ms")
    found = resolve(Topology(nodes), Scenario(events=[flap]))[1]
    assert found == [
        "n0@field, n1@field, n2@field, n3@field, n4@field and 95 more: their links have latency on the way "
        "up and none on the way down",
        "n0@field, n1@field, n2@field, n3@field, n4@field and 95 more are cut off or let back again after "
        "10ms: faster than every 50ms can't be relied on",
    ]


def test_a_warning_of_an_event_gives_its_file_and_line() -> None:
    (warning,) = warnings(at(5).heal())
    assert re.match(r"test_lint\.py:\d+, at\(5s\)\.heal: ", warning)


def test_a_guard_is_not_blamed_for_waiting() -> None:
    assert warnings(when(metric("reader.x") > 1).do(at(0).crash("reader"))) == []


# Names


def test_a_name_of_a_network_and_a_node() -> None:
    topology = Topology([Node("net", command=["x"], networks=[Network("net")])])
    assert warnings(topology=topology) == [
        "'net' is the name of a network and of a node: a scenario that names it has to say "
        "'network:net' or 'node:net'"
    ]


def test_a_tag_that_shadows_a_name() -> None:
    found = resolve(TOPOLOGY, Scenario(events=[at(5).set(tag("reader", RADIO), loss="7%")]))[1]
    assert "tag 'reader' has the name of a node: the text 'reader' means the node" in found


def test_two_tags_of_one_name() -> None:
    events = at(5).stop(tag("some", READER)), at(6).stop(tag("some", SENSOR))
    assert "two different tags are called 'some'" in resolve(TOPOLOGY, Scenario(events=events))[1]


def test_a_pause_that_nothing_ends_is_pointed_out() -> None:
    assert texts(at(1).pause("reader")) == [
        "at(1s).pause: reader is never resumed, and so paused until the end"
    ]
    assert texts(at(1).pause("reader"), at(2).resume("reader"), during(3, 4).pause("reader")) == []
