"""What disturbed a run: changes of the scenario that worsen what holds, and crashes that nobody planned."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import polars as pl

from wotemu.scenario.change_text import blocks_text, clock_text, groups_text, stress_text
from wotemu.scenario.timeline import OF_NODES, Change
from wotemu_gateways.conditions.partition import group_of, is_separated, partition_of
from wotemu_report.formats import first_few
from wotemu_report.queries.event_rows import crashes
from wotemu_report.queries.once_a_run import once_a_run
from wotemu_report.recorded.run_data import RunData

STEPS_APART_S = 5.0
"""Changes of one target that are closer than that are steps of one disturbance, such as a ramp."""
_TOGETHER_S = 1.0
"""Disturbances of several targets that begin this close to each other are one."""
_WORSE_IF_MORE = {
    "latency_s": "latency", "jitter_s": "jitter", "loss": "loss", "corrupt": "corrupt",
    "duplicate": "duplicate", "reorder": "reorder",
}  # fmt: skip
_MAX_NAMED = 3
_CRASHED = " crashed"
_ANY_OTHER = ""
"""Stands for the replicas that no group of a partition has."""
_SCHEMA = {"s": pl.Float64(), "until": pl.Float64(), "what": pl.String()}


@attrs.define
class _Span:
    start_s: float
    until_s: float
    what: str


@once_a_run  # recoveries and objectives read it
def disturbances(run: RunData) -> pl.DataFrame:
    """A row for each disturbance, in order of time.

    A disturbance is a change that worsens conditions (more delay, jitter, loss, corruption, duplication or
    reordering, or a lower rate), a partition, a cut, an app that is stopped, a node that is paused, or a
    crash. A change that could not be applied is none. Changes of one target less than 5 s apart are one, and
    so are those that begin within a second.

    Returns:
        `s` and `until`, when its first and last change was due, in seconds since T0; `what`, in words.
    """
    spans = _together(sorted(_by_target(run), key=lambda span: span.start_s))
    rows = [(span.start_s, span.until_s, span.what) for span in spans]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _instants(run: RunData) -> Iterator[tuple[float, str, str]]:
    """Each change for the worse: when it was due, its target, and what it does."""
    failed = run.tables["changes"].filter(~pl.col("ok")).select("id").collect()["id"]
    refused = frozenset(failed.to_list())
    for change in run.timeline.changes:
        if change.id not in refused and (what := worsening(change)):
            owner = change.node if change.action in (*OF_NODES, "cut", "disconnect") else change.target
            yield change.at_s, str(owner), what
    for at_s, replica in crashes(run).select("s", "replica").iter_rows():
        yield at_s, replica, f"{replica}{_CRASHED}"


def _by_target(run: RunData) -> list[_Span]:
    last: dict[str, _Span] = {}
    spans: list[_Span] = []
    for at_s, target, what in sorted(_instants(run)):
        if not 0 <= at_s <= run.axis.end_s:
            continue
        span = last.get(target)
        if span is not None and at_s - span.until_s < STEPS_APART_S:
            span.until_s = at_s
            if what.endswith(_CRASHED):  # a crash begins as a cut, and says more than it
                span.what = what
        else:
            last[target] = _Span(at_s, at_s, what)
            spans.append(last[target])
    return spans


def _together(spans: list[_Span]) -> Iterator[_Span]:
    """Spans, in order of their starts, with those that begin together made one."""
    group: list[_Span] = []
    for span in spans:
        if group and span.start_s - group[0].start_s > _TOGETHER_S:
            yield _one(group)
            group = []
        group.append(span)
    if group:
        yield _one(group)


def _one(group: list[_Span]) -> _Span:
    return _Span(group[0].start_s, max(span.until_s for span in group), _all(span.what for span in group))


def _all(whats: Iterable[str]) -> str:
    """Several in words: targets of which the same is said are named together."""
    targets: dict[str, list[str]] = {}
    for what in whats:
        target, _, said = what.partition(": ")
        targets.setdefault(said, []).append(target)
    (said, first), *others = targets.items()
    words = first_few(_places(first), _MAX_NAMED) + (f": {said}" if said else "")
    return f"{words}, and {sum(len(each) for _, each in others)} more" if others else words


def _places(targets: Sequence[str]) -> list[str]:
    """Targets without their direction where both of a link are among them."""
    links = {target.removesuffix(" up") for target in targets if target.endswith(" up")}
    both = {link for link in links if f"{link} down" in targets}
    named = (link if (link := target.rpartition(" ")[0]) in both else target for target in targets)
    return list(dict.fromkeys(named))


def worsening(change: Change) -> str:
    """How a change worsens what held before, in words; "" where it does not."""
    match change.action:
        case "conditions":
            worse = list(_worse(_mapping(change.before), _mapping(change.after)))
            return f"{change.target}: worse {', '.join(worse)}" if worse else ""
        case "partition":
            cuts = _cuts_more(change.before or (), change.after or ())
            return f"{change.network}: cut {groups_text(change.after)}" if cuts else ""
        case "block":
            more = [each for each in change.after or () if each not in (change.before or ())]
            return f"{change.network}: blocked {blocks_text(more)}" if more else ""
        case "cut":
            return f"{change.node} cut off from {change.network}" if change.after else ""
        case "app":
            return f"{change.node} {change.after}" if change.after != "running" else ""
        case "disconnect":
            return f"{change.node} unplugged from {change.network}" if change.after else ""
        case "limit":
            return _tighter(change)
        case "stress":
            return _more_stress(change)
        case "fill_disk":
            is_full = _mapping(change.after).get("leave_bytes") is not None
            return f"{change.node}: disk full" if is_full else ""
        case "skew_clock":
            by_s = _mapping(change.after).get("by_s")
            return f"{change.node}: {clock_text(by_s)}" if by_s else ""
        case "pause":
            return f"{change.node} paused" if change.after else ""
        case _:  # of a later version
            return ""


def _tighter(change: Change) -> str:
    """What a change of limits takes from a node; "" where it takes nothing."""
    before, after = _mapping(change.before), _mapping(change.after)
    names = {"cpu": "CPU", "mem_bytes": "memory"}
    less = [
        name
        for field, name in names.items()
        if after.get(field) is not None and after[field] < (before.get(field) or math.inf)
    ]
    return f"{change.node} limited: less {' and '.join(less)}" if less else ""


def _more_stress(change: Change) -> str:
    """What a change of stress adds to a node's load; "" where it adds nothing."""
    before, after = _mapping(change.before), _mapping(change.after)
    adds = any((after.get(field) or 0) > (before.get(field) or 0) for field in ("cpu", "mem_bytes"))
    return f"{change.node} {stress_text(after)}" if adds else ""


def _cuts_more(before: Sequence[Sequence[str]], after: Sequence[Sequence[str]]) -> bool:
    """Whether a partition keeps replicas apart that the one before did not: part of it may heal."""
    names = {name for group in (*before, *after) for name in group} | {_ANY_OTHER}
    was, will = partition_of(names, before), partition_of(names, after)
    places = {(group_of(was, name), group_of(will, name)) for name in names}
    return any(
        is_separated(one[1], other[1]) and not is_separated(one[0], other[0])
        for one, other in itertools.combinations(places, 2)
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _worse(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for field, name in _WORSE_IF_MORE.items():
        if float(after.get(field) or 0) > float(before.get(field) or 0):
            yield name
    if after.get("loss_model") and after["loss_model"] != before.get("loss_model"):
        yield "loss in bursts"
    if _rate(after) < _rate(before):
        yield "rate"


def _rate(conditions: Mapping[str, Any]) -> float:
    """Bits a second; infinite where nothing limits it."""
    rate = conditions.get("rate_bps")
    return math.inf if rate is None else float(rate)
