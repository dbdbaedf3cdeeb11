"""The sections' blocks: every chart is valid, drawn from its own rows, and says what it shows."""

from __future__ import annotations

import json
from pathlib import Path

import altair as alt
import pytest

from wotemu.records import Flow, GatewayLoad, WireRequest
from wotemu_report.blocks import Empty, Figure, Logs, Table
from wotemu_report.charts.layers import compact
from wotemu_report.page.render import figure_spec
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections import sections, seen_on_wire
from wotemu_report.sections.gateway_cpu import gateway_blocks
from wotemu_report.sections.network_traffic import node_matrix

from .synthetic import T0, write_table


@pytest.fixture(scope="module")
def figures(run: RunData) -> list[Figure]:
    """Every chart of the synthetic quickstart."""
    return [block for section in sections(run) for block in section.blocks if isinstance(block, Figure)]


def test_every_chart_is_valid_and_says_what_it_shows(figures: list[Figure]) -> None:
    assert len(figures) > 12
    for figure in figures:
        alt.LayerChart.from_dict(figure_spec(figure), validate=True)
        assert figure.title
        assert figure.caption.endswith((".", "node"))


def test_every_time_axis_is_the_runs_and_names_its_phases(figures: list[Figure]) -> None:
    timed = [figure for figure in figures if figure.axis is not None]
    for figure in timed:
        axes = [layer["encoding"]["x"] for layer in figure_spec(figure)["layer"]]
        domains = {tuple(end["expr"] for end in axis["scale"]["domain"]) for axis in axes}
        assert domains == {("zoom[0]", "zoom[1]")}, figure.title
        assert {"name": "zoom", "value": [0, 60.0]} in figure_spec(figure)["params"], figure.title
        texts = [layer for layer in figure_spec(figure)["layer"] if layer["mark"]["type"] == "text"]
        assert [layer["encoding"]["text"]["field"] for layer in texts] == ["label"], figure.title
        assert "healed" in figure_spec(figure)["datasets"][texts[0]["data"]["name"]]


def test_what_a_chart_draws_are_the_rows_of_its_layers(figures: list[Figure]) -> None:
    for figure in figures:
        spec = figure_spec(figure)
        drawn = list(spec["datasets"].values())
        for each in figure.layers:
            assert compact(each.rows).write_csv() in drawn, figure.title


def test_changes_made_by_hand_are_listed_with_who_made_them(run_dir: Path) -> None:
    change = {
        "t": T0 + 12.0,
        "kind": "control.change",
        "source": "coordinator",
        "message": "ada (process 7): cut reader-3g-1",
        "data": {"who": "ada (process 7)", "at_s": 12.05, "source": "at('12.05s').cut('reader-3g-1')"},
    }
    with (run_dir / "events.jsonl").open("a") as file:
        file.write(json.dumps(change) + "\n")
    parts = {section.id: section for section in sections(RunData.load(run_dir))}
    (table,) = (
        block
        for block in parts["changes"].blocks
        if isinstance(block, Table) and block.title == "Changes made by hand"
    )
    assert list(table.rows) == [
        (12.05, "ada (process 7)", "cut reader-3g-1", "at('12.05s').cut('reader-3g-1')")
    ]


def test_a_run_without_records_says_why_each_section_is_empty(run_dir: Path) -> None:
    for table in (run_dir / "tables").iterdir():
        table.unlink()
    (run_dir / "events.jsonl").write_text("")
    for log in (run_dir / "logs").iterdir():
        log.unlink()
    parts = {section.id: section for section in sections(RunData.load(run_dir))}
    for name in ("interactions", "traffic", "system", "app-metrics", "broker", "events", "logs"):
        empties = [block for block in parts[name].blocks if isinstance(block, Empty)]
        assert len(empties) == len(parts[name].blocks) > 0, name
        assert all(empty.text.endswith(".") for empty in empties)


