"""Lifetimes: when each replica's app was starting, up, crashed, paused or ended, and on which machine."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import attrs
import polars as pl

from wotemu_report.queries.cpu_and_memory_use import machine_of
from wotemu_report.queries.once_a_run import once_a_run
from wotemu_report.queries.ranking import in_order
from wotemu_report.recorded.event_log import replica_name
from wotemu_report.recorded.run_data import RunData

STARTING, UP, PAUSED, CRASHED, LOST, ENDED = "starting", "up", "paused", "crashed", "lost", "ended"
STATES = (UP, STARTING, PAUSED, CRASHED, LOST, ENDED)
"""``lost``: the node's agent was away, and its app with it; ``ended``: by itself, or as it was asked to."""
_OF_KIND = {
    "app.started": STARTING,
    "app.restarted": STARTING,
    "app.ready": UP,
    "broker.ready": UP,
    "app.crashed": CRASHED,
    "app.never_started": CRASHED,
    "app.exited": ENDED,
}
_GONE, _BACK = ("role.lost", "role.silent"), ("role.back", "role.heard")
_INTERVALS = {"node": pl.String, "state": pl.String, "s": pl.Float64, "end": pl.Float64, "message": pl.String}


@attrs.frozen
class Moment:
    """What happened to a replica, in seconds since T0.

    Attributes:
        state: What its app is in from then on; of `PAUSED` and `LOST`, that this begins, or `ends`.
    """

    s: float
    state: str
    message: str
    ends: bool = False


@once_a_run  # a chart and a table of one report read it
def lifetimes(run: RunData) -> pl.DataFrame:
    """The states of each replica's app from T0 on; those without any event are left out.

    Returns:
        `node`, `state` (of `STATES`), `s` and `end` in seconds since T0, and the `message` of the event that
        began it; in order of the nodes and of time.
    """
    known = {replica.name for replica in run.manifest.replicas}
    rows = [
        (node, *interval)
        for node, moments in _moments(run).items()
        if node in known or not known
        for interval in intervals(moments, run.axis.end_s)
    ]
    frame = pl.DataFrame(rows, schema=_INTERVALS, orient="row")
    return in_order(frame, "node") if frame.height else frame


def intervals(moments: Iterable[Moment], end_s: float) -> Iterator[tuple[str, float, float, str]]:
    """The states that follow from what happened to one replica: `state`, `s`, `end` and `message`.

    Args:
        moments: In order of time.
        end_s: The end of the run, in seconds since T0.
    """
    of_app, above = "", set[str]()
    state, since, message = "", 0.0, ""
    for each in moments:
        if each.state in (PAUSED, LOST):
            (above.discard if each.ends else above.add)(each.state)
        else:
            of_app = each.state
        following = (
            LOST if LOST in above else PAUSED if PAUSED in above and of_app in (UP, STARTING) else of_app
        )
        if following == state:
            continue
        at_s = min(max(each.s, 0.0), end_s)
        if state and at_s > since:
            yield state, since, at_s, message
        state, since, message = following, at_s, each.message
    if state and end_s > since:
        yield state, since, end_s, message


def _moments(run: RunData) -> dict[str, list[Moment]]:
    """What happened to each replica, in order of time."""
    found: dict[str, list[Moment]] = defaultdict(list)
    kinds = [*_OF_KIND, *_GONE, *_BACK]
    events = run.events.filter(pl.col("kind").is_in(kinds)).with_columns(node=replica_name())
    for kind, at_s, node, message, data in events.select("kind", "s", "node", "message", "data").iter_rows():
        if kind.startswith("role."):
            role = str(json.loads(data).get("role", ""))
            if role.startswith("agent:"):
                found[role.removeprefix("agent:")].append(Moment(at_s, LOST, message, kind in _BACK))
        else:
            found[node.removeprefix("broker:")].append(Moment(at_s, _OF_KIND[kind], message))
    pauses = (
        run.tables["changes"]
        .filter(pl.col("action") == "pause", pl.col("ok"))
        .select("applied", "target", "after")
        .collect(engine="streaming")
    )
    for applied, target, after in pauses.iter_rows():
        is_paused = after not in ("false", "null", "")
        text = f"{target} {'paused' if is_paused else 'goes on'}"
        found[target].append(Moment(applied - run.axis.origin, PAUSED, text, not is_paused))
    return {node: sorted(moments, key=lambda each: each.s) for node, moments in found.items()}


def lifetime_totals(run: RunData) -> pl.DataFrame:
    """A row for each replica that has a state.

    Returns:
        `node`; its `machine`; `first`, when it was first up, in seconds since T0; the share of the run in
        which it was `up`; how often it `started` and `crashed`; and the `last` state.
    """
    spans = lifetimes(run)
    machines = machine_of(run)
    lasts = pl.col("end") - pl.col("s")
    totals = spans.group_by("node", maintain_order=True).agg(
        first=pl.col("s").filter(pl.col("state") == UP).min(),
        up=lasts.filter(pl.col("state") == UP).sum() / run.axis.end_s,
        last=pl.col("state").last(),
    )
    own = run.events.with_columns(node=replica_name()).group_by("node")
    counts = own.agg(
        started=(pl.col("kind") == "app.started").sum(), crashed=(pl.col("kind") == "app.crashed").sum()
    )
    return (
        totals.join(counts, on="node", how="left", maintain_order="left")
        .with_columns(machine=pl.col("node").replace_strict(machines, default="", return_dtype=pl.String))
        .select("node", "machine", "first", "up", "started", "crashed", "last")
    )


def eventful(spans: pl.DataFrame, limit: int) -> Sequence[str]:
    """The replicas to draw, in their order: those whose app was up for the shortest time, at most `limit`."""
    lasts = (pl.col("end") - pl.col("s")).filter(pl.col("state") == UP).sum()
    shortest = spans.group_by("node", maintain_order=True).agg(up=lasts).sort("up", maintain_order=True)
    chosen = set(shortest["node"].head(limit))
    return [name for name in spans["node"].unique(maintain_order=True) if name in chosen]
