"""`wotemu export`: other programs read what it writes."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from click.testing import CliRunner, Result
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from wotemu import Network, Node, RecordedRun, Scenario, Topology
from wotemu.cli import main
from wotemu.records.columns import meaning
from wotemu.scenario import Resolver, expect, p95
from wotemu_report.blocks import Column, Figure, Matrix, MatrixCell, Section, Table
from wotemu_report.export.figures import column_names, figures, frame_of
from wotemu_report.export.files import csv_cells
from wotemu_report.export.openmetrics import Family, lines
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections import sections


def export(*words: object) -> Result:
    return CliRunner().invoke(main, ["export", *map(str, words)])


@pytest.fixture(scope="module")
def folder(quickstart: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every table as CSV, Parquet and JSON."""
    out = tmp_path_factory.mktemp("exported")
    for form in ("csv", "parquet"):
        result = export(quickstart, "--format", form, "--out", out / form)
        assert result.exit_code == 0, result.output
    result = export(quickstart, "--table", "interactions", "--out", out / "interactions.json")
    assert result.exit_code == 0, result.output
    return out


def query(sql: str) -> list[tuple[Any, ...]]:
    relation = duckdb.sql(sql)
    assert relation is not None
    return relation.fetchall()


def test_duckdb_reads_every_format_alike(folder: Path, quickstart: Path) -> None:
    sql = """
        SELECT "group", phase, count(*), round(sum(duration), 6), round(min(s), 4), round(max(s), 4)
        FROM '{}' WHERE status = 'ok' AND role = 'consumer' GROUP BY ALL ORDER BY ALL
    """
    rows = query(sql.format(folder / "parquet" / "interactions.parquet"))
    assert {row[1] for row in rows} >= {"calm", "fade", "cut", "healed"}
    assert {row[0] for row in rows} == {"reader-3g", "reader-wifi"}
    assert query(sql.format(folder / "csv" / "interactions.csv")) == rows
    assert query(sql.format(folder / "interactions.json")) == rows
    asked = RecordedRun(quickstart).table("interactions").filter(status="ok", role="consumer").collect()
    assert sum(row[2] for row in rows) == asked.height > 0


def test_csv_readers_get_every_row_of_every_table(folder: Path, quickstart: Path) -> None:
    run = RecordedRun(quickstart)
    package = json.loads((folder / "csv" / "datapackage.json").read_text())
    assert [each["name"] for each in package["resources"]] == run.tables
    for resource in package["resources"]:
        with (folder / "csv" / resource["path"]).open(newline="") as file:
            rows = list(csv.DictReader(file))
        frame = run.table(resource["name"]).collect()
        names = [field["name"] for field in resource["schema"]["fields"]]
        assert len(rows) == frame.height
        assert set(names) == {*frame.columns, "group"}
        assert {"s", "phase", "group"} <= set(names)
        assert all(list(row) == names for row in rows)


def test_every_column_is_described(folder: Path) -> None:
    package = json.loads((folder / "parquet" / "datapackage.json").read_text())
    for resource in package["resources"]:
        for field in resource["schema"]["fields"]:
            assert field["description"] == meaning(resource["name"], field["name"])
            assert field["type"] in ("string", "number", "integer", "boolean", "array")
    assert package["wotemu"] == {"export_schema": 1, "damaged": {}}


def test_parquet_files_say_their_schema(folder: Path) -> None:
    path = folder / "parquet" / "hops.parquet"
    ((value,),) = query(f"SELECT decode(value) FROM parquet_kv_metadata('{path}') WHERE key = 'wotemu'")
    assert json.loads(value)["export_schema"] == 1
    assert json.loads(value)["table"] == "hops"
    ((late,),) = query(f"SELECT sum(list_sum(late_counts)) FROM '{path}'")
    ((as_text,),) = query(
        f"SELECT sum(list_sum(CAST(late_counts::JSON AS BIGINT[]))) FROM '{folder / 'csv' / 'hops.csv'}'"
    )
    assert late == as_text > 0


