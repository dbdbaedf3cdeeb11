"""What each link suffered: its worst loss and delay, and how long its node was cut off on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import polars as pl

from wotemu_report.queries.hop_counters import dropped
from wotemu_report.recorded.run_data import RunData

_LINK = ("network", "node")
_LEAST_PACKETS = 20
"""Of fewer, a share that was lost says nothing."""


@lru_cache(maxsize=1)
def link_troubles(run: RunData) -> dict[tuple[str, str], Mapping[str, float]]:
    """What links suffered, by network and replica.

    Returns:
        Of each link `loss`, the largest share of a phase's packets that was dropped on its way up or down,
        those by a cut left out; `delay`, the largest of a phase in seconds: the median of the probes between
        its replica and the one that is nearest then; `first`, that of the first phase; `cut`, seconds in
        which its replica was cut off or set apart from others. What is not known is absent.
    """
    found: dict[tuple[str, str], dict[str, float]] = {}
    for part in (_losses(run), _delays(run)):
        for network, node, *values in part.iter_rows():
            known = {
                name: value for name, value in zip(part.columns[2:], values, strict=True) if value is not None
            }
            found.setdefault((network, node), {}).update(known)
    for network, node, lasts_s in _cuts(run):
        link = found.setdefault((network, node), {})
        link["cut"] = link.get("cut", 0.0) + lasts_s
    return dict(found)


def _losses(run: RunData) -> pl.DataFrame:
    lost = dropped() - pl.col("dropped_cut")
    hops = run.tables["hops"].filter(pl.col("direction") != "shared", pl.col("phase_no") >= 0)
    by_phase = hops.group_by(*_LINK, "direction", "phase_no").agg(lost=lost.sum(), sent=pl.col("sent").sum())
    total = pl.col("lost") + pl.col("sent")
    shares = by_phase.filter(total >= _LEAST_PACKETS).with_columns(loss=pl.col("lost") / total)
    return _texts(shares.group_by(_LINK).agg(pl.col("loss").max()))


def _delays(run: RunData) -> pl.DataFrame:
    probes = run.tables["probes"].filter(pl.col("measured").is_not_null(), pl.col("phase_no") >= 0)
    ends = [
        probes.select("network", "phase_no", "measured", node=one, other=other)
        for one, other in (("node", "peer"), ("peer", "node"))
    ]
    # Of a probe's two hops one is another node's: the nearest node adds the least of its own.
    by_pair = pl.concat(ends).group_by(*_LINK, "other", "phase_no").agg(pl.col("measured").median())
    by_phase = by_pair.group_by(*_LINK, "phase_no").agg(pl.col("measured").min())
    return _texts(
        by_phase.sort("phase_no")
        .group_by(_LINK)
        .agg(delay=pl.col("measured").max(), first=pl.col("measured").first())
    )


def _texts(frame: pl.LazyFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(_LINK).cast(pl.String)).collect(engine="streaming")


def _cuts(run: RunData) -> Iterator[tuple[str, str, float]]:
    """Each time in which a replica was cut off or set apart: network, replica, seconds."""
    since: dict[tuple[str, str, str], float] = {}
    end_s = run.axis.end_s
    for change in run.timeline.changes:
        if change.at_s > end_s or change.action not in ("cut", "disconnect", "partition"):
            continue
        network = str(change.network)
        if change.action != "partition":
            parted = {str(change.node)} if change.after else set[str]()
            concerned = {str(change.node)}
        else:
            parted = _members(change.after)
            concerned = parted | {
                node for where, node, kind in since if (where, kind) == (network, "partition")
            }
        for node in concerned:
            key = (network, node, change.action)
            if node in parted:
                since.setdefault(key, change.at_s)
            elif key in since:
                yield network, node, change.at_s - since.pop(key)
    yield from ((network, node, end_s - start_s) for (network, node, _), start_s in since.items())


def _members(groups: Any) -> set[str]:
    """The replicas of a partition: of all its groups."""
    listed = groups if isinstance(groups, list | tuple) else ()
    return {str(node) for each in listed if isinstance(each, list | tuple) for node in each}
