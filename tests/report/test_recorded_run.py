"""A run directory as lazy tables, whether the run is over, goes on, or was killed."""

from __future__ import annotations

import json
from pathlib import Path

import msgpack
import polars as pl
import pytest

from wotemu import RecordedRun
from wotemu.emulation.reports import report_json
from wotemu.errors import InputError
from wotemu.records import App, to_row
from wotemu_runtime.recording.run_directory import RunDirectory, is_being_recorded

from .synthetic import T0, request


def test_tables_have_offsets_phases_groups_and_parameters(run_dir: Path) -> None:
    run = RecordedRun(run_dir, {"loss": "1%"})
    requests = run.table("interactions")
    assert isinstance(requests, pl.LazyFrame)
    rows = requests.collect()
    assert rows["s"].to_list() == pytest.approx((rows["t"] - T0).to_list())
    fade = rows.filter(pl.col("s").is_between(15, 29.9))
    assert set(fade["phase"]) == {"fade"}
    assert set(rows["loss"]) == {"1%"}
    assert {"reader-3g-1"} <= set(rows["node"])
    events = run.table("events").collect()
    assert set(events.filter(pl.col("s") < 0)["phase"]) <= {""}
    assert len(list(run.events())) == events.height


def test_what_a_run_has_stored_so_far_is_read_from_its_spool(run_dir: Path) -> None:
    (run_dir / "tables" / "app.parquet").unlink()
    (run_dir / "spool").mkdir()
    whole = msgpack.packb([to_row(App(T0 + 1.0, "reader-3g-1", "celsius", 20.0))])
    (run_dir / "spool" / "app.msgpack").write_bytes(whole + whole[:7])
    rows = RecordedRun(run_dir).table("app").collect()
    assert rows.select("node", "value", "s").rows() == [("reader-3g-1", 20.0, 1.0)]
    (run_dir / "spool" / "app.msgpack").unlink()
    assert RecordedRun(run_dir).table("app").collect().height == 0


def test_a_run_that_goes_on_or_was_killed_has_a_report_of_what_is_stored(run_dir: Path) -> None:
    """Its tables lie as they came; a killed one may have a damaged file, whose rest is named."""
    manifest = run_dir / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "ended": None, "status": "failed"}))
    for table in (run_dir / "tables").iterdir():
        table.unlink()
    (run_dir / "events.jsonl").write_text("")
    directory = RunDirectory(run_dir)
    rows = [to_row(request(at, 0.1)) for at in range(20)]
    directory.store("interactions", rows)
    directory.keep({"events": "1-0"})
    run = RecordedRun(run_dir)
    page = run.write_report().read_text()  # while it is recorded
    assert run.status == "running"
    assert "the run goes on" in page
    assert "stored until 19.0 s after T0" in page
    assert is_being_recorded(run_dir)
    directory.store("interactions", rows)
    directory.close()
    spool = run_dir / "spool" / "interactions.msgpack"
    spool.write_bytes(spool.read_bytes() + b"\xc1")
    text = report_json(run_dir)
    assert "spool/interactions.msgpack: it is damaged after 40 rows" in " ".join(json.loads(text)["damages"])
    assert run.status == "failed"
    assert run.table("interactions").collect().height == 40


def test_what_is_no_run_or_no_table_is_said(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such directory"):
        RecordedRun(tmp_path / "nowhere")
    with pytest.raises(InputError, match="there is no table 'interaction'") as caught:
        RecordedRun(run_dir).table("interaction")
    assert "did you mean 'interactions'?" in str(caught.value.hint)
    with pytest.raises(InputError, match="there is no log of 'reader'"):
        RecordedRun(run_dir).log("reader")
    manifest = json.loads((run_dir / "manifest.json").read_text())
    (run_dir / "manifest.json").write_text(json.dumps({**manifest, "schema": 999}))
    with pytest.raises(InputError, match="recorded with schema 999"):
        repr(RecordedRun(run_dir))


def test_a_notebook_shows_it_and_a_report_is_written(run_dir: Path) -> None:
    run = RecordedRun(run_dir)
    shown = run._repr_html_()
    assert "<b>quickstart</b>" in shown
    assert str(run_dir) in shown
    assert run.write_report().is_file()
