"""The run in sentences: what broke and when it was well again, and the worst that nodes went through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs
import polars as pl

from wotemu.wording import counted
from wotemu_report.axis import PhaseSpan
from wotemu_report.formats import first_few, instant, milliseconds, seconds
from wotemu_report.queries.availability import (
    by_node_and_phase,
    in_trouble,
    never_answered,
    never_started_asking,
)
from wotemu_report.queries.node_groups import group, group_of
from wotemu_report.queries.once_a_run import once_a_run
from wotemu_report.queries.outages_seen import durations_by_phase, outages_seen, silences
from wotemu_report.queries.recovery import LATENCY_FACTOR, LEAST_ROOM_MS, WINDOW_S, recovery_by_node
from wotemu_report.recorded.run_data import RunData

_MAX_SENTENCES = 8
_MAX_NAMED = 3
_VERBS = {"readproperty": "read", "writeproperty": "write", "invokeaction": "invoke actions"}
_NOUNS = {"readproperty": "reads", "writeproperty": "writes", "invokeaction": "invocations"}


def broken_sentences(run: RunData) -> list[str]:
    """A sentence for each disturbance: when, what, and who was well again after how long.

    Of many, those with the longest recovery are named, in order of time.
    """
    rows = recovery_by_node(run).with_columns(group=group(run, "owner"))
    disturbed = rows.group_by("s", "what", maintain_order=True)
    lost = (pl.col("state") == "not recovered").sum()
    worst_first = disturbed.agg(lost=lost, took=pl.col("took_s").max().fill_null(0.0)).sort(
        "lost", "took", descending=True, maintain_order=True
    )
    named = set(worst_first.select("s", "what").head(_MAX_SENTENCES).iter_rows())
    sentences = [
        _disturbance(run, float(str(key[0])), str(key[1]), each) for key, each in disturbed if key in named
    ]
    more = worst_first.height - len(sentences)
    if more > 0:
        sentences.append(f"And {counted(more, 'more disturbance')}, over sooner: see Recovery.")
    return sentences


def _disturbance(run: RunData, at_s: float, what: str, rows: pl.DataFrame) -> str:
    begins = f"At {_at(run, at_s)}: {what}"
    affected = rows.filter(pl.col("state").is_in(["recovered", "not recovered"]))
    parts = [_recovered(row) for row in _by_group(affected)]
    if (
        unaffected := rows.filter(pl.col("state") == "unaffected")["group"]
        .unique(maintain_order=True)
        .to_list()
    ):
        stayed = [name for name in unaffected if name not in set(affected["group"])]
        if stayed:
            parts.append(f"{first_few(stayed, _MAX_NAMED)} not affected")
    return f"{begins} — {'; '.join(parts)}." if parts else f"{begins}."


def _by_group(affected: pl.DataFrame) -> Iterator[dict[str, Any]]:
    grouped = affected.group_by("group", maintain_order=True).agg(
        nodes=pl.len(),
        lost=(pl.col("state") == "not recovered").sum(),
        took=pl.col("took_s").max(),
    )
    yield from grouped.iter_rows(named=True)


def _recovered(row: dict[str, Any]) -> str:
    if row["lost"]:
        if row["nodes"] > 1:
            return f"{counted(row['lost'], 'node')} of {row['group']} not well again to the end"
        return f"{row['group']} not well again to the end"
    return f"{row['group']} well again {seconds(row['took'])} later (to within {WINDOW_S:g} s)"


@attrs.frozen
class _Told:
    """A sentence, and how bad it is: in seconds."""

    weight: float
    text: str


def worst_sentences(run: RunData) -> list[str]:
    """The worst that nodes went through, the worst first; and which had no trouble."""
    told = [*_outages(run), *_silences(run), *_slow(run)]
    ordered = [each.text for each in sorted(told, key=lambda each: -each.weight)]
    return [*ordered[:_MAX_SENTENCES], *_and_more(len(ordered), "observation"), *_fine(run)]


def _outages(run: RunData) -> Iterator[_Told]:
    for row in outages_seen(run).iter_rows(named=True):
        verb = _VERBS.get(row["op"], row["op"])
        who = _who(run, row["group"], row["nodes"])
        lasts = f"for {'up to ' if row['nodes'] > 1 else ''}{seconds(row['lasts'])}"
        yield _Told(1000 + row["lasts"], f"{who} could not {verb} {lasts} {_while(run, row)}.")


def _silences(run: RunData) -> Iterator[_Told]:
    for row in silences(run).iter_rows(named=True):
        who = _who(run, row["group"], row["nodes"])
        lasts = f"for {'up to ' if row['nodes'] > 1 else ''}{seconds(row['lasts'])}"
        yield _Told(500 + row["lasts"], f"{who} got no “{row['name']}” {lasts} {_while(run, row)}.")


def _slow(run: RunData) -> Iterator[_Told]:
    """Phases in which requests took longer than in the first phase with any."""
    for _, rows in durations_by_phase(run).group_by("group", "op", maintain_order=True):
        first, *later = rows.iter_rows(named=True)
        for row in later:
            before = first["p95"]
            if row["p95"] > max(before * LATENCY_FACTOR, before + LEAST_ROOM_MS):
                noun = _NOUNS.get(row["op"], row["op"])
                yield _Told(
                    row["most"] / 1000,
                    f"{noun.capitalize()} by {row['group']} took up to {milliseconds(row['most'])} during "
                    f"{_quoted(row['phase'])} (p95 {milliseconds(row['p95'])}, {milliseconds(before)} in "
                    f"{_quoted(first['phase'])}).",
                )


def _fine(run: RunData) -> list[str]:
    rows = by_node_and_phase(run).with_columns(group=group(run, "owner"))
    active = rows.filter((pl.col("count") > 0) | (pl.col("waiting") > 0))
    troubled = active.filter(in_trouble())["group"]
    fine = active.filter(~pl.col("group").is_in(troubled.implode()))
    if not fine.height:
        return []
    names = fine["group"].unique(maintain_order=True).to_list()
    verb = "was" if len(names) == 1 else "were"
    slowest = fine.select(pl.col("p95").max()).item()
    who = first_few(names, _MAX_NAMED)
    return [f"{who} {verb} always answered (p95 at most {milliseconds(slowest)} in any phase)."]


def _who(run: RunData, name: str, nodes: int) -> str:
    size = _sizes(run)[name]
    if size <= 1:
        return name
    if nodes == size:
        return f"{name} ({'both' if size == 2 else f'all {size:,}'} nodes)"
    return f"{name} ({nodes:,} of {size:,} nodes)"


@once_a_run
def _sizes(run: RunData) -> Counter[str]:
    """How many replicas each group has."""
    groups = group_of(run)
    return Counter(groups[replica.name] for replica in run.manifest.replicas)


def _while(run: RunData, row: dict[str, Any]) -> str:
    """In which phase a time lies, or from which to which; and when it began and ended."""
    start, stop = row["start"], row["stop"]
    when = f"({_at(run, start)} to {_at(run, stop)})"
    spans = [span for span in run.axis.phases if span.start_s < stop and span.end_s > start]
    if len(run.axis.phases) < 2 or not spans:
        return when
    longest = max(spans, key=lambda span: _overlap(span, start, stop))
    if _overlap(longest, start, stop) >= (stop - start) * 0.6:
        return f"while {_quoted(longest.name)} held {when}"
    return f"from {_quoted(spans[0].name)} into {_quoted(spans[-1].name)} {when}"


def _overlap(span: PhaseSpan, start: float, stop: float) -> float:
    return min(span.end_s, stop) - max(span.start_s, start)


def _at(run: RunData, at_s: float) -> str:
    return instant(at_s, long=run.axis.end_s >= 600) if at_s % 1 or run.axis.end_s >= 600 else f"{at_s:g} s"


def _quoted(name: str) -> str:
    return f"“{name}”"


def _and_more(total: int, noun: str) -> list[str]:
    more = total - _MAX_SENTENCES
    return [f"And {counted(more, 'more ' + noun)}: see the sections below."] if more > 0 else []


def unanswered_sentences(run: RunData) -> list[str]:
    """A sentence for each replica that sent requests, subscribed or waited, and got nothing at all."""
    tried = [
        f"{row['node']}: {_attempts(row)}, never answered"
        + (f"; last error: {row['error']}" if row["error"] else "")
        for row in never_answered(run).iter_rows(named=True)
    ]
    waited = [
        f"{row['node']}: {row['message']}, to the end"
        for row in never_started_asking(run).iter_rows(named=True)
    ]
    return tried + waited


def _attempts(row: dict[str, Any]) -> str:
    parts = [counted(row["asked"], "request")] if row["asked"] else []
    parts += [counted(row["subscribed"], "subscription")] if row["subscribed"] else []
    return " and ".join(parts)
