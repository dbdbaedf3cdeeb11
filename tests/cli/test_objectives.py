"""What `wotemu run` prints of a scenario's objectives, and exits with."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Start, Write
from wotemu import RecordedRun

READERS = """
from wotemu.scenario import errors, expect, node, p95

def topology():
    sensor = NodeApp("sensor", http=True)
    read = NodeApp("reader", params={"servient_host": "sensor", "thing_id": "urn:wotemu:sensor", "rate": 4})
    idle = Node("idle", command=["sleep", "100"], networks=[net])
    return Topology([Node("sensor", sensor, networks=[net]), Node("reader", read, networks=[net]), idle])

def scenario():
    return Scenario(
        duration="60s",
        phases=[Phase("calm", 0), Phase("fade", "3s"), Phase("rest", "8s")],
        events=[at("3s").set(net, latency="600ms")],
        expect=[
            expect(errors("readproperty", node="reader") < "50%").during("calm"),
            expect(p95("readproperty", node="reader") < "1s", abort=True).during("fade"),
            expect(p95("readproperty") < "5s").during("rest"),
            expect(errors("writeproperty")).below("1%"),
            expect(node("reader").crashes == 0),
        ],
    )
"""


@pytest.mark.namespaces
def test_a_failed_objective_ends_the_run_and_is_in_all_that_it_leaves(
    start: Start, write: Write, folder: Path
) -> None:
    """A round trip of 1.2 s can't be below 1 s: the run ends after the phase, not after a minute."""
    running = start("run", write(READERS), "--out", folder / "run")
    assert running.finish() == 1
    fails = "p95 of readproperty of reader during fade"
    assert re.search(rf"✗ {fails} [0-9.]+ s, limit < 1 s \(failed\)", running.output)
    assert "✓ errors of readproperty of reader during calm 0 %, limit < 50 % (passed)" in running.output
    assert "? errors of writeproperty, limit < 1 % (no data: no such request ended)" in running.output
    assert "ended early by" in running.errors
    run = RecordedRun(folder / "run")
    assert run.status == "interrupted"
    assert [each.state for each in run.objectives][:2] == ["passed", "failed"]
    kept = json.loads((folder / "run" / "objectives.json").read_text())
    assert [each["state"] for each in kept["objectives"]] == [each.state for each in run.objectives]
    assert 1.2 <= kept["objectives"][1]["value"] < 5
    assert fails in (folder / "run" / "report" / "index.html").read_text()
    stopped = [event.message for event in run.events("control.stop")]
    assert len(stopped) == 1
    assert fails in stopped[0]
