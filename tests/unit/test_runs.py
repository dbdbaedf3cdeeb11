"""What differs between runs that begin, go on, and are a composed stack's: directories, engines, records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wotemu.deployment_file import Deployment
from wotemu.errors import EmulationError, InputError
from wotemu.scenario import Scenario
from wotemu.topology.models import Network, Node, Topology
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.recording.checkpoint import Checkpoint
from wotemu_runtime.runs.new_run import NewRun
from wotemu_runtime.runs.resumed_run import OrphanedRun, ResumedRun, resume
from wotemu_runtime.runs.run import Run, RunSettings

FILE = """
from wotemu import Network, Node, Scenario, Topology

def topology():
    return Topology([Node("a", command=["true"], networks=[Network("field")])])

def scenario():
    return Scenario(duration="5s", seed=3)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new_run(out: Path | None = None) -> NewRun:
    return NewRun(name="field", engine="swarm", shaper="auto", root=Path(), out=out)


def planned(folder: Path, **given: Any) -> Run:
    topology = Topology([Node("a", command=["true"], networks=[Network("field")])])
    deployment = Deployment(topology, Scenario(duration="5s", seed=3), folder / "deployment.py")
    return Run(deployment, RunSettings(name="field", engine="swarm"), new_run(), **given)


def orphan(run_dir: Path, **card: Any) -> OrphanedRun:
    whole = {"run": "1234", "run_dir": str(run_dir), "started": 5.0, "keep": True, "source": "deployment.py"}
    whole |= {"command": [], "thresholds": None, "strict": False, "duration_s": 5.0, "seed": 3}
    return OrphanedRun("field", BusAddress("password"), {**whole, **card}, b"")


def test_a_new_run_s_directory_is_numbered_where_its_name_is_taken(folder: Path) -> None:
    assert [new_run().make_directory() for _ in range(2)] == [Path("runs/field"), Path("runs/field-2")]
    assert new_run(folder / "here").make_directory() == folder / "here"


def test_a_resumed_run_goes_on_in_the_earlier_directory_if_that_is_of_the_same_run(folder: Path) -> None:
    earlier = folder / "earlier"
    earlier.mkdir()
    Checkpoint(run="1234").save(earlier)
    assert ResumedRun(orphan(earlier)).make_directory() == earlier
    assert ResumedRun(orphan(earlier, run="another")).make_directory() == Path("runs/field")
    with pytest.raises(InputError, match="not empty"):
        ResumedRun(orphan(earlier, run="another"), out=earlier).make_directory()


def test_a_resumed_run_is_planned_as_the_first_coordinator_planned_it(folder: Path) -> None:
    path = folder / "deployment.py"
    path.write_text(FILE)
    expected = planned(folder).plan.timeline.hash
    run = resume(orphan(folder, timeline=expected), folder, path=path)
    assert run.plan.timeline.hash == expected
    with pytest.raises(EmulationError, match="the nodes follow other"):
        resume(orphan(folder, timeline="other"), folder, path=path)
    with pytest.raises(InputError, match="too large") as refused:
        resume(orphan(folder, timeline=expected), folder)
    assert "--path" in (refused.value.hint or "")


def test_the_duration_and_seed_of_a_run_come_before_the_scenario_s(folder: Path) -> None:
    timeline = planned(folder, duration="9s", seed=7).timeline
    assert (timeline.duration_s, timeline.seed) == (9.0, 7)
    assert planned(folder).timeline.seed == 3
