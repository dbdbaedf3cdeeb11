"""``wotemu plan``: what it prints for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import TWO_NODES, Invoke, Write
from wotemu import load
from wotemu.scenario import resolve


def planned(invoke: Invoke, path: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(invoke("plan", path, "--json").stdout)
    return found


@pytest.mark.parametrize("language", ["yaml", "json"])
def test_a_deployment_is_printed_as_a_form_with_the_same_timeline(
    invoke: Invoke, write: Write, folder: Path, language: str
) -> None:
    path = write("print('hello')\n" + TWO_NODES)
    done = invoke("plan", path, f"--as-{language}", "--seed", "7")
    assert done.exit_code == 0, done.output
    form = folder / f"form.{language}"
    form.write_text(done.stdout)
    one, other = load(path), load(form)
    assert other.topology == one.topology and other.scenario.seed == 7
    assert resolve(one.topology, one.scenario.overridden(seed=7))[0].hash == planned(invoke, form)["hash"]


def test_what_has_no_form_is_refused_with_its_place(invoke: Invoke, write: Write) -> None:
    code = TWO_NODES.replace('at("1s").set(net, ', 'during(0, 1).follow(net, lambda t: {"loss": 0}, ')
    path = write("from wotemu import during\n" + code.replace('latency="50ms"', 'every="1s"'))
    done = invoke("plan", path, "--as-yaml")
    assert done.exit_code == 2 and not done.stdout
    assert "during(0s, 1s).follow, function" in done.stderr and "deployment.py:" in done.stderr


def test_only_one_output_is_printed(invoke: Invoke, write: Write) -> None:
    done = invoke("plan", write(TWO_NODES), "--as-yaml", "--json")
    assert done.exit_code == 2 and "give one of" in done.stderr


def test_objectives_are_listed_without_those_that_the_duration_cuts_off(invoke: Invoke, write: Write) -> None:
    expected = """from wotemu.scenario import expect, node, p95
        expect=[
            expect(p95("readproperty") < "500ms").during("slow"),
            expect(p95("readproperty")).recovers(within="10s"),
            expect(node("pinger").restarts == 0, abort=True),
        ],"""
    imports, _, objectives = expected.partition("\n")
    path = write(f"{imports}\n" + TWO_NODES.replace("        events=", f"{objectives}\n        events="))
    shown = " ".join(invoke("plan", path).output.split())
    assert "p95 of readproperty during slow < 500 ms" in shown
    assert "p95 of readproperty recovers as it was before within 10s" in shown
    assert "restarts of pinger == 0 the run ends" in shown
    shown = " ".join(invoke("plan", path, "--duration", "500ms").output.split())
    assert "during slow <" not in shown and "restarts of pinger == 0" in shown
    assert "expect: it is not judged: a run of 500ms ends before the phase 'slow' begins" in shown
