"""Objectives in a form: the same words as in Python, in one line of text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wotemu import InputError, Phase, Scenario, Topology, at, when
from wotemu.forms.deployment import load_form
from wotemu.forms.objectives import EXAMPLES, objective_text
from wotemu.forms.writing import plain_form
from wotemu.scenario import (
    app,
    availability,
    coap,
    errors,
    expect,
    failures,
    http,
    lost_events,
    node,
    p95,
    requests,
    resolve,
    tag,
    throughput,
)

FORM = """
networks: {net: {}}
nodes:
  phone: {app: "app.py:phone", networks: [net], scale: 2}
  edge: {app: "app.py:edge", networks: [net]}
tags: {both: [phone, edge]}
scenario:
  phases: [[calm, 0], [all fade, 15s], [heal, 30s]]
  expect:
"""
OBJECTIVES: dict[str, Any] = {
    "p95(readproperty, node=phone) < 500ms during all fade": expect(
        p95("readproperty", node="phone") < "500ms"
    ).during("all fade"),
    "errors(writeproperty, binding=coap)<1%": expect(errors("writeproperty", binding="coap") < "1%"),
    "availability(both) >= 99% after heal": expect(availability(tag("both", "phone", "edge")) >= "99%").after(
        "heal"
    ),
    "p95() recovers within 10s after heal": expect(p95()).recovers(within="10s").after("heal"),
    "p95() < 1s recovers within 10s": expect(p95() < "1s").recovers(within="10s"),
    "lost_events(reading) == 0": expect(lost_events("reading") == 0),
    "app(edge.latency).p99 < 2.0": expect(app("edge.latency").p99 < 2.0),
    "throughput(node=phone-1|edge, thing=urn:x, role=producer) > 0.5/s": expect(
        throughput(node=["phone-1", "edge"], thing="urn:x", role="producer") > "30/min"
    ),
    "p95( http(GET, /status, node=both, peer=edge) ) < 500ms during all fade": expect(
        p95(http("GET", "/status", node=tag("both", "phone", "edge"), peer="edge")) < "500ms"
    ).during("all fade"),
    "failures(http(path=/a/*, side=server)) == 0": expect(failures(http(path="/a/*", side="server")) == 0),
    "requests(coap()) >= 10": expect(requests(coap()) >= 10),
    "node(edge).restarts == 0 or abort": expect(node("edge").restarts == 0, abort=True),
}


def load(tmp_path: Path, *objectives: str) -> tuple[Topology, Scenario]:
    path = tmp_path / "deployment.yml"
    path.write_text(FORM + "".join(f"    - {each!r}\n" for each in objectives))
    return load_form(path)


def test_objectives_are_those_of_the_same_words_in_python(tmp_path: Path) -> None:
    topology, scenario = load(tmp_path, *OBJECTIVES)
    phases = [Phase("calm", 0), Phase("all fade", "15s"), Phase("heal", "30s")]
    expected = Scenario(phases=phases, expect=OBJECTIVES.values())
    assert resolve(topology, scenario)[0].objectives == resolve(topology, expected)[0].objectives


def test_an_objective_is_written_as_text_that_is_read_as_the_same(tmp_path: Path) -> None:
    topology, scenario = load(tmp_path, *OBJECTIVES)
    texts = [objective_text(each) for each in scenario.expect]
    assert "p95(readproperty, node=phone) < 0.5s during all fade" in texts
    assert load(tmp_path, *texts)[1] == scenario
    form = plain_form(topology, scenario)
    assert form["scenario"]["expect"] == texts
    assert form["tags"] == {"both": ["phone", "edge"]}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("p95(readproperty) < 500ms while fade", "has to be an objective", "during PHASE"),
        ("p96() < 1s", "there is no 'p96'", "did you mean 'p9"),
        ("p95(readpropety) < 1s", "'readpropety'", "did you mean 'readproperty'"),
        ("p95(nodes=phone) < 1s", "no 'nodes'", "did you mean 'node'"),
        ("p95(readproperty, phone) < 1s", "'phone' has no name", "node=phone"),
        ("p95(node=) < 1s", "'node=' is no argument", "NAME=VALUE"),
        ("lost_events() == 0", "missing 1 required", ""),
        ("p95() < 500", "has no unit", ""),
        ("p95()", "no limit", ""),
        ("p95().max < 1s", "has no 'max'", "alone"),
        ("app(edge.x) < 1", "needs a figure", "p50"),
        ("node(edge).restart == 0", "has no 'restart'", "did you mean 'restarts'"),
        ("p95() < 1s during fade", "no phase 'fade'", "all fade"),
    ],
)
def test_a_wrong_one_is_refused_with_its_place(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, EXAMPLES[1], text)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert "deployment.yml" in (caught.value.where or "")


GUARD = "failures(http(GET, /a/*, node=both, peer=edge)) >= 3"


def with_guard(tmp_path: Path, condition: str) -> tuple[Topology, Scenario]:
    path = tmp_path / "deployment.yml"
    event = f"    - when: {{wire: {condition!r}}}\n      do: [{{at: 0, restart: edge}}]\n"
    path.write_text(FORM.replace("  expect:\n", "  events:\n" + event))
    return load_form(path)


def test_a_guard_on_requests_on_the_wire_is_the_same_in_both_languages(tmp_path: Path) -> None:
    both = tag("both", "phone", "edge")
    expected = when(failures(http("GET", "/a/*", node=both, peer="edge")) > 2).do(at(0).restart("edge"))
    phases = [Phase("calm", 0), Phase("all fade", "15s"), Phase("heal", "30s")]
    topology, scenario = with_guard(tmp_path, GUARD)
    guards = resolve(topology, scenario)[0].guards
    assert guards[0].condition["replicas"] == ["phone-1", "phone-2", "edge"]
    assert guards == resolve(topology, Scenario(events=[expected], phases=phases))[0].guards
    form = plain_form(topology, scenario)
    assert form["scenario"]["events"][0]["when"] == {"wire": GUARD}
    assert form["tags"] == {"both": ["phone", "edge"]}


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("failures(http(GET)) < 3", "a number of requests grows"),
        ("failures(readproperty) >= 3", "guards wait for numbers of requests"),
        ("failures(https(GET)) >= 3", "there is no 'https'"),
        ("errors(http(GET)) >= 3", "has to be a comparison such as failures(http(GET, /status"),
        ("failures(http(GET, /a, edge)) >= 3", "'edge' has no name"),
    ],
)
def test_a_wrong_guard_on_requests_is_refused_with_its_place(
    tmp_path: Path, condition: str, message: str
) -> None:
    with pytest.raises(InputError) as error:
        with_guard(tmp_path, condition)
    assert message in str(error.value)
    assert "deployment.yml" in str(error.value)
