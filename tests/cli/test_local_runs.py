"""The commands that look at recorded runs: list, open, report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Invoke
from wotemu.cli.commands.list_ import size_text

Record = Callable[..., Path]


@pytest.fixture
def record(folder: Path) -> Record:
    """Makes a run directory with a manifest under runs/."""

    def made(name: str, **manifest: Any) -> Path:
        run_dir = folder / "runs" / name
        run_dir.mkdir(parents=True)
        (run_dir / "manifest.json").write_text(json.dumps({"name": name, **manifest}))
        return run_dir

    return made


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that the browser was asked for; this machine has a display."""
    addresses: list[str] = []
    monkeypatch.setattr("webbrowser.open", addresses.append)
    monkeypatch.setenv("DISPLAY", ":0")
    return addresses


def with_report(run_dir: Path) -> Path:
    page = run_dir / "report" / "index.html"
    page.parent.mkdir()
    page.write_text("<html>")
    return page


def test_runs_are_listed_the_newest_last(invoke: Invoke, record: Record) -> None:
    ended = record(
        "a", started=200.0, t0=210.0, ended=240.5, status="done", certificate={"verdict": "SUSPECT"}
    )
    (ended / "more").write_bytes(bytes(1000))
    record("b", started=100.0, t0=None, ended=120.0, status="failed")
    record("c", started=50.0, schema=10**6)
    (ended.parent / "no-run").mkdir()
    listed = json.loads(invoke("list", "--json").stdout)
    assert [run["name"] for run in listed] == ["c", "b", "a"]
    assert [run["status"] for run in listed] == ["unreadable", "failed", "done"]
    assert [run["verdict"] for run in listed] == ["", "", "SUSPECT"]
    assert [run["length_s"] for run in listed] == [None, None, 30.5]
    assert listed[-1]["bytes"] == 1000 + (ended / "manifest.json").stat().st_size
    assert listed[-1]["run_dir"] == "runs/a"
    rows = invoke("list").stdout.splitlines()
    assert rows[0].split() == ["NAME", "STARTED", "LENGTH", "STATUS", "VERDICT", "SIZE"]
    assert "SUSPECT" in rows[-1] and "30.5 s" in rows[-1] and "kB" in rows[-1]


def test_no_runs_are_no_error(invoke: Invoke) -> None:
    result = invoke("list")
    assert result.exit_code == 0 and result.stdout == ""
    assert "wotemu run FILE" in result.stderr
    assert json.loads(invoke("list", "--json").stdout) == []


def test_a_report_is_opened_by_name_by_path_and_the_newest(
    invoke: Invoke, record: Record, opened: list[str]
) -> None:
    old, new = (with_report(record(name, started=t)) for name, t in (("z", 1.0), ("a", 2.0)))
    for words in (["z"], ["runs/z"], []):
        result = invoke("open", *words)
        assert result.exit_code == 0, result.output
    assert opened == [old.as_uri(), old.as_uri(), new.as_uri()]


def test_without_a_display_the_path_is_printed(
    invoke: Invoke, record: Record, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    with_report(record("a"))
    assert invoke("open", "a").stdout.strip() == "runs/a/report/index.html"
    assert opened == []


def test_a_report_that_is_not_there_is_written_first(
    invoke: Invoke, record: Record, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wotemu.emulation.reports.write_report", with_report)
    run_dir = record("a")
    assert invoke("open", "a").exit_code == 0
    assert opened == [(run_dir / "report" / "index.html").as_uri()]


@pytest.mark.parametrize(
    ("words", "said"),
    [(["open"], "there are no runs"), (["open", "x"], "there is no such run")],
)
def test_what_is_not_there_can_not_be_opened(invoke: Invoke, words: list[str], said: str) -> None:
    result = invoke(*words)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1_147_139, "1.15 MB"),
        (999_600, "1 MB"),
        (2 * 10**12, "2000 GB"),
    ],
)
def test_sizes_have_three_digits(count: int, text: str) -> None:
    assert size_text(count) == text


def test_folders_of_runs_are_listed_below_and_named_where_one_run_is_wanted(
    invoke: Invoke, record: Record, opened: list[str]
) -> None:
    record("field-repeat/000", started=1.0)
    index = record("field-repeat/001", started=2.0).parent / "sweep.json"
    index.write_text("{}")
    assert "2 runs in runs/field-repeat: wotemu list runs/field-repeat" in invoke("list").output
    assert "001" in invoke("list", "runs/field-repeat").output
    refused = invoke("open", "field-repeat")
    assert refused.exit_code == 2
    assert "it is a folder of 2 runs" in refused.stderr and "runs/field-repeat/000" in refused.stderr
    index.with_name("index.html").touch()  # as a search has it
    assert invoke("open", "field-repeat").exit_code == 0
    assert opened[-1].endswith("runs/field-repeat/index.html")
