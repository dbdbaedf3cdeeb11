"""How long after each disturbance latency and errors of requests were back in their former band.

Time is divided in windows of 5 s since T0. A window's figures are of the requests that *ended* in it: the
95th percentile of the durations of those that succeeded, and the share of those that failed.

- The former band is what the windows before the disturbance allow: those since the figures were last well,
  60 s of them at most. p95 may be up to 1.5 times their median p95 (or 10 ms more, where that is more),
  errors up to the share of their worst window: zero where there were none.
- A disturbance that comes before the figures are well again belongs to the same trouble: its band is the
  same.
- A window without a request says nothing; but where requests ended in every window before, it is out of the
  band: their apps are silent.
- The figures are back at the start of the first of two windows in a row that are in the band.
- What another disturbance follows within a window is judged by the next whole window, too: what comes of two
  so close to each other can't be told apart.

Times are exact to one window. Objectives judge by the same windows and bands, narrower ones where they allow
little time, and by their own figure in place of p95.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Literal

import attrs
import polars as pl

from wotemu_report.queries.disturbances import disturbances
from wotemu_report.queries.nearest_rank import SHARES
from wotemu_report.queries.once_a_run import once_a_run
from wotemu_report.queries.ranked import ranked
from wotemu_report.queries.ranking import in_order
from wotemu_report.queries.requests import requests
from wotemu_report.recorded.run_data import RunData

WINDOW_S = 5.0
LATENCY_FACTOR = 1.5
LEAST_ROOM_MS = 10.0
"""A band is at least so much wider than the median: half of a short latency is noise."""
_FORMER_S = 60.0
_MAX_PAIRS = 5000

State = Literal["recovered", "unaffected", "not recovered", "no data"]
_RESULT: Mapping[str, pl.DataType] = {
    "limit_ms": pl.Float64(),
    "limit_errors": pl.Float64(),
    "worst_ms": pl.Float64(),
    "worst_errors": pl.Float64(),
    "state": pl.String(),
    "took_s": pl.Float64(),
}
"""The columns that `Recovery` fills."""


@attrs.frozen
class Window:
    """Requests that ended in one window.

    Attributes:
        took_ms: p95 of the durations of those that succeeded, or another figure; None where none did.
        errors: The failed share.
    """

    took_ms: float | None
    errors: float


@attrs.frozen
class Mark:
    """An instant from which on figures are judged, in seconds since T0; `disturbs`: not only asked about."""

    at_s: float
    disturbs: bool = True


@attrs.frozen
class Recovery:
    """What became of one series of requests after a mark.

    Attributes:
        limit_ms, limit_errors: The former band's upper bounds; None without data.
        worst_ms, worst_errors: Of the worst window from the mark until the recovery, or else the next mark.
        state: ``recovered``; ``unaffected``: never out of the band until the next disturbance;
            ``not recovered`` until the run's end; ``no data`` before the disturbance or after it.
        took_s: Seconds from the mark to the recovery: 0 where unaffected, None unless well again.
    """

    state: State
    limit_ms: float | None = None
    limit_errors: float | None = None
    worst_ms: float | None = None
    worst_errors: float | None = None
    took_s: float | None = None

    @property
    def cells(self) -> tuple[float | str | None, ...]:
        """In the order of the table's columns."""
        return (
            self.limit_ms,
            self.limit_errors,
            self.worst_ms,
            self.worst_errors,
            self.state,
            self.took_s,
        )


