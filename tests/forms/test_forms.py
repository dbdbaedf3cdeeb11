"""Deployments in YAML and JSON mean the same as in Python, run no code, and say where they are wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from jsonschema import Draft202012Validator

from wotemu import load
from wotemu.errors import InputError
from wotemu.forms.deployment import form_schema, read_form
from wotemu.forms.document import MAX_BYTES, parse
from wotemu.forms.events import moments
from wotemu.scenario import resolve

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "yaml.md"
SCHEMA = Draft202012Validator(form_schema())
START = "networks: {field: {}}\nnodes: {van: {command: [run], networks: [field]}}\n"


def example() -> str:
    found = re.search(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def hash_of(topology: Any, scenario: Any) -> str:
    return resolve(topology, scenario)[0].hash


def scenario(*events: str) -> str:
    return START + "scenario:\n  events:\n" + "".join(f"    - {event}\n" for event in events)


def test_the_documents_example_is_the_deployment_of_the_python_example() -> None:
    topology, scenario = read_form(parse(example(), "roaming.yml"))
    other = load(ROOT / "examples" / "roaming.py")
    assert topology == other.topology
    assert hash_of(topology, scenario) == hash_of(other.topology, other.scenario)
    expected, others = (
        [str(attrs.evolve(each, where="")) for each in one.expect] for one in (scenario, other.scenario)
    )
    assert expected == others
    assert len(expected) == 6
    SCHEMA.validate(parse(example(), "roaming.yml").plain)


def test_json_means_the_same_as_yaml(tmp_path: Path) -> None:
    (tmp_path / "roaming.yml").write_text(example())
    (tmp_path / "roaming.json").write_text(
        json.dumps(parse(example(), "roaming.yml").plain, indent="\t", ensure_ascii=True)
    )
    one, other = load(tmp_path / "roaming.yml"), load(tmp_path / "roaming.json")
    assert one.topology == other.topology
    assert hash_of(one.topology, one.scenario) == hash_of(other.topology, other.scenario)


def test_the_schema_is_valid_and_the_one_in_the_documentation() -> None:
    Draft202012Validator.check_schema(form_schema())
    assert json.loads((ROOT / "docs" / "wotemu.schema.json").read_text()) == form_schema()


def test_every_verb_of_the_vocabulary_has_its_form() -> None:
    from wotemu.scenario.vocabulary.at import Instant
    from wotemu.scenario.vocabulary.during import Period

    assert {name for name in dir(Instant) if not name.startswith("_")} - {"start_us", "source"} == set(
        moments()["at"].verbs
    )
    assert {name for name in dir(Period) if not name.startswith("_")} - {
        *("start_us", "end_us", "source"),
    } == set(moments()["during"].verbs)
    assert set(moments()) == {"at", "during", "every", "when"}


def test_a_python_file_does_not_wait_for_yaml(tmp_path: Path) -> None:
    code = (
        "import sys, wotemu; wotemu.load('examples/roaming.py');"
        "assert not any(n == 'yaml' or n.startswith('wotemu.forms') for n in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "place", "words", "in_schema"),
    [
        (START.replace("nodes", "nods"), "2:1, nods", "there is no 'nods'", True),
        ("networks: {field: {}}\n", "1:1", "there are no nodes", True),
        (START + "nodes: {}\n", "3:1", "the key 'nodes' is there twice", False),
        (
            START.replace("networks: [field]", "scael: 2"),
            "2:31, nodes.van.scael",
            "Node has no 'scael'",
            True,
        ),
        (START.replace("[field]", "[feild]"), "2:42, nodes.van.networks[0]", "none of the networks", False),
        (
            START.replace("field: {}", "field: {conditions: {latency: 20}}"),
            "1:42, networks.field.conditions.latency",
            "has no unit",
            False,
        ),
        (START.replace("field: {}", "field: {conditions: LTEE}"), "1:32", "but has to be one of", True),
        (
            scenario("{at: 1s, set: {target: van, preset: NB_IOTT}}"),
            "5:43, scenario.events[0].set.preset",
            "but has to be one of",
            True,
        ),
        (scenario("{at: 1s, crsh: van}"), "5:16, scenario.events[0].crsh", "does not go with", True),
        (scenario("{crash: van}"), "5:7, scenario.events[0]", "nothing says when", True),
        (scenario("{at: 1s, crash: van, stop: van}"), "5:28, scenario.events[0].stop", "both", True),
        (scenario("{at: 1s, set: {target: field, loss: 7}}"), "5:43, scenario.events[0].set.loss", "", False),
        (scenario("{during: [1s], crash: van}"), "5:16", "a list of 2", True),
        (
            scenario("{during: [1s, 2s], follow: {target: field, function: f}}"),
            "5:60, scenario.events[0].follow.function",
            "can't hold a function",
            True,
        ),
        (scenario("{when: {metric: van.x = 5}, do: []}"), "5:23", "a comparison", True),
        (scenario("{at: 1s, set: {loss: 1%}}"), "5:21", "'target' is missing", True),
        (START + "scenario: !!python/object/apply:os.system [ls]\n", "3:11", "the tag", False),
        ("nodes: [\n", "2:1", "it is no YAML", False),
        ("a: &a {b: *a}\n", "1:11", "contains itself", False),
        (START + "---\na: 1\n", "3:1", "a second document", False),
        (START + "tags: {field: [van]}\n", None, None, False),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    text: str, place: str | None, words: str | None, in_schema: bool
) -> None:
    if place is None:
        with pytest.raises(InputError, match="is one of the networks already"):
            read_form(parse(text, "d.yml"))
        return
    with pytest.raises(InputError) as caught:
        read_form(parse(text, "d.yml"))
    assert (caught.value.where or "").startswith(f"d.yml:{place}")
    assert words is not None and words in caught.value.message
    if in_schema:
        assert not SCHEMA.is_valid(parse(text, "d.yml").plain)


@pytest.mark.parametrize(("word", "meant"), [("NB_IOT", "NB_IOT"), ("5G", "NR_THREE_UK")])
def test_a_preset_of_two_ways_is_no_network_s_and_the_hint_says_whose(word: str, meant: str) -> None:
    with pytest.raises(InputError) as caught:
        read_form(parse(START.replace("field: {}", f"field: {{conditions: {word}}}"), "d.yml"))
    assert (caught.value.hint or "").startswith(
        f"did you mean '{meant}'?; it is for the conditions of a link"
    )


def test_aliases_of_aliases_are_bounded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(InputError, match="more than 200000 values"):
        parse("\n".join(lines), "d.yml")


def test_nesting_and_size_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nested more than"):
        parse("[" * 100, "d.yml")
    with pytest.raises(InputError, match="no YAML"):
        parse("[" * 100_000, "d.yml")
    (tmp_path / "large.yml").write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(InputError, match="larger than"):
        load(tmp_path / "large.yml")


def test_words_are_those_of_yaml_1_2() -> None:
    assert parse("[no, 1:30, 012, 1e3, 'true', true, ~]", "d.yml").plain == [
        *("no", "1:30", 12, 1000.0, "true", True, None),
    ]


def test_an_error_of_the_timeline_names_the_event_in_the_file() -> None:
    topology, found = read_form(parse(scenario("{at: 1s, crash: nobody}"), "d.yml"))
    with pytest.raises(InputError) as caught:
        resolve(topology, found)
    assert (caught.value.where or "").startswith("d.yml:5:7, scenario.events[0], at(1s).crash")


def test_another_function_of_a_form_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "roaming.yml"
    file.write_text(example())
    with pytest.raises(InputError, match=r"no function other\(\)"):
        load(file, "other")
