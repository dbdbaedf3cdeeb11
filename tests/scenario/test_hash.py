"""A timeline's hash is the same in every version: recorded runs are compared by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from wotemu.deployment_file import load
from wotemu.scenario import (
    Phase,
    Scenario,
    at,
    during,
    event,
    every,
    metric,
    resolve,
    sine,
    square,
    tag,
    when,
)
from wotemu.scenario.timeline import Timeline
from wotemu.scenario.vocabulary.actions import Action
from wotemu.topology.models import (
    Broker,
    DistributionTable,
    GilbertElliott,
    Link,
    MarkovLoss,
    Network,
    NetworkConditions,
    Node,
    Topology,
)

TRACES = Path(__file__).parents[2] / "examples" / "traces"


def everything() -> Timeline:
    """A timeline with every word of the vocabulary and every kind of condition."""
    field = Network("field", NetworkConditions(latency="20ms", jitter="3ms", rate="4mbit", queue="64K"))
    home = Network(
        "home", NetworkConditions(loss_model=GilbertElliott("1%", "30%"), rate="9mbit", queue="90p")
    )
    radio = Link(
        field,
        up=NetworkConditions(latency="5ms", jitter="2ms", distribution=DistributionTable((-8192, 0, 8192))),
        down=NetworkConditions(loss_model=MarkovLoss("1%", "40%"), duplicate="1%", corrupt="0.5%"),
    )
    other = Link(
        field,
        up=NetworkConditions(
            rate="1mbit", burst="8K", overhead=14, cell_size=53, cell_overhead=5, queue="2s"
        ),
        down=NetworkConditions(latency="9ms", reorder="2%", reorder_gap=3, loss="1%", loss_correlation="20%"),
    )
    broker = Broker("broker", [home])
    reader = Node("reader", command=["true"], networks=[radio, home])
    sensor = Node("sensor", command=["true"], networks=[other, home], scale=3, broker=broker)
    group = tag("group", reader, "sensor@field")
    events: list[Action] = [
        at(1).set(field, NetworkConditions.LTE),
        at("1.5s").set(group, "up", loss="2%", ecn=True),
        at(2).scale(field, latency=2, rate=0.5),
        at(3).partition([reader], [sensor], name="split"),
        at(4).heal(),
        at(5).cut("sensor-2@field"),
        at(6).reconnect("sensor-2@field"),
        at(7).crash(reader),
        at(9).restart(reader).named("back"),
        at(10).stop(broker),
        at(11).start(broker),
        at(12).restore(),
        during(2, 8).set(radio, latency="90ms"),
        during(3, 9).scale(home, "down", rate=0.1),
        during(4, 5).partition(broker),
        during(5, 6).cut(home),
        during(6, 7).stop(sensor),
        during(12, 14).crash("sensor-3"),
        during(10, 20).ramp(radio, rate=("4mbit", "250kbit"), shape="log", keep=True),
        during(10, 20).wave(field, sine("4s") + square("3s", weight=0.3), latency=("20ms", "200ms")),
        during(12, 22).random_walk(sensor, loss=(0, "5%")),
        during(12, 22).follow(home, lambda t: {"jitter": f"{t:g}ms"}, every="2s"),
        during(20, 30).replay(radio, TRACES / "lte_drive.csv", scale={"rate": 0.5}, loop=True),
        during(20, 30).flap(home, up="2s", down="500ms", jitter="20%"),
        during(20, 40).churn(sensor, rate="20/min", downtime=("2s", "4s")),
        during(30, 40).move(reader, path=[("0s", field), ("4s", home)]),
        during(41, 50).travel(
            reader, path=[("0s", (0, 0)), ("8s", (300, 0))], stations={field: (0, 0), home: (300, 0)}
        ),
        every("15s", start="2s").do(at(0).set(field, duplicate="1%"), at("2s").restore(field)),
        when(metric("reader.errors") > 5, held="2s", after="3s").do(at(1).crash(sensor), within="50s"),
        when(event("app.crashed", 2, reader)).do(every("10s").do(at(0).cut(home)), otherwise="fire"),
    ]
    scenario = Scenario(
        duration="60s", seed=11, phases=[Phase("calm", 0), Phase("storm", "20s")], events=events
    )
    return resolve(Topology([reader, sensor]), scenario)[0]


def test_the_hash_of_every_word_and_condition_stays() -> None:
    assert everything().hash == "a90ddbd47a83131a"


@pytest.mark.parametrize(
    ("name", "expected"), [("quickstart", "b7388441e1db6939"), ("roaming", "5158a74da0de6083")]
)
def test_the_hashes_of_the_examples_stay(name: str, expected: str) -> None:
    deployment = load(Path(__file__).parents[2] / "examples" / f"{name}.py")
    assert resolve(deployment.topology, deployment.scenario)[0].hash == expected
