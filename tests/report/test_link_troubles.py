"""What links suffered, and how the topology's diagram colours them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wotemu.records import Hop
from wotemu_report.queries.link_troubles import link_troubles
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.topology_diagram import diagram

from .synthetic import T0, write_table

NODE = "reader-3g-1"


def hop(at: float, sent: int, lost: int, direction: str = "up") -> Hop:
    return Hop(T0 + at, "field", NODE, direction, "tun", sent, 100, lost, 0, 3, 0, 0.001,
               late_bins=[90], late_counts=[10])  # fmt: skip


@pytest.fixture
def run(run_dir: Path) -> RunData:
    """A node that lost 1 of 100 packets up and 1 of 10 down in one phase, and was cut off for 7 s."""
    rows = [hop(5, 99, 1), hop(20, 90, 0), hop(20, 90, 10, "down"), hop(31, 1, 5)]
    write_table(run_dir, "hops", rows)
    timeline = json.loads((run_dir / "timeline.json").read_text())
    cut = {"action": "cut", "network": "field", "node": NODE, "direction": None}
    timeline["changes"] = [
        {"id": 0, "at_s": 30.0, "before": False, "after": True, **cut},
        {"id": 1, "at_s": 37.0, "before": True, "after": False, **cut},
    ]
    (run_dir / "timeline.json").write_text(json.dumps(timeline))
    return RunData.load(run_dir)


def test_loss_is_the_worst_of_a_phase_and_hop_without_what_a_cut_dropped(run: RunData) -> None:
    # The hop of the phase with six packets says nothing.
    assert link_troubles(run)["field", NODE]["loss"] == pytest.approx(0.1)


def test_the_time_of_cuts_is_added_up(run: RunData) -> None:
    assert link_troubles(run)["field", NODE]["cut"] == pytest.approx(7.0)


def test_a_partition_parts_the_nodes_of_all_its_groups(quickstart: Path) -> None:
    troubles = link_troubles(RunData.load(quickstart))
    assert troubles["field", NODE]["cut"] == troubles["field", "thing"]["cut"] == pytest.approx(10.0)


def test_the_diagram_colours_a_link_by_the_worst_and_explains_the_colours(run: RunData) -> None:
    drawn = diagram(run)
    (line,) = [line for line in drawn.lines if line.name == NODE]
    (link,) = [link for link in line.links if link.network == "field"]
    assert (link.trouble, link.suffered[:18]) == ("cut off from others", "cut 7 s · loss 10 ")
    assert dict(drawn.legend)["cut off from others"] == link.color
