"""A deployment of Python is written as a form that means the same; what has none is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.forms.deployments import deployments
from wotemu import (
    Broker,
    Link,
    LinkConditions,
    Network,
    NetworkConditions,
    Node,
    NodeApp,
    NodeResources,
    Scenario,
    Service,
    Topology,
    Uplink,
    at,
    during,
    event,
    every,
    load,
    metric,
    sine,
    tag,
    when,
)
from wotemu.errors import InputError
from wotemu.forms.deployment import form_schema, read_form
from wotemu.forms.document import parse
from wotemu.forms.writing import plain_form
from wotemu.forms.written_deployment import written_form
from wotemu.forms.yaml_text import yaml_text
from wotemu.scenario import Trace, resolve
from wotemu.topology.distributions import DistributionTable

ROOT = Path(__file__).parents[2]
EXAMPLES = list((ROOT / "examples").glob("*.py"))
ONLY_IN_PYTHON = {"live.py"}
"""Its apps are functions."""
SCHEMA = Draft202012Validator(form_schema())
FILE = Path("deployment.py")

field = Network("field", NetworkConditions(latency="20ms"))
van = Node("van", command=["run"], networks=[field])


def read_back(topology: Topology, scenario: Scenario) -> tuple[Topology, Scenario]:
    """What is written, read; each language says the same."""
    form = plain_form(topology, scenario)
    SCHEMA.validate(form)
    read = read_form(parse(yaml_text(form), "d.yml"))
    other = read_form(parse(json.dumps(form), "d.json", as_json=True))
    assert read[0] == other[0]
    return read


@settings(max_examples=25, deadline=None)
@given(deployments())
def test_what_is_written_means_the_same(deployment: tuple[Topology, Scenario]) -> None:
    topology, scenario = deployment
    try:
        timeline, _ = resolve(topology, scenario)
    except InputError:
        assume(False)
    read = read_back(topology, scenario)
    assert read[0] == topology
    assert resolve(*read)[0].hash == timeline.hash
    assert plain_form(*read) == plain_form(topology, scenario)  # a form of a form is the form


@settings(max_examples=25, deadline=None)
@given(
    st.recursive(
        st.text() | st.integers() | st.booleans() | st.none() | st.floats(-1e9, 1e9),
        # YAML takes keys of at most 1,024 characters, and JSON escapes each of these with up to twelve.
        lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=80), each, max_size=3),
    )
)
def test_parameters_of_apps_stay_as_they_are(value: Any) -> None:
    topology = Topology([Node("van", NodeApp("reader", params={"value": value}))])
    (node,) = read_back(topology, Scenario())[0].nodes
    assert node.app is not None and repr(node.app.params["value"]) == repr(value)


@pytest.mark.parametrize("name", sorted({each.name for each in EXAMPLES} - ONLY_IN_PYTHON))
@pytest.mark.parametrize("language", ["yaml", "json"])
def test_examples_are_written_and_read(tmp_path: Path, name: str, language: Any) -> None:
    path = ROOT / "examples" / name
    one = load(path)
    (tmp_path / f"d.{language}").write_text(
        written_form(one.topology, one.scenario, file=path, language=language)
    )
    other = load(tmp_path / f"d.{language}")
    assert other.topology == one.topology
    assert resolve(other.topology, other.scenario)[0].hash == resolve(one.topology, one.scenario)[0].hash


def test_the_example_whose_apps_are_functions_is_refused_with_what_to_write() -> None:
    live = load(ROOT / "examples" / "live.py")
    with pytest.raises(InputError) as caught:
        plain_form(live.topology, live.scenario)
    assert caught.value.where == "Node 'sensor', field 'app', field 'path'"
    assert "sensor is a function" in caught.value.message
    assert 'NodeApp("live.py:sensor")' in str(caught.value.hint)


def test_a_link_keeps_its_identity_among_equal_ones() -> None:
    one, equal = Link(field, NetworkConditions.LTE), Link(field, NetworkConditions.LTE)
    nodes = [Node("a", command=["run"], networks=[one]), Node("b", command=["run"], networks=[equal])]
    scenario = Scenario(events=[at("1s").set(one, loss="5%")])
    form = plain_form(Topology(nodes), scenario)
    assert form["nodes"]["a"]["networks"] == ["a-field"] and list(form["links"]) == ["a-field"]
    assert form["nodes"]["b"]["networks"] == [{"network": "field", "conditions": "LTE"}]
    (change, _) = resolve(*read_back(Topology(nodes), scenario))[0].changes
    assert change.node == "a"


def test_a_link_with_two_ways_is_written_by_its_preset() -> None:
    link = Link(field, LinkConditions.NB_IOT)
    topology = Topology([Node("a", command=["run"], networks=[link])])
    scenario = Scenario(events=[at("1s").set("a@field", LinkConditions.STARLINK_US)])
    form = plain_form(topology, scenario)
    assert form["nodes"]["a"]["networks"] == [{"network": "field", "conditions": "NB_IOT"}]
    assert form["scenario"]["events"][0]["set"]["preset"] == "STARLINK_US"
    again = read_back(topology, scenario)
    assert again[0] == topology
    assert resolve(*again)[0].hash == resolve(topology, scenario)[0].hash


def test_files_are_named_and_tables_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_text("t,latency_ms\n5,20\n6,40\n")
    monkeypatch.chdir(tmp_path)
    table = DistributionTable((-8192, 0, 8192))
    net = Network("field", NetworkConditions(jitter="5ms", latency="10ms", distribution=table))
    events = [
        during(0, 5).replay(net, Trace.csv("t.csv", from_zero=True)),
        during(6, 15).replay(net, "t.csv"),
    ]
    form = plain_form(Topology([Node("van", command=["run"], networks=[net])]), Scenario(events=events))
    assert form["networks"]["field"]["conditions"]["distribution"] == [-8192, 0, 8192]
    replayed = [each["replay"]["trace"] for each in form["scenario"]["events"]]
    assert replayed == [{"path": "t.csv", "from_zero": True}, "t.csv"]


def test_what_was_given_is_kept_though_it_changes_or_is_used_up_later() -> None:
    targets = [van]
    names = (name for name in ["van"])
    events = [at(1).crash(targets), at(5).restart(names), at(timedelta(seconds=7)).stop(van)]
    targets.clear()
    form = plain_form(Topology([van]), Scenario(events=events))["scenario"]["events"]
    assert [each for event in form for each in event.items()] == [
        *[("at", "1s"), ("crash", ["van"]), ("at", "5s"), ("restart", ["van"]), ("at", "7s"), ("stop", "van")]
    ]


class Own:
    """An action by code of the user's."""

    where, phase, label, start_us, notes = "own.py:3", "", "", 0, ()

    def steps(self, rng: Any, span_us: int) -> Any:
        return ()


