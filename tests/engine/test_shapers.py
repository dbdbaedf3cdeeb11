"""Which shaper a run gets, and that either of them shapes."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path

import pytest

from tests.conftest import Require
from tests.engine.conftest import paced
from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun
from wotemu.emulation.run_options import ShaperName
from wotemu.errors import HostError
from wotemu.scenario import Scenario, at
from wotemu.topology.models import Network, NetworkConditions, Node, Topology

pytestmark = [pytest.mark.usefixtures("namespaces", "no_leftovers")]

IDLE = ["sleep", "100"]


def deployment(folder: Path, network: Network, scenario: Scenario) -> Deployment:
    nodes = [
        Node("a", command=["ping", "-i", "0.05", "b"], networks=[network]),
        Node("b", command=IDLE, networks=[network]),
    ]
    return Deployment(Topology(nodes), scenario, folder / "deployment.py")


def manifest_of(folder: Path) -> dict[str, object]:
    data: dict[str, object] = json.loads((folder / "run" / "manifest.json").read_text())
    return data


@pytest.mark.parametrize(
    "shaper",
    [pytest.param("tun", marks=pytest.mark.namespaces), pytest.param("netem", marks=pytest.mark.netem)],
)
async def test_a_run_is_shaped_by_the_shaper_that_was_asked_for(
    tmp_path: Path, require: Require, has_netem: bool, shaper: ShaperName
) -> None:
    require(shaper == "tun" or has_netem, "its kernel has no NetEm")
    field = Network("field", NetworkConditions(latency="20ms"))
    scenario = Scenario(duration=paced(4), events=[at(paced(2)).set(field, latency="60ms")])
    result = await ReportedRun(
        deployment(tmp_path, field, scenario), out=tmp_path / "run", shaper=shaper
    ).run()
    assert result.error is None
    assert manifest_of(tmp_path)["shaper"] == shaper
    lines = (tmp_path / "run" / "logs" / "a.log").read_text().splitlines()
    times = [float(match[1]) for line in lines if (match := re.search(r"time=([\d.]+) ms", line))]
    assert 40 <= statistics.median(times[:10]) < 60
    assert 120 <= statistics.median(times[-10:]) < 140


@pytest.mark.namespaces
async def test_netem_is_refused_where_the_kernel_has_none(tmp_path: Path, has_netem: bool) -> None:
    if has_netem:
        pytest.skip("this kernel has NetEm")
    field = Network("field")
    with pytest.raises(HostError) as refused:
        await ReportedRun(
            deployment(tmp_path, field, Scenario(duration="1s")), out=tmp_path / "run", shaper="netem"
        ).run()
    assert refused.value.exit_code == 2
    assert "--shaper tun" in (refused.value.hint or "")


@pytest.mark.netem
async def test_auto_takes_netem_only_where_it_can_do_all_that_is_asked(
    tmp_path: Path, require: Require, has_netem: bool
) -> None:
    require(has_netem, "its kernel has no NetEm")
    tied = Network("field", NetworkConditions(latency="20ms", jitter="2ms", jitter_correlation=0.5))
    scenario = Scenario(duration="1s")
    await ReportedRun(deployment(tmp_path, tied, scenario), out=tmp_path / "run").run()
    assert manifest_of(tmp_path)["shaper"] == "tun"
