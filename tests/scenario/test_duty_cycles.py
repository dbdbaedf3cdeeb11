"""Duty cycles in scenarios: set, ramped and restored, and refused where no rate says what air time is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from wotemu.cli.written_places import located
from wotemu.errors import InputError, ScenarioError, TopologyError
from wotemu.scenario import Resolver, Scenario, at, during, metric, resolve, when
from wotemu.scenario.vocabulary.actions import Action
from wotemu.topology.models import Link, LinkConditions, Network, NetworkConditions, Node, Topology

RADIO = Network("radio", NetworkConditions.of(rate="50kbit", duty_cycle="1%"))


def on(network: Network, *links: NetworkConditions | LinkConditions) -> Topology:
    """A node for each link to the network; without any, one without conditions."""
    made = [Link(network, each) for each in links] or [Link(network)]
    return Topology([Node(f"n{i}", command=["x"], networks=[link]) for i, link in enumerate(made)])


def duty_cycles(*events: Action) -> list[tuple[float, str, float]]:
    timeline, _ = resolve(on(RADIO), Scenario(duration="60s", events=events))
    return [(each.at_s, each.target, each.after.get("duty_cycle", 1.0)) for each in timeline.changes]


def test_it_is_set_scaled_ramped_and_restored() -> None:
    assert duty_cycles(at(5).set(RADIO, "up", duty_cycle="10%"), at(9).restore(RADIO)) == [
        (5, "radio up", 0.1),
        (9, "radio up", 0.01),
    ]
    assert duty_cycles(at(5).set(RADIO, duty_cycle="100%")) == [
        (5, "radio up", 1.0),
        (5, "radio down", 1.0),
    ]
    assert duty_cycles(during(10, 20).scale(RADIO, duty_cycle=0.5))[0] == (10, "radio up", 0.005)
    ramp = duty_cycles(during(10, 20).ramp("n0@radio", "up", every="5s", duty_cycle=("10%", "0.1%")))
    assert ramp[0] == (10, "n0@radio up", 0.1)
    assert min(share for _, _, share in ramp) >= 0.001


NO_RATE = "without a rate"


@pytest.mark.parametrize(
    ("network", "link", "hop"),
    [
        (NetworkConditions.of(duty_cycle="1%"), NetworkConditions(), "n0@radio up"),
        (NetworkConditions(), NetworkConditions.of(duty_cycle="1%"), "n0@radio up"),
        (
            NetworkConditions(),
            LinkConditions(up=NetworkConditions(), down=NetworkConditions.of(duty_cycle="1%")),
            "n0@radio down",
        ),
    ],
)
@pytest.mark.parametrize("shared", [False, True])
def test_without_a_rate_it_is_refused(network: Any, link: Any, hop: str, shared: bool) -> None:
    topology = on(Network("radio", network, shared=shared), link)
    with pytest.raises(TopologyError, match=f"duty cycle 1% {NO_RATE}: {hop} has none") as caught:
        resolve(topology, Scenario())
    assert 'write rate="5.47kbit" beside duty_cycle' in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("network", "links"),
    [
        (NetworkConditions.of(duty_cycle="1%"), [LinkConditions.LORA_SF7, LinkConditions.LORA_SF12]),
        (NetworkConditions.of(rate="50kbit"), [NetworkConditions.of(duty_cycle="1%")]),
        (NetworkConditions.of(rate=0, duty_cycle="1%"), [NetworkConditions()]),
    ],
)
def test_the_rate_may_be_the_links_or_the_networks(network: Any, links: list[Any]) -> None:
    resolve(on(Network("radio", network), *links), Scenario())


def test_on_a_shared_channel_the_channels_rate_is_none_of_the_way_down() -> None:
    radio = Network("radio", NetworkConditions.of(rate="50kbit", duty_cycle="1%"), shared=True)
    resolve(on(radio), Scenario())
    down = LinkConditions(up=NetworkConditions(), down=NetworkConditions.of(duty_cycle="1%"))
    with pytest.raises(TopologyError, match="n0@radio down has none"):
        resolve(on(radio, down), Scenario())


@pytest.mark.parametrize("section", ["network", "broker", "uplink"])
def test_what_only_the_plan_shows_has_its_line(tmp_path: Path, section: str) -> None:
    path = tmp_path / "deployment.py"
    path.write_text(f'import wotemu\n\nmade = wotemu.{section.title()}(\n    "it", mtu=9\n)\n')
    error = TopologyError("wrong", where="it", field="mtu", owner=(f"{section}s", "it"))
    with pytest.raises(TopologyError, match=r"deployment\.py:4, it: wrong"), located(path):
        raise error


OPEN = Network("open")


@pytest.mark.parametrize(
    "action",
    [
        lambda: at(5).set(OPEN, duty_cycle="1%"),
        lambda: at(5).set("n0@open", "down", duty_cycle="1%"),
        lambda: during(5, 9).set("n0@open", duty_cycle="1%"),
        lambda: when(metric("n0.x") > 1).do(at(0).set(OPEN, duty_cycle="1%")),
    ],
)
def test_without_a_rate_then_it_is_refused_with_its_place(action: Any) -> None:
    with pytest.raises(ScenarioError, match=NO_RATE) as caught:
        resolve(on(OPEN), Scenario(events=[action()]))
    assert re.match(r"test_duty_cycles\.py:\d+", caught.value.where or "")


def test_a_rate_may_come_with_it_and_may_not_go_before_it() -> None:
    on_and_off = [
        at(5).set(OPEN, rate="50kbit", duty_cycle="1%"),
        at(9).set(OPEN, rate=0),
        at(12).restore(OPEN),
    ]
    resolve(on(OPEN), Scenario(events=on_and_off))
    with pytest.raises(ScenarioError, match=NO_RATE):
        resolve(on(OPEN), Scenario(events=[on_and_off[0], at(9).set(OPEN, rate=None)]))


def test_by_hand_it_is_refused_as_well() -> None:
    resolver = Resolver(on(OPEN), Scenario())
    with pytest.raises(InputError, match=NO_RATE):
        resolver.resolve({}, [at(5).set(OPEN, duty_cycle="1%")])
    resolver.resolve({}, [at(5).set(OPEN, rate="50kbit", duty_cycle="1%")])