def recovery(
    run: RunData,
    by: Sequence[str] = (),
    where: pl.Expr | None = None,
    *,
    role: str | None = None,
    window_s: float = WINDOW_S,
) -> pl.DataFrame:
    """How each disturbance went on.

    Args:
        run: The run.
        by: Columns of `requests`, such as `group`, to judge each apart: none, all together.
        where: Which requests.
        role: consumer or producer, as which they were measured; None: consumers', or producers' where no
            consumer was measured.
        window_s: Width of a window, in seconds.

    Returns:
        A row for each disturbance and combination of `by`: `s`, `until` and `what` of the disturbance (see
        `disturbances`); `by`; `limit_ms` and `limit_errors`, the former band's upper bounds; `worst_ms` and
        `worst_errors`, the worst window; `state` (recovered, unaffected, not recovered, no data: see
        `Recovery`); and `took_s`.
    """
    found = disturbances(run)
    marks = [Mark(at_s) for at_s in found["s"]]
    figures = windows(run, by, where, role=role, window_s=window_s)
    series: dict[tuple[object, ...], dict[int, Window]] = {} if by else {(): {}}
    for number, took_ms, errors, *key in figures.select("window", "figure", "errors", *by).iter_rows():
        series.setdefault(tuple(key), {})[number] = Window(took_ms, errors)
    rows = [
        (*found.row(number), *key, *each.cells)
        for key, of_key in series.items()
        for number, each in enumerate(recoveries(of_key, marks, window_s, run.axis.end_s))
    ]
    schema = {**found.schema, **{name: figures.schema[name] for name in by}, **_RESULT}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    ordered = in_order(frame, *by) if by else frame
    return ordered.sort("s", maintain_order=True)


@once_a_run  # the head and its section read it
def recovery_by_node(run: RunData) -> pl.DataFrame:
    """`recovery` by `owner`; of ``all nodes`` where disturbances and nodes make too many pairs."""
    if disturbances(run).height * len(run.manifest.replicas) <= _MAX_PAIRS:
        return recovery(run, by=("owner",))
    return recovery(run).with_columns(owner=pl.lit("all nodes"))