def test_a_spreadsheet_runs_nothing_and_numbers_stay(tmp_path: Path) -> None:
    hostile = ["=1+1", "+1", "-1", "@x", "\tx", "plain", "a=b", None]
    frame = pl.LazyFrame({"text": hostile, "value": [-1.5] * 8, "list": [[1, 2], [], None, [3], *[[4]] * 4]})
    shown = csv_cells(frame).collect()
    assert shown["text"].to_list() == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "plain", "a=b", None]
    assert shown["value"].to_list() == [-1.5] * 8
    assert shown["list"].to_list()[:4] == ["[1,2]", "[]", None, "[3]"]


def test_stdout_has_the_same_bytes_as_the_file(folder: Path, quickstart: Path) -> None:
    printed = export(quickstart, "--format", "csv", "--table", "app")
    assert printed.exit_code == 0
    assert printed.stdout_bytes == (folder / "csv" / "app.csv").read_bytes()
    report = json.loads(export(quickstart).stdout)
    assert [section["id"] for section in report["sections"]][:2] == ["objectives", "overview"]


def test_a_figure_has_the_numbers_that_are_drawn(run: RunData, quickstart: Path) -> None:
    block = figures(sections(run))["system-cpu-per-node"]
    assert isinstance(block, Figure)
    printed = export(quickstart, "--figure", "system-cpu-per-node")
    rows = json.loads(printed.stdout)
    assert len(rows) == sum(layer.rows.height for layer in block.layers)
    assert frame_of(block).columns == list(rows[0])
    listed = export(quickstart, "--list").stdout
    assert "  system-cpu-per-node (chart)\n" in listed
    assert "  interactions\n" in listed


def test_a_chart_is_drawn_as_a_picture(quickstart: Path, tmp_path: Path) -> None:
    out = tmp_path / "cpu.svg"
    for form in ("svg", "png"):
        result = export(quickstart, "--format", form, "--figure", "system-cpu-per-node", "--out", out)
        assert result.exit_code == 0, result.output
        data = out.read_bytes()
        if form == "png":
            assert data.startswith(b"\x89PNG")
        else:
            words = list(ET.fromstring(data).itertext())
            assert {"CPU per node", "calm", "healed"} <= {word.strip() for word in words}


