"""`wotemu search`: which values are tried, and what is found; the runs here are made up."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import wotemu
from wotemu import Scenario, Topology
from wotemu.cli import main
from wotemu.emulation import search as searching
from wotemu.emulation.bisection import ParameterRange
from wotemu.errors import InputError
from wotemu.scenario import Resolver

from .synthetic import damage_spool, request, write_json, write_run, write_table


def tried(parameter: ParameterRange, holds: Callable[[float], bool], tolerance: float) -> dict[float, bool]:
    """Every value that a search tries, in order."""
    known: dict[float, bool] = {}
    while (value := parameter.next_value(known, tolerance)) is not None:
        assert value not in known
        assert len(known) < 40
        known[value] = holds(value)
    return known


def test_whole_numbers_are_found_exactly() -> None:
    for cliff in range(1, 64):
        parameter = ParameterRange.parse("readers=1..64")
        known = tried(parameter, lambda value, cliff=cliff: value <= cliff, 0.001)  # type: ignore[misc]
        assert parameter.edge(known) == (cliff, cliff + 1)
        assert list(known)[:2] == [1, 64]
        assert len(known) <= 12


def test_shares_are_found_within_the_tolerance_from_either_end() -> None:
    parameter = ParameterRange.parse("loss=0..20%")
    assert parameter.given(3.14159265) == "3.14159%"
    held, failed = parameter.edge(tried(parameter, lambda value: value < 7.3, 0.05)) or (0, 0)
    assert held < 7.3 <= failed
    assert failed - held <= 0.05 * failed
    rate = ParameterRange.parse("rate=64..10000kbit/s")
    known = tried(rate, lambda value: value > 500, 0.1)
    held, failed = rate.edge(known) or (0, 0)
    assert failed <= 500 < held
    assert list(known)[2] == pytest.approx((64 * 10000) ** 0.5, rel=1e-3)  # by ratios: its ends are far apart


def test_alike_ends_end_the_search() -> None:
    parameter = ParameterRange.parse("x=0.5..2")
    for holds in (True, False):
        known = tried(parameter, lambda _, holds=holds: holds, 0.05)  # type: ignore[misc]
        assert known == {0.5: holds, 2.0: holds}
        assert parameter.edge(known) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("loss", "no NAME=LOW..HIGH"),
        ("loss=5", "no NAME=LOW..HIGH"),
        ("loss=a..b", "no NAME=LOW..HIGH"),
        ("loss=5%..1%", "LOW is not below HIGH"),
        ("latency=10ms..2s", "two units, 'ms' and 's'"),
        ("my loss=0..1", "no NAME=LOW..HIGH"),
    ],
)
def test_wrong_ranges_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ParameterRange.parse(text)


class MadeUp:
    """Stands in for an emulation: a lamp that is read at the latency of its topology's network."""

    verdict = "VALID"
    is_damaged = False

    def __init__(self, topology: Topology, scenario: Scenario, *, out: Path | None = None, **_: Any) -> None:
        self.topology, self.scenario, self.out = topology, scenario, out

    async def run(self) -> None:
        assert self.out is not None
        write_run(self.out)
        latency = self.topology.networks[0].conditions.latency
        dice = random.Random(3)
        took = [float(latency or 0) * 2 * dice.uniform(0.9, 1.1) for _ in range(300)]
        write_table(self.out, "interactions", [request(n * 0.2, each) for n, each in enumerate(took)])
        write_json(self.out / "timeline.json", Resolver(self.topology, self.scenario).timeline.to_dict())
        manifest = json.loads((self.out / "manifest.json").read_text())
        certificate = {"verdict": MadeUp.verdict, "reasons": []}
        write_json(self.out / "manifest.json", manifest | {"certificate": certificate})
        if MadeUp.is_damaged:
            damage_spool(self.out)