def test_a_crash_is_laid_to_the_replica_and_opens_its_log(run: RunData) -> None:
    assert run.axis.crashes == ((34.0, "reader-3g-1"),)
    (shown,) = next(section for section in sections(run) if section.id == "logs").blocks
    assert isinstance(shown, Logs)
    assert [log.name for log in shown.logs if log.opened] == ["reader-3g-1"]
    assert "\x1b" not in next(log.text for log in shown.logs if log.opened)


def test_the_matrix_adds_up_the_quietest_nodes(run_dir: Path) -> None:
    rows = [
        Flow(T0 + 1, f"n{number}", "wired", "down", "udp", "", "hub", f"n{number}", 1, 2, 1, 1000 - number)
        for number in range(40)
    ]
    write_table(run_dir, "flows", rows)
    run = RunData.load(run_dir)
    shown = node_matrix(run, run.tables["flows"])
    assert len(shown.columns) == 25
    assert shown.columns[-1] == "others"


def gateways_shown(run_dir: Path, shapers: list[str]) -> tuple[Figure, Figure, Table]:
    """The blocks of gateways of which the n-th uses n % of a core."""
    rows = [
        GatewayLoad(T0 + 5, f"net-{number}", shaper, interval=1.0, cpu=number / 100, packets=10)
        for number, shaper in enumerate(shapers)
    ]
    write_table(run_dir, "gateways", rows)
    cpu, packets, table = gateway_blocks(RunData.load(run_dir))
    assert isinstance(cpu, Figure)
    assert isinstance(packets, Figure)
    assert isinstance(table, Table)
    return cpu, packets, table


def test_the_busiest_gateways_are_drawn_and_all_are_listed(run_dir: Path) -> None:
    cpu, packets, table = gateways_shown(run_dir, ["tun"] * 20)
    busiest = [f"net-{number}" for number in range(19, 11, -1)]
    for figure in (cpu, packets):
        assert set(figure.layers[0].rows["series"]) == set(busiest)
        assert "The 8 busiest of 20 gateways." in figure.caption
    assert [row[0] for row in table.rows] == [f"net-{number}" for number in range(19, -1, -1)]
    assert table.is_filterable


@pytest.mark.parametrize(
    ("shapers", "says_full", "says_kernel"),
    [(["tun"], True, False), (["netem"], False, True), (["tun", "netem"], True, True)],
)
def test_the_cpu_of_a_gateway_is_explained_by_its_shaper(
    run_dir: Path, shapers: list[str], says_full: bool, says_kernel: bool
) -> None:
    cpu, _, _ = gateways_shown(run_dir, shapers)
    assert ("packets wait for it" in cpu.caption) == says_full
    assert ("of changes and counters alone" in cpu.caption) == says_kernel


def test_requests_seen_on_the_wire_are_listed_by_who_asked_whom_for_what(run_dir: Path) -> None:
    def row(t: float, code: str, duration: float | None, *, stage: str = "request") -> WireRequest:
        path, peer = ("/temp", "reader-wifi-1") if stage == "request" else ("/obs", "greenhouse")
        return WireRequest(T0 + t, "web", "client", "http", stage, "GET", path, code, duration, peer, 80)

    answered = [row(5 + number / 10, "200", number / 100) for number in range(1, 11)]
    others = [row(6, "404", 1.0), row(7, "", None), row(35, "200", 0.5), row(36, "2.05", None, stage="next")]
    write_table(run_dir, "requests", [*answered, *others])
    (table,) = seen_on_wire.section(RunData.load(run_dir)).blocks
    assert isinstance(table, Table)
    found = [dict(zip([column.label for column in table.columns], each, strict=True)) for each in table.rows]
    key = ("Path", "Phase", "Requests", "Failed", "Statuses", "Notifications", "p50", "p95")
    assert [tuple(each[label] for label in key) for each in found] == [
        ("/obs", "cut", 0, 0, None, 1, None, None),
        (
            "/temp",
            "calm",
            12,
            2,
            "200: 10, 404: 1, no answer: 1",
            0,
            pytest.approx(60.0),
            pytest.approx(1000.0),
        ),
        ("/temp", "cut", 1, 0, "200: 1", 0, pytest.approx(500.0), pytest.approx(500.0)),
    ]
