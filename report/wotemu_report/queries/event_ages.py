"""Ages of events and observed properties: from their emission by the Thing to the consumer's callback.

Nothing on the wire says which emission an item is of, since measuring adds nothing to messages. So an item
is the last emission before it with the same payload. That is certain unless the payload was emitted before
within `REPEAT_S`; such an item is placed by its order between two certain ones that have as many emissions
between them as items, else its age is not known.
"""

from __future__ import annotations

from typing import Literal

import attrs
import polars as pl

from wotemu_report.queries.nearest_rank import SHARES, nearest_rank
from wotemu_report.queries.once_a_run import once_a_run
from wotemu_report.queries.subscriptions import notifications
from wotemu_report.recorded.run_data import RunData

REPEAT_S = 30.0
"""Payloads that are emitted again within so many seconds can't be told apart by themselves."""
SETTLED_S = 5.0
"""What was emitted so shortly after subscribing, or before the end, may not have been lost."""

_AFFORDANCE = ["thing", "name", "op"]
_SUBSCRIBER = ["node", "binding", *_AFFORDANCE]
_SOURCE = ["emitter", *_AFFORDANCE]


@attrs.frozen
class EventAges:
    """What became of the emissions that consumers subscribed to.

    Args:
        items: A row for each item that was delivered: the consumer's `node`, `binding`, `thing`, `name`,
            `op`, `s` (its arrival), `emitted` (both in seconds since T0), `phase_no` (of the emission), and
            `ms`, its age; the last three are null where the emission is not known.
        lost: A row for each emission that a subscriber did not get, with the same names, `emitted` and
            `phase_no`.
        error_s: By how much the clocks of two machines may differ at most; 0 on one machine.
    """

    items: pl.DataFrame
    lost: pl.DataFrame
    error_s: float


@once_a_run
def event_ages(run: RunData) -> EventAges:
    """Match all items with their emissions."""
    emissions = (
        run.tables["emissions"]
        .filter(pl.col("digest").is_not_null())
        .select("s", "phase_no", "digest", *_AFFORDANCE, emitter="node")
        .collect(engine="streaming")
    )
    consumed = notifications(run).filter(pl.col("role") == "consumer")
    texts = (pl.col(name).cast(pl.String) for name in ("stage", "peer", *_SUBSCRIBER))
    rows = consumed.select("s", "digest", *texts)
    items = rows.filter(pl.col("stage") == "next").drop("stage")
    stages = rows.filter(pl.col("stage") != "next").drop("digest", "peer")
    error_s = clock_error_s(run)
    found = matched(items, emissions, stages, error_s)
    columns = [*_SUBSCRIBER, "s", "emitted", "phase_no"]
    aged = found.select(*columns, ms=(pl.col("s") - pl.col("emitted")) * 1000)
    return EventAges(aged, lost_emissions(found, emissions, stages, run.axis.end_s), error_s)


def clock_error_s(run: RunData) -> float:
    """By how much the clocks of two machines of the run may differ at most."""
    worst = run.tables["host"].group_by("host").agg(pl.col("clock_error").max()).collect()["clock_error"]
    return 0.0 if worst.len() <= 1 else float(worst.sort(descending=True).head(2).sum())


