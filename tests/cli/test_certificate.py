"""What the command line says of a run's fidelity, and its options for that."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import TWO_NODES, Invoke, Start, Write


@pytest.mark.parametrize(
    ("given", "where", "message"),
    [
        ("change_latte=1ms", "threshold 'change_latte'", "no such threshold"),
        ("change_late_invalid=soon", "threshold 'change_late_invalid'", "not a duration"),
        ("cpu_suspect=110%", "threshold 'cpu_suspect'", "more than the whole"),
        ("change_late_invalid", "--threshold", "is no NAME=VALUE"),
    ],
)
def test_a_threshold_that_can_not_be_is_refused(
    invoke: Invoke, write: Write, folder: Path, given: str, where: str, message: str
) -> None:
    result = invoke("run", write(TWO_NODES), "--threshold", given)
    assert result.exit_code == 2
    assert where in result.stderr
    assert message in result.stderr
    assert not (folder / "runs").exists()


@pytest.mark.namespaces
def test_a_strict_run_that_breaks_a_threshold_fails(start: Start, write: Write, folder: Path) -> None:
    """No change takes hold without any delay, so a threshold of nothing is always broken."""
    running = start(
        "run", write(TWO_NODES), "--out", folder / "run", "--strict", "--threshold", "change_late_invalid=0s"
    )
    assert running.finish() == 4
    assert re.search(
        r"fidelity +INVALID: gateway:\w+: changes took hold late.*; p95 of all \d+:", running.output
    )
    assert "did not do what its scenario says" in running.errors
    certificate = json.loads((folder / "run" / "manifest.json").read_text())["certificate"]
    assert certificate["thresholds"]["change_late_invalid"] == 0
    assert certificate["verdict"] == "INVALID"


@pytest.mark.namespaces
def test_without_strict_a_verdict_is_told_and_no_failure(start: Start, write: Write) -> None:
    running = start("run", write(TWO_NODES), "--json", "--threshold", "change_late_invalid=0s")
    assert running.finish() == 0
    events = [json.loads(line) for line in running.lines]
    (certified,) = (event for event in events if event["kind"] == "run.certified")
    assert certified["data"]["verdict"] == events[-1]["data"]["verdict"] == "INVALID"
