"""A deployment is run for each combination of parameters and seed, and all tables are one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.engine.conftest import paced
from wotemu import InputError, Network, NetworkConditions, Node, RecordedSweep, Scenario, Topology, sweep
from wotemu.cli import main
from wotemu.emulation.repetition import derived_seeds
from wotemu.errors import ScenarioError
from wotemu.scenario import at


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def topology(latency: str) -> Topology:
    field = Network("field", NetworkConditions(latency=latency))
    return Topology([Node("a", command=["sleep", "60"], networks=[field], scale=2)])


def scenario(seed: int) -> Scenario:
    return Scenario(duration=paced(2), events=[at(1).set("field", loss="1%")] if seed else [])


@pytest.mark.namespaces
@pytest.mark.usefixtures("namespaces")
async def test_the_tables_of_all_runs_have_their_parameters(tmp_path: Path) -> None:
    found = await sweep(topology, scenario, seeds=[0, 1], latency=["10ms", "20ms"], name="many")
    rows = found.frame.select("latency", "seed", "run", "status").rows()
    assert rows == [
        ("10ms", 0, 0, "done"),
        ("10ms", 1, 1, "done"),
        ("20ms", 0, 2, "done"),
        ("20ms", 1, 3, "done"),
    ]
    changes = found.table("changes").collect().sort("run")
    assert changes.select("latency", "seed").rows() == [("10ms", 1), ("20ms", 1)]
    again = RecordedSweep(tmp_path / "runs" / "many")
    assert [run.seed for run in again] == [0, 1, 0, 1]
    assert again.frame.drop("run_dir").equals(found.frame.drop("run_dir"))
    assert "latency" in found._repr_html_()


@pytest.mark.namespaces
@pytest.mark.usefixtures("namespaces")
def test_a_file_is_run_again_with_seeds_that_follow_from_its_own(tmp_path: Path) -> None:
    file = tmp_path / "field.py"
    file.write_text(
        "from wotemu import Network, Node, Scenario, Topology\n"
        "def topology(): return Topology([Node('a', command=['sleep', '60'], networks=[Network('n')])])\n"
        f"def scenario(): return Scenario(duration={paced(1)!r}, seed=7)\n"
    )
    result = CliRunner().invoke(main, ["repeat", "2", str(file), "--json"])
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert [run["status"] for run in shown["runs"]] == ["done", "done"]
    assert [run["seed"] for run in shown["runs"]] == derived_seeds(7, 2)
    assert [run.seed for run in RecordedSweep(tmp_path / "runs" / "field-repeat")] == derived_seeds(7, 2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"latncy": ["1ms"]}, "parameter 'latncy': nothing takes it"),
        ({"latency": ["1ms"], "loss": ["1%"]}, "parameter 'loss': nothing takes it"),
        ({}, "parameter 'latency': it has no values"),
        ({"latency": "1ms"}, "parameter 'latency': '1ms' is no list of values"),
        ({"latency": ["1ms", "soon"]}, "'soon' is not a duration"),
        ({"node": ["a"]}, "parameter 'node': tables have a column of this name"),
    ],
)
async def test_what_is_wrong_with_any_run_is_said_before_the_first(
    parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        await sweep(topology, scenario, **parameters)
    with pytest.raises(ScenarioError):
        await sweep(topology("1ms"), Scenario(events=[at(1).set("nowhere", loss="1%")]))
    assert os.listdir() == []  # noqa: PTH208  # of the working directory