def matched(
    items: pl.DataFrame, emissions: pl.DataFrame, stages: pl.DataFrame, error_s: float
) -> pl.DataFrame:
    """The items with the emission of each.

    Args:
        items: `s`, `digest`, `peer`, and the subscriber's `node`, `binding`, `thing`, `name` and `op`.
        emissions: `s`, `phase_no`, `digest`, `emitter`, `thing`, `name`, `op`.
        stages: When subscriptions began and ended: `s`, `stage`, and the subscriber.
        error_s: By how much earlier than its emission an item may seem to come.

    Returns:
        Each item's row with `emitter`, `number` (the emission's, of all of this emitter's affordance),
        `emitted` and `phase_no`; null where they are not known.
    """
    numbered = _numbered(emissions)
    by_payload = _last_with_payload(_with_emitter(items, emissions), numbered, stages, error_s)
    certain = pl.col("number").is_not_null() & (
        pl.col("before").is_null() | (pl.col("s") - pl.col("before") > REPEAT_S)
    )
    known = by_payload.with_columns(
        pl.when(certain).then("number"), place=pl.int_range(pl.len()).over([*_SUBSCRIBER, "emitter"])
    )
    shift = pl.col("number") - pl.col("place")
    over = [*_SUBSCRIBER, "emitter"]
    ahead, behind = shift.forward_fill().over(over), shift.backward_fill().over(over)
    guessed = known.with_columns(guess=pl.when(ahead == behind).then(pl.col("place") + ahead))
    placed = guessed.join(
        numbered.select(*_SOURCE, guess="number", guessed_digest="digest", guessed_s="s"),
        on=[*_SOURCE, "guess"],
        how="left",
    )
    fits = (pl.col("guessed_digest") == pl.col("digest")) & (pl.col("guessed_s") <= pl.col("s") + error_s)
    numbers = placed.with_columns(number=pl.coalesce("number", pl.when(fits).then("guess")))
    facts = numbered.select(*_SOURCE, "number", "phase_no", emitted="s")
    columns = [*_SUBSCRIBER, "s", "emitter", "number", "emitted", "phase_no"]
    return numbers.join(facts, on=[*_SOURCE, "number"], how="left").select(columns).sort("s")


def lost_emissions(
    found: pl.DataFrame, emissions: pl.DataFrame, stages: pl.DataFrame, end_s: float
) -> pl.DataFrame:
    """The emissions that a subscriber should have got and did not.

    An emission counts while a subscription is open, from the first one that it delivered; one that delivered
    nothing counts from `SETTLED_S` after it began. The last `SETTLED_S` before its end count only where a
    later emission was delivered.

    Args:
        found: What `matched` returned.
        emissions, stages: As `matched` takes them.
        end_s: When the run ends, in seconds since T0.

    Returns:
        The subscriber, `emitter`, `number`, `emitted` and `phase_no`. As many of a subscriber's are left out
        as it has items whose emission is not known.
    """
    state = stages.sort("s").with_columns(
        open=pl.when(pl.col("stage") == "subscribe").then(1).otherwise(-1).cum_sum().over(_SUBSCRIBER),
        since=pl.when(pl.col("stage") == "subscribe").then("s").forward_fill().over(_SUBSCRIBER),
    )
    ends = state.filter(pl.col("open") <= 0).select(*_SUBSCRIBER, "s", until="s")
    wanted = (
        _numbered(emissions)
        .join(state.select(_SUBSCRIBER).unique(), on=_AFFORDANCE)
        .pipe(_asof, state.select(*_SUBSCRIBER, "s", "open", "since"), _SUBSCRIBER)
        .filter(pl.col("open") > 0)
        .pipe(_asof, ends, _SUBSCRIBER, "forward")
    )
    key = [*_SUBSCRIBER, "emitter", "number"]
    got = found.filter(pl.col("number").is_not_null()).select(key).unique().with_columns(got=True)
    life = [*_SUBSCRIBER, "since"]
    first = pl.when("got").then("s").min().over(life)
    last = pl.when("got").then("s").max().over(life)
    is_wanted = pl.coalesce(first, pl.col("since") + SETTLED_S) <= pl.col("s")
    is_over = (pl.col("s") < last) | (pl.col("s") < pl.coalesce("until", pl.lit(end_s)) - SETTLED_S)
    missing = (
        wanted.join(got, on=key, how="left")
        .filter(is_wanted & (is_over.fill_null(False)) & pl.col("got").is_null())
        .select(*_SUBSCRIBER, "emitter", "number", "phase_no", emitted="s")
    )
    unknown = found.filter(pl.col("number").is_null()).group_by(_SUBSCRIBER).agg(unknown=pl.len())
    rank = pl.int_range(pl.len()).over(_SUBSCRIBER)
    return (
        missing.join(unknown, on=_SUBSCRIBER, how="left")
        .filter(rank >= pl.col("unknown").fill_null(0))
        .drop("unknown")
        .sort("emitted", *_SUBSCRIBER)
    )