def windows(
    run: RunData,
    by: Sequence[str] = (),
    where: pl.Expr | None = None,
    *,
    role: str | None = None,
    window_s: float = WINDOW_S,
    figure: str = "p95",
    unanswered: float | None = None,
    frame: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The figures that `recovery` judges.

    Args:
        run: The run.
        by, where, role, window_s: See `recovery`.
        figure: A percentile, ``p50`` to ``p999``, or ``mean``: of the durations of those that succeeded.
        unanswered: What counts as the duration of those that failed; None: they do not count.
        frame: In place of `requests`, such as `requests_on_wire`.

    Returns:
        `window`, its number since T0; `by`; `count`, requests that ended in it; `errors`, the failed share of
        them; and `figure`, in ms.
    """
    frame = requests(run) if frame is None else frame
    chosen = pl.col("ok") | pl.col("failed")
    if where is not None:
        chosen &= where
    if role is None:
        measured = frame.select((chosen & (pl.col("role") == "consumer")).any()).item()
        role = "consumer" if measured else "producer"
    ended = pl.col("s") + pl.col("ms").fill_null(0.0) / 1000.0
    slim = (
        frame.lazy()
        .filter(chosen, pl.col("role") == role, ended >= 0, ended <= run.axis.end_s)
        .select(*by, window=(ended / window_s).floor().cast(pl.Int64), took=pl.when("ok").then("ms"))
        .collect()
    )
    took, key = pl.col("took"), ["window", *by]
    share = SHARES["p50" if figure == "mean" else figure]
    found = ranked(slim, key, {"figure": share}, took=took, unanswered=unanswered).sort(*key)
    if figure == "mean":
        means = (
            slim.group_by(key)
            .agg(figure=took.mean())
            .with_columns(pl.selectors.categorical().cast(pl.String))
        )
        found = found.drop("figure").join(means, on=key, how="left", maintain_order="left")
    return found.with_columns(errors=pl.col("failed") / pl.col("count")).drop("failed")


def recoveries(
    figures: Mapping[int, Window], marks: Sequence[Mark], window_s: float, end_s: float
) -> list[Recovery]:
    """What became of a series of requests after each mark.

    Args:
        figures: Its windows by number; those without a request are absent.
        marks: The instants, in any order.
        window_s: Width of a window, in seconds.
        end_s: When the run ended, in seconds since T0.

    Returns:
        A value for each of `marks`, in their order.
    """
    series = _Series(figures, window_s, max(1, math.ceil(end_s / window_s - 1e-9)))
    order = sorted(range(len(marks)), key=lambda number: (marks[number].at_s, marks[number].disturbs))
    starts = sorted({mark.at_s for mark in marks if mark.disturbs})
    found = dict(zip(order, series.judged([marks[number] for number in order], starts), strict=True))
    return [found[number] for number in range(len(marks))]


@attrs.frozen
class _Band:
    limit_ms: float
    limit_errors: float
    is_steady: bool
    """Whether requests ended in every former window, so that none is a sign of trouble."""

    def holds(self, window: Window | None) -> bool | None:
        """Whether a window is in the band; None where it says nothing."""
        if window is None:
            return False if self.is_steady else None
        latency = window.took_ms is None or window.took_ms <= self.limit_ms
        # All failed: there is no duration, and the errors are out unless they all failed before, too.
        return latency and window.errors <= self.limit_errors


@attrs.define
class _Series:
    figures: Mapping[int, Window]
    window_s: float
    count: int

    def judged(self, marks: Iterable[Mark], starts: Sequence[float]) -> Iterator[Recovery]:
        """A recovery for each mark, in order of time; `starts` are those that disturb."""
        band: _Band | None = None
        well_from: int | None = 0
        upcoming = itertools.chain(starts, itertools.repeat(math.inf))
        following = next(upcoming)
        for mark in marks:
            while following <= mark.at_s:
                following = next(upcoming)
            first = self._number(mark.at_s)
            is_same_trouble = band is not None and (well_from is None or well_from > first)
            if not is_same_trouble:  # where it was well only now, the band stays
                band = self._band(well_from or 0, first) or band
            if band is None or first >= self.count:
                yield Recovery("no data")
                continue
            first_whole = math.ceil(mark.at_s / self.window_s - 1e-9)
            horizon = min(self.count, max(first_whole + 1, self._number(following)))
            affected = first if is_same_trouble else self._out_of_band(band, first, horizon)
            if affected is None:
                yield self._unaffected(band, first, horizon)
                continue
            if not is_same_trouble:
                well_from = self._back(band, affected)
            yield self._result(band, mark, first, well_from)

    def _number(self, at_s: float) -> int:
        """The window that holds an instant."""
        return self.count if at_s == math.inf else int(at_s / self.window_s + 1e-9)

    def _band(self, since: int, first: int) -> _Band | None:
        begin = max(since, first - int(_FORMER_S / self.window_s))
        former = [self.figures.get(number) for number in range(begin, first)]
        known = [each for each in former if each is not None]
        latencies = [each.took_ms for each in known if each.took_ms is not None]
        if not latencies:
            return None
        usual = median(latencies)
        limit_ms = max(usual * LATENCY_FACTOR, usual + LEAST_ROOM_MS)
        return _Band(limit_ms, max(each.errors for each in known), len(known) == len(former))

    def _out_of_band(self, band: _Band, first: int, horizon: int) -> int | None:
        out = (number for number in range(first, horizon) if band.holds(self.figures.get(number)) is False)
        return next(out, None)

    def _back(self, band: _Band, affected: int) -> int | None:
        candidate = None
        for number in range(affected, self.count):
            match band.holds(self.figures.get(number)):
                case False:
                    candidate = None
                case True if candidate is not None:
                    return candidate
                case True:
                    candidate = number
        return candidate

    def _unaffected(self, band: _Band, first: int, horizon: int) -> Recovery:
        if not any(number in self.figures for number in range(first, horizon)):
            return Recovery("no data", band.limit_ms, band.limit_errors)
        return Recovery("unaffected", band.limit_ms, band.limit_errors, *self._worst(first, horizon), 0.0)

    def _result(self, band: _Band, mark: Mark, first: int, well_from: int | None) -> Recovery:
        until = self.count if well_from is None else well_from
        worst = self._worst(first, max(until, first + 1))
        if well_from is None:
            return Recovery("not recovered", band.limit_ms, band.limit_errors, *worst)
        took_s = max(0.0, well_from * self.window_s - mark.at_s)
        return Recovery("recovered", band.limit_ms, band.limit_errors, *worst, took_s)

    def _worst(self, first: int, until: int) -> tuple[float | None, float | None]:
        seen = [window for number in range(first, until) if (window := self.figures.get(number)) is not None]
        return (
            max((each.took_ms for each in seen if each.took_ms is not None), default=None),
            max((each.errors for each in seen), default=None),
        )
