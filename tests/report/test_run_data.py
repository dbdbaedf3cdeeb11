"""A run directory is read whole, and what is missing or damaged is named."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from wotemu.errors import InputError
from wotemu.records.schemas import SCHEMAS
from wotemu_report import report_json, write_report
from wotemu_report.page.head import head
from wotemu_report.recorded.run_data import RunData, reading

from .synthetic import T0, edit


def test_a_run_directory_is_read_whole(run: RunData) -> None:
    assert run.manifest.name == "quickstart"
    assert run.manifest.node_of()["reader-3g-2"] == "reader-3g"
    assert [span.name for span in run.axis.phases] == ["calm", "fade", "cut", "healed"]
    assert run.rows["interactions"] > 4000
    assert run.events.filter(pl.col("kind") == "app.crashed").height == 1
    assert run.logs[0].replica == "broker"
    assert run.damages == ()


def test_an_instant_belongs_to_the_phase_that_began_last(run: RunData) -> None:
    instants = pl.DataFrame({"t": [T0 - 1, T0, T0 + 14.999, T0 + 15, T0 + 39.9, T0 + 75]})
    placed = run.axis.place(instants)
    assert placed["phase"].to_list() == ["before T0", "calm", "calm", "fade", "cut", "healed"]
    assert placed["s"].round(3).to_list() == [-1.0, 0.0, 14.999, 15.0, 39.9, 75.0]


def test_time_before_the_first_phase_has_a_name(run_dir: Path) -> None:
    edit(run_dir / "timeline.json", phases=[{"name": "storm", "start_s": 20}])
    assert [(s.name, s.start_s, s.end_s) for s in RunData.load(run_dir).axis.phases] == [
        ("before storm", 0.0, 20.0),
        ("storm", 20.0, 60.0),
    ]


def test_tables_without_rows_may_be_absent_or_empty(run_dir: Path) -> None:
    (run_dir / "tables" / "flows.parquet").unlink()
    (run_dir / "tables" / "hops.parquet").write_bytes(b"")
    run = RunData.load(run_dir)
    for table in ("flows", "hops"):
        assert run.tables[table].collect().height == run.rows[table] == 0
        assert set(SCHEMAS[table]) < set(run.tables[table].collect_schema())


def test_a_column_that_an_older_run_lacks_is_null(run_dir: Path) -> None:
    path = run_dir / "tables" / "system.parquet"
    pl.read_parquet(path).drop("mem_limit_bytes").write_parquet(path)
    system = RunData.load(run_dir).tables["system"].collect()
    assert system["mem_limit_bytes"].null_count() == system.height


def test_a_torn_last_event_is_left_out_and_said(run_dir: Path) -> None:
    path = run_dir / "events.jsonl"
    whole = len(path.read_text().splitlines())
    path.write_text(path.read_text()[:-20])
    run = RunData.load(run_dir)
    assert run.events.height == whole - 1
    assert "events.jsonl" in run.damages[0]


def test_a_run_that_failed_before_t0_counts_from_its_start(run_dir: Path) -> None:
    edit(run_dir / "manifest.json", t0=None, status="failed", ended=T0 - 1.2)
    run = RunData.load(run_dir)
    assert run.axis.origin == pytest.approx(T0 - 3.2)
    assert run.axis.end_s == pytest.approx(2.0)


def test_an_interrupted_run_ends_when_it_was_interrupted(run_dir: Path) -> None:
    edit(run_dir / "manifest.json", status="interrupted", ended=T0 + 33)
    run = RunData.load(run_dir)
    assert run.axis.end_s == pytest.approx(33.0)
    assert [span.name for span in run.axis.phases] == ["calm", "fade", "cut"]


def test_a_log_of_any_size_gives_its_last_lines(run_dir: Path) -> None:
    (run_dir / "logs" / "thing.log").write_text("".join(f"line {number}\n" for number in range(100_000)))
    tail = next(tail for tail in RunData.load(run_dir, log_lines=3).logs if tail.replica == "thing")
    assert tail.lines == ("line 99997", "line 99998", "line 99999")
    assert not tail.complete


@pytest.mark.parametrize("missing", ["topology.json", "timeline.json", "events.jsonl"])
def test_a_missing_file_is_said_and_the_rest_is_read(run_dir: Path, missing: str) -> None:
    (run_dir / missing).unlink()
    run = RunData.load(run_dir)
    assert missing in run.damages[0]
    assert run.rows["interactions"]


def test_a_directory_that_holds_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no manifest\.json") as caught:
        RunData.load(tmp_path)
    assert caught.value.where == str(tmp_path)
    assert caught.value.hint


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such directory"):
        RunData.load(tmp_path / "nowhere")


def test_a_table_that_is_no_parquet_is_said_and_the_rest_is_read(run_dir: Path) -> None:
    (run_dir / "tables" / "flows.parquet").write_text("PAR1 not really")
    run = RunData.load(run_dir)
    assert run.rows["flows"] == 0
    assert run.rows["interactions"] > 4000
    assert run.damages[0].startswith("tables/flows.parquet can't be read: ")


def test_of_a_table_with_a_damaged_part_the_rest_is_read(run_dir: Path) -> None:
    """Some pages of a column are overwritten: only a query that reads them can find out."""
    path = run_dir / "tables" / "system.parquet"
    rows = 400_000
    frame = pl.DataFrame({"t": pl.int_range(rows, eager=True) * (60 / rows) + T0}).with_columns(
        node=pl.lit("thing"), cpu_percent=pl.col("t").hash() % 1000 / 10
    )
    frame.write_parquet(path, row_group_size=100_000, statistics=False)
    content = bytearray(path.read_bytes())
    begin, some = len(content) // 8, len(content) // 32
    content[begin : begin + some] = bytes(some)
    path.write_bytes(content)
    mean = pl.col("cpu_percent").mean()

    def count(run: RunData) -> tuple[int, RunData]:
        left = run.tables["system"].select(pl.len(), mean).collect(engine="streaming")
        return left["len"].item(), run

    left, run = reading(run_dir, count)
    assert 0 < left == run.rows["system"] < rows
    assert f"of its {rows:,} rows can't be read" in " ".join(run.damages)
    assert write_report(run_dir).is_file()


def test_a_run_without_an_end_is_read_and_said(run_dir: Path) -> None:
    edit(run_dir / "manifest.json", ended=None, status="failed", certificate=None)
    run = RunData.load(run_dir)
    assert run.state.startswith("the run has no end")
    assert run.gaps == (run.state,)
    assert head(run).verdict == "Failed after 60 s"


def test_a_run_that_is_known_to_go_on_is_said_to_be_running(run_dir: Path) -> None:
    """Its own manifest says how it would have ended if it were killed now."""
    killed = "WoTemu itself was killed before the end of the run"
    edit(run_dir / "manifest.json", ended=None, status="failed", certificate=None, error=killed)
    page = write_report(run_dir, run_dir / "now", goes_on=True).read_text()
    assert "Running for 60 s" in page
    assert killed not in page
    assert json.loads(report_json(run_dir, goes_on=True))["run"]["status"] == "running"
    # One that ended meanwhile is over.
    edit(run_dir / "manifest.json", ended=T0 + 60, status="done", error="")
    assert "Done after 60 s" in write_report(run_dir, run_dir / "now", goes_on=True).read_text()


def test_rows_that_were_recorded_and_are_missing_are_counted(run_dir: Path) -> None:
    path = run_dir / "tables" / "hops.parquet"
    pl.read_parquet(path).head(100).write_parquet(path)
    (damage,) = RunData.load(run_dir).damages
    assert damage == "tables/hops.parquet has 100 of the 840 rows that were recorded"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("manifest.json", "{"),
        ("manifest.json", "[]"),
        ("manifest.json", '{"schema": "many"}'),
        ("manifest.json", '{"losses": [3]}'),
        ("topology.json", "\x00"),
        ("timeline.json", '{"changes": [{"at_s": 1}]}'),
    ],
)
def test_a_damaged_file_is_named(run_dir: Path, file: str, content: str) -> None:
    (run_dir / file).write_text(content)
    with pytest.raises(InputError) as caught:
        RunData.load(run_dir)
    assert caught.value.where == str(run_dir / file)
    assert caught.value.hint


def test_a_newer_schema_asks_for_an_upgrade(run_dir: Path) -> None:
    edit(run_dir / "manifest.json", schema=99)
    with pytest.raises(InputError, match="schema 99") as caught:
        RunData.load(run_dir)
    assert "upgrade" in str(caught.value.hint)
