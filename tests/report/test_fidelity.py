"""The certificate heads the page, and each hop's evidence is there to be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wotemu.fidelity import Certificate
from wotemu.records import Probe
from wotemu_report import write_report
from wotemu_report.blocks import Empty, Figure, Table, Tiles
from wotemu_report.queries.probe_errors import compared_probes, unexplained_errors
from wotemu_report.recorded.from_json import from_json
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections import fidelity_evidence
from wotemu_runtime.fidelity import (
    ChangeEvidence,
    Delays,
    Evidence,
    Goodput,
    HopEvidence,
    HostEvidence,
    Losses,
    LossEvidence,
    judge,
)

from .synthetic import T0, edit, write_table
from .test_page import HOSTILE, Page


def hop(node: str, **facts: Any) -> HopEvidence:
    return HopEvidence(network="field", node=node, direction="up", **facts)


def certify(run_dir: Path, *hops: HopEvidence, **facts: Any) -> None:
    edit(run_dir / "manifest.json", certificate=judge(Evidence(hops=hops, **facts)).to_dict())


PUNCTUAL = Delays(probes=60, expected_s=0.15, measured_s=0.1504, error_s=0.0004)


def test_a_valid_run_says_so_at_its_head(run_dir: Path) -> None:
    certify(run_dir, hop("reader", probes=60, delays=PUNCTUAL))
    html = write_report(run_dir).read_text()
    assert '<div class="notice good"><b>Fidelity: VALID</b>' in html


@pytest.mark.parametrize(("late_s", "verdict", "tone"), [(0.01, "SUSPECT", "warn"), (0.1, "INVALID", "bad")])
def test_what_speaks_against_a_run_heads_it(run_dir: Path, late_s: float, verdict: str, tone: str) -> None:
    certify(
        run_dir, hop("a", late_p95_s=late_s), hop("b", late_p95_s=late_s / 2), hop("c", late_p95_s=0.0001)
    )
    html = write_report(run_dir).read_text()
    assert f'<div class="notice {tone}"><b>Fidelity: {verdict}</b>' in html
    assert f"gateway:field, a@field up: packets left late, p95 {late_s * 1e3:g} ms" in html
    assert "likewise 1 more of its hops" in html


def test_each_hop_has_a_row_and_the_worst_come_first(run_dir: Path) -> None:
    certify(
        run_dir,
        hop("a", probes=60, delays=PUNCTUAL, losses=Losses(probes=50, lost=5, expected=0.1)),
        hop("b", probes=9, leaked=1),
        hosts=(HostEvidence("localhost", 0.5, 0.01),),
        changes=ChangeEvidence(planned=3, late_p95_s=0.001),
    )
    blocks = fidelity_evidence.section(RunData.load(run_dir)).blocks
    table = next(block for block in blocks if isinstance(block, Table) and block.title == "Hops")
    first, second = table.rows
    assert first[:6] == ("b@field up", "INVALID", 9, 0, 0, None)
    assert (second[0], second[1]) == ("a@field up", "VALID")
    assert list(second[2:11]) == [
        60, 0, 60, 150.0, pytest.approx(150.4), 0.0, pytest.approx(0.4), 0.1, 0.1,
    ]  # fmt: skip


def test_each_machine_has_a_row_with_its_load_and_its_clock(run_dir: Path) -> None:
    hosts = (HostEvidence("edge-1", 0.5, 0.01, 31.5, 0.0002), HostEvidence("edge-2", 0.9, 0.0))
    certify(run_dir, hop("a", probes=60, delays=PUNCTUAL), hosts=hosts)
    blocks = fidelity_evidence.section(RunData.load(run_dir)).blocks
    table = next(block for block in blocks if isinstance(block, Table) and block.title == "Machines")
    assert table.rows == [("edge-1", 0.5, 0.01, 31500.0, 0.2), ("edge-2", 0.9, 0.0, None, None)]


def test_probes_that_met_only_the_conditions_are_drawn(run_dir: Path) -> None:
    certify(run_dir, hop("a", probes=3))
    fates = [(0.152, False, ""), (None, True, ""), (0.9, False, "loaded")]
    rows = [
        Probe(T0 + at_s, "field", "a", "b", 0.15, measured, lost, state)
        for at_s, (measured, lost, state) in enumerate(fates, 1)
    ]
    write_table(run_dir, "probes", rows)
    run = RunData.load(run_dir)
    assert compared_probes(run)["error"].to_list() == [pytest.approx(2.0)]
    assert any(isinstance(block, Figure) for block in fidelity_evidence.section(run).blocks)


def test_what_jitter_explains_is_no_error(run_dir: Path) -> None:
    """Probes off by tens of ms with a jitter of 40 ms lie at zero, one without jitter where it is."""
    rows = [
        Probe(T0 + 1 + at_s / 10, "field", "a", "b", 0.15, 0.15 + off_s, False, "", 0.04)
        for at_s, off_s in enumerate((0.06, 0.02, -0.01))
    ]
    rows.append(Probe(T0 + 1, "wired", "a", "b", 0.002, 0.007, False, "", 0.0))
    write_table(run_dir, "probes", rows)
    run = RunData.load(run_dir)
    found = unexplained_errors(run, compared_probes(run))
    assert found.select("series", "off", "error").rows() == [
        ("field", pytest.approx(20.0), 0.0),
        ("wired", pytest.approx(5.0), pytest.approx(5.0)),
    ]


def test_probes_with_little_jitter_are_not_hidden_by_those_with_much(run_dir: Path) -> None:
    rows = [
        Probe(T0 + 1, "field", "a", "b", 0.15, 0.15 + off_s, False, "", spread_s)
        for off_s, spread_s in ((0.3, 0.2), (0.012, 0.0), (0.010, 0.0), (-0.2, 0.2), (0.014, 0.0))
    ]
    write_table(run_dir, "probes", rows)
    run = RunData.load(run_dir)
    found = unexplained_errors(run, compared_probes(run))
    assert found.select("probes", "error").rows() == [(3, pytest.approx(12.0))]


def test_lost_log_lines_and_probes_that_were_not_judged_are_shown(run_dir: Path) -> None:
    lost = (LossEvidence("agent:a", "logs", 34_896),)
    certify(run_dir, hop("a", probes=60, unjudged={"loaded": 7}), log_lines_lost=lost)
    html = write_report(run_dir).read_text()
    assert "Fidelity: VALID" in html
    assert "34,896" in html
    assert "7 of them not judged" in html


def test_the_tile_says_what_was_expected_and_measured(run_dir: Path) -> None:
    off = Delays(probes=12, expected_s=0.193, measured_s=0.19155, error_s=-0.00145)
    certify(run_dir, hop("a", probes=60, delays=off))
    (tiles, *_) = fidelity_evidence.section(RunData.load(run_dir)).blocks
    assert isinstance(tiles, Tiles)
    tile = next(tile for tile in tiles.tiles if tile.label == "Delay error")
    assert (tile.value, tile.detail) == ("-1.45 ms", "192 ms measured, 193 ms expected: a@field up")


def test_what_jitter_explains_is_not_shown_as_an_error(run_dir: Path) -> None:
    off = Delays(probes=9, expected_s=0.606, measured_s=0.743, error_s=0.137, scatter_s=0.49)
    certify(run_dir, hop("a", probes=20, delays=off))
    (tiles, *_) = fidelity_evidence.section(RunData.load(run_dir)).blocks
    assert isinstance(tiles, Tiles)
    tile = next(tile for tile in tiles.tiles if tile.label == "Delay error")
    assert tile.value == "0 ms"
    assert tile.detail == "743 ms measured, 606 ms expected (±490 ms by jitter): a@field up"


def test_a_shared_rate_has_its_row(run_dir: Path) -> None:
    certify(
        run_dir,
        HopEvidence(network="field", node="", direction="shared", goodput=Goodput(waited_s=9, short=0.4)),
    )
    blocks = fidelity_evidence.section(RunData.load(run_dir)).blocks
    table = next(block for block in blocks if isinstance(block, Table) and block.title == "Hops")
    assert table.rows[0][:2] == ("field's shared rate", "INVALID")


def test_a_run_without_a_certificate_says_that(run_dir: Path) -> None:
    edit(run_dir / "manifest.json", certificate=None)
    (block,) = fidelity_evidence.section(RunData.load(run_dir)).blocks
    assert isinstance(block, Empty)
    assert "Fidelity:" not in write_report(run_dir).read_text()


def test_names_in_a_certificate_stay_text(run_dir: Path) -> None:
    certify(run_dir, hop(HOSTILE, leaked=1))
    page = Page(write_report(run_dir).read_text())
    assert (page.count("img"), page.count("script")) == (0, 4)


def test_a_certificate_is_read_as_it_was_written() -> None:
    hops = (
        hop("a", probes=60, delays=PUNCTUAL, losses=Losses(probes=50, lost=5, expected=0.1)),
        hop("b", probes=9, leaked=1, unjudged={"loaded": 2}, goodput=Goodput(waited_s=9, short=0.4)),
    )
    written = judge(Evidence(hops=hops, hosts=(HostEvidence("localhost", 0.5, 0.01),)))
    assert from_json(Certificate, json.loads(json.dumps(written.to_dict()))) == written


def test_what_a_certificate_lacks_is_empty() -> None:
    bare = from_json(Certificate, {"verdict": "VALID", "hops": [{}], "reasons": [{}], "later": 1})
    assert (bare.probes, bare.hosts, bare.hops[0].delays, bare.reasons[0].text) == (0, (), None, "")