async def local_app(wot: Any, conf: Any, loop: Any) -> None: ...


@pytest.mark.parametrize(
    ("topology", "events", "where", "words"),
    [
        (
            lambda: [van],
            lambda: [during(0, 5).follow(field, lambda t: {"loss": t})],
            "follow, function",
            "is a function",
        ),
        (lambda: [van], lambda: [Own()], "own.py:3", "code of its own"),
        (lambda: [van], lambda: [every(5).do(Own())], "own.py:3", "code of its own"),
        (
            lambda: [van],
            lambda: [during(0, 5).replay(field, Trace("made", ((0.0, {}),), 1.0))],
            "replay, trace",
            "not as a file has it",
        ),
        (
            lambda: [Node("van", NodeApp("a.py", params={"x": [float("inf")]}))],
            list,
            "Node 'van', field 'app'",
            "inf",
        ),
        (
            lambda: [Node("van", NodeApp("a.py", params={"x": "\ud800"}))],
            list,
            "Node 'van', field 'app'",
            "UTF-8",
        ),
        (
            lambda: [van],
            lambda: [at(0).set(tag("x", field), loss=0), at(1).set(tag("x", van), loss=0)],
            "tag 'x'",
            "two different tags",
        ),
        (lambda: [van], lambda: [at(0).set(tag("van", field), loss=0)], "tag 'van'", "has this name"),
        (
            lambda: [van],
            lambda: [at(0).set(van, LinkConditions(up=NetworkConditions.LTE, down=NetworkConditions.WIFI))],
            "preset",
            "no preset",
        ),
    ],
)
def test_what_has_no_form_is_refused_with_its_place(
    topology: Callable[[], Any], events: Callable[[], Any], where: str, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        plain_form(Topology(topology()), Scenario(events=events()))
    assert where in str(caught.value.where) and words in caught.value.message
    assert caught.value.hint


# A network and a node of one name

BOTH = Network("van")
TWICE = Topology([Node("van", command=["run"], networks=[BOTH]), Node("b", command=["run"], networks=[BOTH])])
FORM = """\
networks: {van: {}}
nodes:
  van: {command: [run], networks: [van]}
  b: {command: [run], networks: [van]}
"""


@pytest.mark.parametrize(
    ("target", "hops"),
    [
        ("network:van", {("van", None, "up")}),
        ("node:van", {("van", "van", "up"), ("van", "van", "down")}),
        ("van@van", {("van", "van", "up"), ("van", "van", "down")}),
    ],
)
def test_a_prefix_says_whether_a_network_or_a_node_is_meant(target: str, hops: set[Any]) -> None:
    read = read_form(
        parse(f"{FORM}scenario: {{events: [{{at: 1s, set: {{target: {target}, loss: 5%}}}}]}}", "d.yml")
    )
    changes = resolve(*read)[0].changes
    assert {(change.network, change.node, change.direction) for change in changes} == hops


def test_without_a_prefix_the_error_says_what_to_write() -> None:
    topology, scenario = read_form(
        parse(f"{FORM}scenario: {{events: [{{at: 1s, set: {{target: van, loss: 5%}}}}]}}", "d.yml")
    )
    with pytest.raises(InputError, match="both a network and a node") as caught:
        resolve(topology, scenario)
    assert "'network:van' or 'node:van'" in str(caught.value.hint)
    assert str(caught.value.where).startswith("d.yml:5:")


def test_objects_of_one_name_are_written_with_their_kind() -> None:
    (node, _) = TWICE.nodes
    events = [at(1).set(BOTH, loss="5%"), at(2).set(node, loss="5%"), at(3).crash(node), at(4).cut(node)]
    scenario = Scenario(events=events)
    form = plain_form(TWICE, scenario)["scenario"]["events"]
    assert [each[verb] for each, verb in zip(form, ["set", "set", "crash", "cut"], strict=True)] == [
        {"target": "network:van", "loss": "5%"},
        {"target": "node:van", "loss": "5%"},
        *("node:van", "node:van"),
    ]
    assert resolve(*read_back(TWICE, scenario))[0].hash == resolve(TWICE, scenario)[0].hash


def test_every_kind_of_object_is_written() -> None:
    broker = Broker("mqtt", networks=[field], tls=True, persistence="30min")
    service = Service("db", "redis:7", networks=[Link(field, NetworkConditions.WIFI)])
    app = NodeApp("reader", mqtt=True, params={"servient_host": "x"})
    nodes = [
        Node(
            "van",
            app,
            networks=[field],
            broker=broker,
            services=[service],
            resources=NodeResources(cpu_limit=0.5, mem_limit="100MB", pids_limit=50),
            env={"no": "1e3"},
            scale=2,
        )
    ]
    events: list[Any] = [
        when(event("app.ready", 2, broker), after="1s").do(at(0).cut(service)),
        when(metric("van-1.read_failures") >= -1.5e-7, held="2s").do(at(0).crash("van-2"), otherwise="fail"),
        during(1, 5).wave([field, "mqtt"], sine("2s", shift=0.25), loss=(0, "1%")),
    ]
    uplinks = [Uplink("modem", networks=[Link(field, NetworkConditions.LTE)])]
    events.append(at(6).cut(uplinks[0]))
    scenario = Scenario(duration=timedelta(seconds=30), events=events)
    topology = Topology(nodes, uplinks=uplinks)
    read = read_back(topology, scenario)
    assert read[0] == topology
    assert resolve(*read)[0].hash == resolve(topology, scenario)[0].hash