FILE = """
from wotemu import Network, NetworkConditions, Node, Scenario, Topology
def topology(latency):
    field = Network("field", NetworkConditions(latency=latency))
    return Topology([Node("a", command=["true"], networks=[field])])
def scenario():
    return Scenario(duration="60s", seed=7)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a deployment that takes a latency, and whose runs are made up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(searching, "Emulation", MadeUp)
    monkeypatch.setattr(searching, "run_to_record", MadeUp.run)
    monkeypatch.setattr(MadeUp, "verdict", "VALID")
    (tmp_path / "field.py").write_text(FILE)
    (tmp_path / "form.yml").write_text("nodes: {}")
    return tmp_path


def search(*words: str) -> Result:
    return CliRunner().invoke(main, ["search", *words])


P95 = ("--objective", "p95(readproperty) < 100ms")


def test_the_cliff_is_found_and_drawn(folder: Path) -> None:
    result = search("field.py", "--param", "latency=10..200ms", *P95, "--runs", "2", "--json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    # A round trip is twice the latency, up to 10 % more: 95 % of them are below 1.09 of it.
    assert data["held"] < 50 / 1.05 < data["failed"] * 1.05
    assert data["failed"] - data["held"] <= 0.05 * data["failed"]
    assert [trial["value"] for trial in data["trials"]][:2] == [10, 200]
    for trial in data["trials"]:
        (objective,) = trial["runs"][0]["objectives"]
        assert trial["holds"] == (objective["state"] == "passed") == (objective["value"] < 0.1)
        assert len(trial["runs"]) == 2
    # The same from Python.
    found = asyncio.run(wotemu.search("field.py", "latency=10..200ms", [P95[1]], runs=2))
    assert (found.held, found.failed, found.folder.name) == (data["held"], data["failed"], "field-search-2")
    page = (folder / "runs" / "field-search" / "index.html").read_text()
    assert "the objectives hold up to latency =" in page
    assert "p95 of readproperty" in page
    assert (folder / "runs" / "field-search" / "sweep.json").is_file()


def test_everywhere_and_runs_that_say_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = search("field.py", "--param", "latency=10..20ms", *P95)
    assert wide.exit_code == 0, wide.output
    assert "hold everywhere from latency = 10ms to 20ms" in wide.output
    other = search("field.py", "--param", "latency=10..20ms", "--objective", "p95(writeproperty) < 1s")
    assert "no run has a figure of the objectives" in other.output
    monkeypatch.setattr(MadeUp, "is_damaged", True)
    damaged = search("field.py", "--param", "latency=10..20ms", *P95, "--json")
    said = "spool/host.msgpack: it is damaged after 0 rows"
    assert f"damaged: runs/field-search-3/000: {said}" in damaged.stderr
    assert json.loads(damaged.stdout)["trials"][0]["runs"][0]["damages"][0].startswith(said)
    assert said in (folder / "runs" / "field-search-3" / "index.html").read_text()
    monkeypatch.setattr(MadeUp, "verdict", "INVALID")
    invalid = search("field.py", "--param", "latency=10..20ms", *P95)
    assert invalid.exit_code == 3
    assert "a run says nothing of the objectives: INVALID" in invalid.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["field.py", "--param", "latncy=10..20ms", *P95], "did you mean 'latency'"),
        (["field.py", "--param", "latency=10..20ms"], "there is no objective to hold"),
        (["field.py", "--param", "latency=10..20parsec", *P95], "parsec"),
        (["field.py", "--param", "latency=10..20ms", "--objective", "p95 is low"], "an objective such as"),
        (["field.py", "--param", "latency=10..20ms", "--objective", "p96(x) < 1s"], "did you mean"),
        (["form.yml", "--param", "latency=10..20ms", *P95], "takes no parameters"),
        (["nowhere.py", "--param", "latency=10..20ms", *P95], "there is no such file"),
    ],
)
def test_mistakes_are_said_and_nothing_is_run(words: list[str], said: str, folder: Path) -> None:
    result = search(*words)
    assert result.exit_code == 2
    assert said in result.output.replace("\n", " ")
    assert not (folder / "runs").exists()