def test_prometheus_reads_the_samples(quickstart: Path) -> None:
    printed = export(quickstart, "--format", "openmetrics")
    assert printed.exit_code == 0
    parsed = {each.name: each for each in text_string_to_metric_families(printed.stdout)}
    run = RecordedRun(quickstart)
    sent = run.table("hops").filter(node="thing", direction="up").collect()["sent"].to_list()
    samples = [
        each.value
        for each in parsed["wotemu_hop_sent_packets"].samples
        if (each.labels["node"], each.labels["direction"]) == ("thing", "up")
    ]
    assert samples == [sum(sent[: number + 1]) for number in range(len(sent))]
    asked = run.table("interactions").filter(
        stage="request", phase="cut", group="reader-wifi", op="readproperty"
    )
    took = asked.collect()["duration"].sort()
    summary = {
        each.labels.get("quantile", each.name.rpartition("_")[2]): each.value
        for each in parsed["wotemu_request_duration_seconds"].samples
        if (each.labels["phase"], each.labels["group"], each.labels["op"])
        == ("cut", "reader-wifi", "readproperty")
    }
    assert summary["count"] == took.len()
    assert summary["sum"] == pytest.approx(took.sum())
    assert summary["0.95"] == took[-(-took.len() * 95 // 100) - 1]


def test_objectives_are_junit_xml(run_dir: Path) -> None:
    field = Network("field")
    topology = Topology([Node("reader-3g", command=["true"], networks=[field])])
    scenario = Scenario(
        duration="60s",
        seed=7,
        expect=[expect(p95("readproperty") < "10us"), expect(p95("readproperty") < "100s")],
    )
    timeline = Resolver(topology, scenario).timeline
    (run_dir / "timeline.json").write_text(json.dumps(timeline.to_dict()))
    printed = export(run_dir, "--format", "junit")
    assert printed.exit_code == 0, printed.output
    cases = list(ET.fromstring(printed.stdout).iter("testcase"))
    assert len(cases) == 2
    assert [case.find("failure") is not None for case in cases] == [True, False]


def test_labels_and_values_are_what_they_were() -> None:
    names = ['quote "', "back\\slash", "line\nbreak", "😀 ‏عربي"]
    values = [float("nan"), float("inf"), -1.5, 1e300]
    frame = pl.LazyFrame({"key": names, "suffix": [""] * 4, "t": [1.5, 2.5, 3.5, 4.5], "value": values})
    text = "\n".join(lines(Family("x", "gauge", "", "x", frame, ["key"]))["line"])
    (family,) = text_string_to_metric_families(f"# TYPE wotemu_x gauge\n{text}\n# EOF\n")
    found = {each.labels["key"]: (repr(each.value), float(each.timestamp)) for each in family.samples}
    times = (1.5, 2.5, 3.5, 4.5)
    assert found == {name: (repr(value), at) for name, value, at in zip(names, values, times, strict=True)}


def test_rows_of_tables_and_matrices_keep_units_and_holes() -> None:
    columns = [
        Column("P95", "ms"),
        Column("Share", "percent"),
        Column("#"),
        Column("#"),
        Column("From", "instant"),
    ]
    assert column_names(columns) == ["p95_ms", "share", "number", "number_2", "from_s"]
    table = Table("A", "", columns, [(1, 0.5, "x", None, 2.0), (None, 1, 3, None, 4.5)])
    assert frame_of(table).rows() == [(1, 0.5, "x", None, 2.0), (None, 1.0, "3", None, 4.5)]
    matrix = Matrix("A", "", "", ("x", "y"), [("a", [MatrixCell("1", "one", 0.1), None])])
    assert frame_of(matrix).rows() == [("a", "x", "1", "one")]
    named = figures([Section("s", "S", "", [table, matrix])])
    assert list(named) == ["s-a", "s-a-2"]


def test_a_reader_that_has_seen_enough_is_no_error(quickstart: Path) -> None:
    argv = [sys.executable, "-m", "wotemu.cli", "export", str(quickstart), "--table", "interactions"]
    reader, writer = os.pipe()
    with subprocess.Popen(argv, stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        os.read(reader, 10)
        os.close(reader)
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--table", "interaction"], "did you mean 'interactions'"),
        (["--figure", "system-cpu"], "did you mean 'system-cpu-per-node'"),
        (["--format", "xlsx"], "'xlsx' is not one of"),
        (["--format", "csv"], "--out FOLDER"),
        (["--format", "svg", "--table", "app", "--out", "x.svg"], "a table is no picture"),
        (["--format", "png", "--figure", "system-nodes", "--out", "x.png"], "it is a table, not a chart"),
        (["--format", "openmetrics", "--table", "app"], "it is of the whole run"),
        (["--format", "junit"], "the run has no objectives"),
        (["--table", "app", "--figure", "system-nodes"], "either --table or --figure"),
        (["--table", "app", "--out", "/dev/null/x/y"], "can't be written"),
    ],
)
def test_mistakes_are_said_and_nothing_is_written(
    words: list[str], said: str, quickstart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = export(quickstart, *words)
    assert result.exit_code == 2
    assert said in result.output.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def test_a_damaged_table_is_named_and_the_others_are_written(run_dir: Path, tmp_path: Path) -> None:
    (run_dir / "tables" / "flows.parquet").write_bytes(b"PAR1 no more")
    alone = export(run_dir, "--format", "csv", "--table", "flows", "--out", tmp_path / "flows.csv")
    assert alone.exit_code == 2
    assert "can't be read" in alone.output
    assert not (tmp_path / "flows.csv").exists()
    result = export(run_dir, "--format", "csv", "--out", tmp_path / "all")
    assert result.exit_code == 0
    assert "flows is left out" in result.stderr
    package = json.loads((tmp_path / "all" / "datapackage.json").read_text())
    assert list(package["wotemu"]["damaged"]) == ["flows"]
    assert not (tmp_path / "all" / "flows.csv").exists()
    assert (tmp_path / "all" / "hops.csv").is_file()
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]
