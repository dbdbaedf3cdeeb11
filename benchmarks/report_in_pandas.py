"""What the report's figures of requests take in pandas, to measure the report beside it.

pandas and pyarrow are needed for this alone: ``pip install pandas pyarrow``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

SHARES = [0.5, 0.9, 0.95, 0.99, 0.999]


def aggregates(run_dir: Path, bin_s: float, window_s: float) -> int:
    """The figures of `benchmarks.report.figures`; returns how many rows they have."""
    pd: Any = import_module("pandas")  # not among the packages that development needs
    np: Any = import_module("numpy")
    manifest = json.loads((run_dir / "manifest.json").read_bytes())
    phases = json.loads((run_dir / "timeline.json").read_bytes())["phases"]
    frame: Any = pd.read_parquet(run_dir / "tables" / "interactions.parquet")
    asked = frame[frame["stage"] == "request"].copy()
    asked["s"] = asked["t"] - manifest["t0"]
    asked["phase"] = np.searchsorted([each["start_s"] for each in phases], asked["s"], side="right") - 1
    asked["owner"] = asked["node"].map({name: each["node"] for name, each in manifest["replicas"].items()})
    asked["failed"] = asked["status"] == "failed"
    ok = asked["status"] == "ok"
    asked["took"] = (asked["duration"] * 1000).where(ok, np.inf)
    asked["ok_ms"] = (asked["duration"] * 1000).where(ok)
    asked["bin"] = asked["s"] // bin_s
    asked["window"] = (asked["s"] + asked["duration"]) // window_s
    ended = asked[ok | asked["failed"]]
    consumers = ended[ended["role"] == "consumer"]
    rows = len(asked[asked["role"] == "consumer"].groupby(["bin", "status"], observed=True).size())
    for keys in (["phase"], ["phase", "owner"]):
        by = ["role", *keys, "thing", "name", "op", "binding"]
        rows += _figures(ended, by, "took", SHARES)
    rows += _figures(consumers, ["op", "bin", "owner", "binding"], "ok_ms", [0.5, 0.95, 0.99])
    rows += _figures(consumers, ["window", "owner"], "ok_ms", [0.95])
    return rows


def _figures(frame: Any, by: Sequence[str], column: str, shares: Sequence[float]) -> int:
    groups = frame.groupby(list(by), observed=True, sort=False)
    counts = groups.agg(count=("failed", "size"), failed=("failed", "sum"))
    for share in shares:
        counts[str(share)] = groups[column].quantile(share)
    return len(counts)
