"""`wotemu repeat`: seeds, how many runs at once, and the spread of figures; the runs here are made up."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import wotemu
from wotemu.cli import main
from wotemu.emulation import repetition
from wotemu.emulation.repetition import derived_seeds
from wotemu_report.comparison.spread import Spread

from .synthetic import damage_spool, write_run


class MadeUp:
    """Stands in for an emulation: writes a synthetic run with its seed."""

    at_once = 0
    most_at_once = 0

    def __init__(self, *_: object, out: Path | None, seed: int, **given: Any) -> None:
        self.out, self.seed = out, seed

    async def run(self) -> None:
        assert self.out is not None
        MadeUp.at_once += 1
        MadeUp.most_at_once = max(MadeUp.most_at_once, MadeUp.at_once)
        await asyncio.sleep(0)
        write_run(self.out, seed=self.seed)
        MadeUp.at_once -= 1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a deployment, whose runs are made up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(repetition, "Emulation", MadeUp)
    monkeypatch.setattr(repetition, "run_to_record", MadeUp.run)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    MadeUp.most_at_once = 0
    (tmp_path / "field.py").write_text(
        "from wotemu import Network, Node, Topology\n"
        "def topology(): return Topology([Node('a', command=['true'], networks=[Network('n')])])\n"
    )
    return tmp_path


def repeat(*words: str) -> Result:
    return CliRunner().invoke(main, ["repeat", *words])


def test_seeds_follow_from_one_and_more_runs_keep_the_first() -> None:
    assert derived_seeds(7, 3) == derived_seeds(7, 5)[:3]
    assert len({*derived_seeds(7, 50), *derived_seeds(8, 50)}) == 100
    assert all(0 <= seed < 2**31 for seed in derived_seeds(0, 50))


def test_the_spread_of_figures() -> None:
    found = Spread("p50", ("calm", "reader", "on", "readproperty", "http"), (10.0, 14.0, 12.0))
    assert (found.median, found.deviation) == (12.0, 2.0)
    assert found.error == pytest.approx(4.3027 * 2 / 3**0.5, rel=1e-4)  # Student's t of 2, at 95 %
    assert Spread("p50", ("calm", "", "", "", ""), (3.0,)).error is None


def test_runs_one_after_the_other_and_their_spread(folder: Path) -> None:
    result = repeat("3", "field.py", "--seed", "5", "--json")
    assert result.exit_code == 0, result.output
    assert MadeUp.most_at_once == 1
    data = json.loads(result.stdout)
    assert [run["seed"] for run in data["runs"]] == derived_seeds(5, 3)
    assert sorted(each.name for each in (folder / "runs" / "field-repeat").iterdir()) == [
        "000", "001", "002", "sweep.json",
    ]  # fmt: skip
    for each in data["spread"]:
        assert each["low"] <= each["median"] <= each["high"]
        assert len(each["values"]) <= 3
    assert {each["figure"] for each in data["spread"]} >= {"p50", "p95", "errors", "availability"}
    shown = repeat("2", "field.py", "--parallel", "2")
    assert shown.exit_code == 0, shown.output
    assert MadeUp.most_at_once == 2
    assert "runs/field-repeat-2" in shown.output.replace("\n", "")
    assert "not VALID: 000, 001" in shown.output
    runs = asyncio.run(wotemu.repeat(wotemu.load("field.py"), 2))  # the same from Python
    assert [run.parameters["seed"] for run in runs] == derived_seeds(0, 2)
    assert Path(runs.folder).name == "field-repeat-3"
    with pytest.raises(wotemu.InputError, match="no run to make"):
        asyncio.run(wotemu.repeat(wotemu.load("field.py"), 0))


def test_damages_are_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = ""

    async def damaged(run: MadeUp) -> None:
        nonlocal said
        await run.run()
        said = damage_spool(run.out or Path())

    monkeypatch.setattr(repetition, "run_to_record", damaged)
    data = json.loads(repeat("1", "field.py", "--json").stdout)
    assert data["runs"][0]["damages"][0].startswith(said)
    assert f"damaged: runs/field-repeat-2/000: {said}" in repeat("1", "field.py").output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["0", "field.py"], "not in the range"),
        (["2", "nowhere.py"], "there is no such file"),
        (["2", "field.py", "--parallel", "3"], "this machine has 2 cores"),
        (["2", "field.py", "--parallel", "2", "--engine", "swarm"], "would share its machines"),
        (["2", "field.py", "--out", "field.py"], "can't make it"),
    ],
)
def test_mistakes_are_said_and_nothing_is_run(words: list[str], said: str, folder: Path) -> None:
    result = repeat(*words)
    assert result.exit_code == 2
    assert said in result.output.replace("\n", " ")
    assert not (folder / "runs").exists()