def age_totals(run: RunData) -> pl.DataFrame:
    """A row for each subscriber and phase.

    Returns:
        `node`, `thing`, `name`, `op`, `binding`, `phase_no` (-1 before T0, null where an item's emission is
        not known); `items`, `lost`, `unknown`, counts; and `p50`, `p95`, `p99` and `max` of the ages in ms.
    """
    ages = event_ages(run)
    key = [*_SUBSCRIBER, "phase_no"]
    ms = pl.col("ms")
    delivered = ages.items.group_by(key).agg(
        items=pl.len(),
        unknown=ms.is_null().sum(),
        **{name: nearest_rank(ms, SHARES[name]) for name in ("p50", "p95", "p99")},
        max=ms.max(),
    )
    lost = ages.lost.group_by(key).agg(lost=pl.len())
    both = delivered.join(lost, on=key, how="full", coalesce=True, nulls_equal=True)
    return both.with_columns(pl.col("items", "lost", "unknown").fill_null(0)).sort(key)


def _numbered(emissions: pl.DataFrame) -> pl.DataFrame:
    """In order, with each emission's `number`, and `before`: when its payload was emitted last before it."""
    return emissions.sort("s", maintain_order=True).with_columns(
        number=pl.int_range(pl.len()).over(_SOURCE),
        before=pl.col("s").shift(1).over([*_SOURCE, "digest"]),
    )


def _with_emitter(items: pl.DataFrame, emissions: pl.DataFrame) -> pl.DataFrame:
    """Add the replica that emits the item's affordance: the peer, or the only one that there is."""
    emitters = emissions.group_by(_AFFORDANCE).agg(pl.col("emitter").unique())
    only = pl.when(pl.col("emitter").list.len() == 1).then(pl.col("emitter").list.first())
    peer = pl.when(pl.col("emitter").list.contains(pl.col("peer"))).then("peer")
    return items.join(emitters, on=_AFFORDANCE, how="left").with_columns(emitter=pl.coalesce(only, peer))


def _last_with_payload(
    items: pl.DataFrame, numbered: pl.DataFrame, stages: pl.DataFrame, error_s: float
) -> pl.DataFrame:
    """Add the last emission of each item's payload, if it is not older than the subscription."""
    begun = stages.filter(pl.col("stage") == "subscribe").select(*_SUBSCRIBER, "s", since="s")
    emitted = numbered.select(*_SOURCE, "digest", "number", "before", "s", emitted="s")
    late = items.with_columns(pl.col("s") + error_s)  # clocks may differ by so much
    joined = late.pipe(_asof, emitted, [*_SOURCE, "digest"]).pipe(_asof, begun, _SUBSCRIBER)
    is_older = pl.col("emitted") < pl.col("since") - error_s  # a CoAP server repeats its last event first
    return joined.with_columns(
        pl.col("s") - error_s, number=pl.when(is_older.not_() | pl.col("since").is_null()).then("number")
    ).drop("emitted", "since")


def _asof(
    frame: pl.DataFrame,
    others: pl.DataFrame,
    by: list[str],
    strategy: Literal["backward", "forward"] = "backward",
) -> pl.DataFrame:
    """Each row with the last (``forward``: the next) of `others` at or before its `s`."""
    # Polars can't check that groups are sorted, and says so each time.
    return frame.sort("s", maintain_order=True).join_asof(
        others.sort("s", maintain_order=True), on="s", by=by, strategy=strategy, check_sortedness=False
    )
