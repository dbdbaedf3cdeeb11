"""Traces are read with errors that name file and line, and those that come along can be replayed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenario.deployment import RADIO, timeline_of
from wotemu.errors import ScenarioError
from wotemu.scenario import Trace, during

TRACES = Path(__file__).parents[2] / "examples" / "traces"


def source_location(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_csv_trace_is_read_with_its_units(tmp_path: Path) -> None:
    header = "# walked\nt, latency_ms, jitter_ms, loss, rate_bps\n"
    text = "0, 40, 5, 0.01, 1e6\n\n0.5, 80, , 0, 2e6 # worse\n"
    trace = Trace.read(source_location(tmp_path, "walk.csv", header + text))
    assert trace.rows == (
        (0.0, {"latency": 0.04, "jitter": 0.005, "loss": 0.01, "rate": 1e6}),
        (0.5, {"latency": 0.08, "loss": 0.0, "rate": 2e6}),
    )
    assert trace.length_s == 1.0


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("", "it is empty", ""),
        ("t,speed\n", "no column 'speed'", ", line 1"),
        ("t\n", "column t and another one", ", line 1"),
        ("loss\n0\n", "column t and another one", ", line 1"),
        ("t,loss,loss\n", "each once", ", line 1"),
        ("t,loss\n", "no rows below its header", ""),
        ("t,loss\n0\n", "1 cells for 2 columns", ", line 2"),
        ("t,loss\n0,x\n", "loss: could not convert", ", line 2"),
        ("t,loss\n0,2\n", "loss: 2.0 is more than the whole", ", line 2"),
        ("t,loss\n-1,0\n", "t: -1.0 is not a time", ", line 2"),
        ("t,loss\n,0\n", "t: could not convert", ", line 2"),
        ("t,rate_bps\n0,-1\n", "not negative", ", line 2"),
        ("t,rate_bps\n0,1\n", "1bit is less than 8bit", ", line 2"),
        ("t,latency_ms\n0,1e9\n", "1e\\+06s is more than 86400s", ", line 2"),
        ("t,loss\n0,0\n# pause\n0,0\n", "t=0 does not come after t=0", ", line 4"),
    ],
)
def test_a_wrong_csv_trace_names_file_and_line(tmp_path: Path, text: str, message: str, line: str) -> None:
    path = source_location(tmp_path, "bad.csv", text)
    with pytest.raises(ScenarioError, match=message) as caught:
        Trace.read(path)
    assert caught.value.where == f"{path}{line}"


def test_delivery_opportunities_become_rates(tmp_path: Path) -> None:
    """Ten packets of 1504 bytes in the first second, thirty in the next."""
    times = [*range(0, 1000, 100), *(1000 + 33 * n for n in range(30)), 2000]
    trace = Trace.mahimahi(source_location(tmp_path, "cell.up", "\n".join(map(str, times))), window="1s")
    assert trace.length_s == 2.0
    assert trace.rows == ((0.0, {"rate": 10 * 1504 * 8}), (1.0, {"rate": 31 * 1504 * 8}))


def test_in_an_outage_the_rate_is_zero(tmp_path: Path) -> None:
    trace = Trace.mahimahi(source_location(tmp_path, "cell.down", "0\n100\n3500\n4000\n"), window="500ms")
    assert trace.rows == ((0.0, {"rate": 48128}), (0.5, {"rate": 0}), (3.5, {"rate": 48128}))
    trace = Trace.read(source_location(tmp_path, "cell.csv", "t,rate_bps\n0,1e6\n1,0\n2,1e6\n"))
    changes = timeline_of(during(0, 3).replay(RADIO, trace, "up", keep=True)).changes
    assert [(change.at_s, change.after["rate_bps"]) for change in changes] == [(0, 1e6), (1, 0), (2, 1e6)]


@pytest.mark.parametrize("name", ["hspa_bus.up", "hspa_bus.down"])
def test_a_trace_s_rates_have_all_of_its_delivery_opportunities(name: str) -> None:
    path = TRACES / name
    trace = Trace.read(path)
    ends = [*(t_s for t_s, _ in trace.rows[1:]), trace.length_s]
    bits = sum(values["rate"] * (end_s - t_s) for (t_s, values), end_s in zip(trace.rows, ends, strict=True))
    assert bits == pytest.approx(1504 * 8 * len(path.read_text().split()), rel=1e-5)
    assert min(values["rate"] for _, values in trace.rows) == 0


@pytest.mark.parametrize(
    ("name", "text", "start"),
    [
        ("phone.csv", "t,rate_bps\n1540000000.5,1e6\n1540000001.5,2e6\n", "1540000000"),
        ("ms.csv", "t,rate_bps\n1540000000500,1e6\n1540000000501,2e6\n", "1.54"),
        ("phone.up", "1540000000500\n1540000001500\n1540000002500\n", "1540000000"),
    ],
)
def test_times_of_day_are_refused_or_made_to_start_at_zero(
    tmp_path: Path, name: str, text: str, start: str
) -> None:
    path = source_location(tmp_path, name, text)
    with pytest.raises(ScenarioError, match=f"times start at {start}") as caught:
        Trace.read(path)
    assert "from_zero=True" in str(caught.value.hint)
    trace = Trace.read(path, from_zero=True)
    assert (trace.rows[0][0], trace.length_s) == (0.0, 2.0)


def test_a_trace_that_starts_after_its_replay_s_end_is_refused(tmp_path: Path) -> None:
    path = source_location(tmp_path, "late.csv", "t,loss\n5321,0.5\n5322,0.1\n")
    with pytest.raises(ScenarioError, match="the first at 5321s") as caught:
        timeline_of(during(0, 60).replay(RADIO, path, "up"))
    assert "from_zero=True" in str(caught.value.hint)
    replay = during(0, 60).replay(RADIO, Trace.read(path, from_zero=True), "up")
    assert timeline_of(replay).changes[0].at_s == 0


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("", "no delivery opportunity", ""),
        ("0\n0\n", "no delivery opportunity", ""),
        ("0\nx\n", "'x' is not a whole number of milliseconds", ", line 2"),
        ("5\n1.5\n", "not a whole number", ", line 2"),
        ("5\n\n3\n", "3 comes before 5", ", line 3"),
        ("0\n900000000000\n", "steps are more than 200000", ", window"),
    ],
)
def test_a_wrong_mahimahi_trace_names_file_and_line(
    tmp_path: Path, text: str, message: str, line: str
) -> None:
    path = source_location(tmp_path, "bad.up", text)
    with pytest.raises(ScenarioError, match=message) as caught:
        Trace.read(path)
    assert caught.value.where == f"{path}{line}"


def test_a_trace_is_scaled_by_conditions(tmp_path: Path) -> None:
    trace = Trace.read(source_location(tmp_path, "a.csv", "t,loss,rate_bps\n0,0.6,1e6\n"))
    assert trace.scaled({"loss": 2, "rate": 0.5}, "here").rows == ((0.0, {"loss": 1.0, "rate": 5e5}),)
    for factors in ({"speed": 2}, {"loss": -1}, {"loss": True}):
        with pytest.raises(ScenarioError):
            trace.scaled(factors, "here")


def test_the_traces_that_come_along_can_be_replayed() -> None:
    found = sorted(path for path in TRACES.iterdir() if path.suffix in (".csv", ".up", ".down"))
    assert len(found) >= 4
    for path in found:
        replay = during(0, 250).replay(RADIO, path, "up", loop=True)
        changes = timeline_of(replay, duration=300).changes
        assert len(changes) > 40, path
        assert max(change.at_s for change in changes) == 250
