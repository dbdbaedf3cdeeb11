"""Historians, a bridge, open-loop load, a camera and a detector, in one emulation."""

from __future__ import annotations

from importlib.util import find_spec

import polars as pl
import pytest

from tests.conftest import Require
from tests.engine.conftest import paced
from wotemu import Network, NetworkConditions, Node, NodeApp, RecordedRun, Scenario, Topology, run_sync
from wotemu.errors import HostError
from wotemu_runtime.engines.local.host_check import check_host

pytestmark = pytest.mark.namespaces

FIELD = Network("field", NetworkConditions.of(latency="5ms"))


def node(name: str, app: NodeApp) -> Node:
    return Node(name, app, networks=[FIELD])


NODES = [
    node("sensor", NodeApp("sensor", http=True)),
    node(
        "bridge",
        NodeApp(
            "bridge",
            ws=True,
            params={"servient_host": "sensor", "source_id": "urn:wotemu:sensor", "thing_id": "urn:b"},
        ),
    ),
    node(
        "behind", NodeApp("reader", params={"servient_host": "bridge", "thing_id": "urn:b", "interval": 0.5})
    ),
    node("follower", NodeApp("subscriber", params={"servient_host": "bridge", "thing_id": "urn:b"})),
    node(
        "historian",
        NodeApp(
            "historian",
            http=True,
            params={
                "observed_things": [{"servient_host": "sensor", "thing_id": "urn:wotemu:sensor"}],
                "interval": 0.5,
            },
        ),
    ),
    node(
        "uplink",
        NodeApp(
            "historian", http=True, params={"downlink_servient_host": "historian", "downlink_interval": 2}
        ),
    ),
    node(
        "users",
        NodeApp(
            "load",
            params={
                "servient_host": "sensor",
                "thing_id": "urn:wotemu:sensor",
                "read": "value",
                "rate": [[0, 5], [10, 20]],
                "arrivals": "regular",
            },
        ),
    ),
]

HAS_OPENCV = find_spec("cv2") is not None
if HAS_OPENCV:
    small = {"width": 80, "height": 60, "fps": 5, "turn_s": 0.1}
    watched = {"cameras": [{"servient_host": "camera"}]}
    NODES += [
        node("camera", NodeApp("camera", ws=True, params=small)),
        node("detector", NodeApp("detector", http=True, params=watched)),
    ]


@pytest.fixture(scope="module")
def recorded(require: Require, tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    try:
        check_host()
    except HostError as error:
        require(False, f"the local engine can't run here: {error}")
    scenario = Scenario(duration=paced(12), seed=3)
    return run_sync(Topology(NODES), scenario, out=tmp_path_factory.mktemp("kinds") / "run")


def rows(recorded: RecordedRun, node_name: str, role: str) -> pl.DataFrame:
    of_node = (pl.col("node") == node_name) & (pl.col("role") == role)
    return recorded.table("interactions").filter(of_node).collect()


def metrics(recorded: RecordedRun, node_name: str, key: str) -> list[float]:
    chosen = (pl.col("node") == node_name) & (pl.col("key") == key)
    return recorded.table("app").filter(chosen).collect()["value"].to_list()


def test_a_bridge_passes_reads_and_changes_on_over_another_binding(recorded: RecordedRun) -> None:
    behind = rows(recorded, "behind", "consumer").filter(pl.col("op") == "readproperty")
    assert set(behind["binding"]) == {"ws"}
    assert set(behind["status"]) <= {"ok", "unfinished"}
    assert set(rows(recorded, "bridge", "consumer").filter(pl.col("op") == "readproperty")["binding"]) == {
        "http"
    }
    followed = rows(recorded, "follower", "consumer").filter(pl.col("stage") == "next")
    assert followed.height > 3


def test_historians_store_what_was_and_pass_it_up(recorded: RecordedRun) -> None:
    assert metrics(recorded, "historian", "historian_values")[-1] > 10
    assert metrics(recorded, "uplink", "historian_values")[-1] >= 2
    assert metrics(recorded, "uplink", "historian_failures") == []


def test_load_follows_its_curve_and_counts_from_when_a_request_was_due(recorded: RecordedRun) -> None:
    latencies = metrics(recorded, "users", "load_latency")
    assert min(latencies) >= 0.01, "two crossings of 5 ms"
    assert metrics(recorded, "users", "load_not_sent") == []
    assert len(latencies) > 60


def test_a_detector_sees_what_moves_and_turns_the_camera(recorded: RecordedRun, require: Require) -> None:
    require(HAS_OPENCV, "OpenCV is not installed: the extra `vision`")
    frames, costs = (metrics(recorded, "detector", key) for key in ("frame_latency", "detection_cost"))
    assert metrics(recorded, "camera", "camera_frames")[-1] > 10
    assert len(frames) > 10
    assert min(frames) >= 0.005, "one crossing"
    assert min(costs) > 0
    assert metrics(recorded, "camera", "ptz_latency")
    assert set(rows(recorded, "detector", "consumer").filter(pl.col("op") == "invokeaction")["status"]) == {
        "ok"
    }
