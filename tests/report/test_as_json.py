"""The report's data as JSON is what the page shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from wotemu.cli import main
from wotemu_report import report_json
from wotemu_report.blocks import Figure
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections import SECTIONS, sections


@pytest.fixture(scope="module")
def data(quickstart: Path) -> Any:
    return json.loads(report_json(quickstart))


def block(data: Any, section: str, title: str) -> Any:
    (found,) = [each for each in data["sections"] if each["id"] == section]
    return next(each for each in found["blocks"] if each["title"] == title)


def test_it_has_every_section_and_the_manifest(data: Any, run: RunData) -> None:
    assert data["schema"] == 1
    assert [section["title"] for section in data["sections"]] == [section(run).title for section in SECTIONS]
    assert data["run"]["name"] == run.manifest.name
    assert data["axis"]["end_s"] == run.axis.end_s
    assert [phase["name"] for phase in data["axis"]["phases"]] == [span.name for span in run.axis.phases]


def test_tables_have_numbers_with_units(data: Any, run: RunData) -> None:
    phases = block(data, "overview", "Phases")
    units = {column["label"]: column["unit"] for column in phases["columns"]}
    assert (units["From"], units["Lasts"], units["Error share"], units["Phase"]) == (
        "s after T0",
        "ms",
        "share",
        "",
    )
    names = [column["label"] for column in phases["columns"]]
    requests = [row[names.index("Requests")] for row in phases["rows"]]
    asked = run.tables["interactions"].filter(
        pl.col("role") == "consumer", pl.col("stage") == "request", pl.col("s") >= 0
    )
    assert sum(requests) == asked.collect().height > 0


def test_figures_have_their_rows_and_nothing_of_the_axis(data: Any, run: RunData) -> None:
    (rows, *_) = block(data, "system", "CPU per node")["data"]
    assert {"s", "series"} <= rows[0].keys()
    assert {row["series"] for row in rows} <= set(run.manifest.node_of()) | {"others"}
    assert all(row["s"] is None or isinstance(row["s"], float) for row in rows)
    figures = [b for section in data["sections"] for b in section["blocks"] if b["kind"] == "figure"]
    assert len(figures) > 5
    for figure in figures:
        assert figure["data"], figure["title"]


def test_figures_have_the_rows_of_their_layers_in_full_precision(data: Any, run: RunData) -> None:
    drawn = [block for part in sections(run) for block in part.blocks if isinstance(block, Figure)]
    listed = [b for section in data["sections"] for b in section["blocks"] if b["kind"] == "figure"]
    for figure, shown in zip(drawn, listed, strict=True):
        assert shown["title"] == figure.title
        for layer, rows in zip(figure.layers, shown["data"], strict=True):
            assert rows == layer.rows.with_columns(pl.selectors.float().fill_nan(None)).to_dicts()


def test_the_command_prints_it_or_writes_it(data: Any, run_dir: Path, tmp_path: Path) -> None:
    printed = CliRunner().invoke(main, ["report", str(run_dir), "--json"])
    assert printed.exit_code == 0
    assert json.loads(printed.output)["sections"] == data["sections"]
    written = CliRunner().invoke(main, ["report", str(run_dir), "--json", "--out", str(tmp_path / "o")])
    assert written.output.strip() == str(tmp_path / "o" / "report.json")
    assert json.loads((tmp_path / "o" / "report.json").read_text())["sections"] == data["sections"]


def test_mistakes_are_told(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for words in ([str(tmp_path)], [str(run_dir), "--out", str(tmp_path / "file")], []):
        result = CliRunner().invoke(main, ["report", "--json", *words])
        assert result.exit_code == 2, result.output
        assert "Error" in result.output
