"""One run of the local engine, watched and changed from a second terminal with each command."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Start, Write, command_line

pytestmark = pytest.mark.namespaces

YARD = """
def topology():
    return Topology([
        Node("pinger", command=["ping", "-i", "0.2", "target"], networks=[net]),
        Node("target", command=["sh", "-c", "echo up; sleep 1000"], networks=[net]),
    ])

def scenario():
    return Scenario(duration="300s")
"""


def wotemu(*arguments: object) -> str:
    """What a command prints, which has to succeed."""
    done = subprocess.run(command_line(*arguments), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shown() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(wotemu("show", "yard", "--json"))
    return found


def latency_up(now: dict[str, Any], replica: str) -> float:
    (hop,) = [h for h in now["hops"] if (h["replica"], h["direction"]) == (replica, "up")]
    return float(hop["conditions"]["latency_s"])


def test_a_run_is_watched_changed_and_ended_from_a_second_terminal(
    start: Start, write: Write, folder: Path
) -> None:
    running = start("run", write(YARD, "yard.py"), "--follow")
    running.until("run.t0")

    assert wotemu("set", "yard", "field", "latency=60ms", "loss=2%").startswith("+")
    assert "partition [pinger] [target]" in wotemu("partition", "yard", "pinger", "target")
    assert "crash target" in wotemu("crash", "yard", "target")
    now = shown()
    assert latency_up(now, "pinger") == pytest.approx(0.06)
    assert now["partition"] == [["pinger"], ["target"]]
    assert now["apps"] == {"pinger": "running", "target": "crashed"}
    refused = subprocess.run(command_line("crash", "yard", "traget"), capture_output=True, text=True)
    assert refused.returncode == 2
    assert "did you mean 'target'?" in refused.stderr
    wotemu("heal", "yard")
    wotemu("restart", "yard", "target")
    wotemu("stop", "yard", "pinger")
    assert shown()["apps"] == {"pinger": "stopped", "target": "running"}
    assert wotemu("logs", "yard", "target").split()[1] == "up"

    by_hand = [
        json.loads(line)
        for line in wotemu("events", "yard", "--kind", "control.change", "--json").splitlines()
    ]
    verbs = [event["data"]["change"]["verb"] for event in by_hand]
    assert verbs == ["set", "partition", "crash", "heal", "restart", "stop"]
    assert all("process" in event["data"]["who"] and event["at"] > 0 for event in by_hand)

    assert "its record is in" in wotemu("stop", "yard")
    assert running.finish() in (0, 130)
    run_dir = folder / "runs" / "yard"
    judged = json.loads((run_dir / "manifest.json").read_text())["certificate"]
    roles = {role["role"]: (role["failed"], role["missing"]) for role in judged["changes"]["roles"]}
    assert roles == dict.fromkeys(("agent:pinger", "agent:target", "gateway:field"), (0, 0))
    report = json.loads(wotemu("report", run_dir, "--json"))
    assert "partition [pinger] [target]" in json.dumps(report)
    timeline = json.loads((run_dir / "timeline.json").read_text())["changes"]
    assert len(timeline) == judged["changes"]["planned"] >= 6  # as scripted ones would be

    script = wotemu("events", "yard", "--as-scenario")
    session = YARD[: YARD.index("def scenario")] + script
    path = write(session, "again.py")
    again = json.loads(wotemu("plan", path, "--json"))
    assert len(again["changes"]) == len(timeline)
    over = subprocess.run([*command_line("show", "yard")], capture_output=True, text=True)
    assert over.returncode == 2
    assert "the run is over" in over.stderr
