"""A run as OpenMetrics text: samples over time of nodes, hops and requests, and percentiles by phase.

Every sample has a timestamp, so that Prometheus takes it: ``promtool tsdb create-blocks-from openmetrics``.
See https://prometheus.io/docs/specs/om/open_metrics_spec/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import attrs
import polars as pl

from wotemu.errors import InputError
from wotemu.records import FAILED, OK
from wotemu.scenario.timeline import Timeline
from wotemu_report.queries.nearest_rank import SHARES, nearest_rank
from wotemu_report.recorded.manifest import Manifest

Tables = Callable[[str], pl.LazyFrame]
"""A table of the run by name, with `s`, `phase` and `group`."""
_REQUEST = ("group", "role", "name", "op", "binding")
_HOP = ("network", "node", "group", "direction")
_DROPS = ("loss", "queue", "cut", "memory")


@attrs.frozen(eq=False)
class Family:
    """A metric family: samples of one name, type and unit.

    Attributes:
        name: Without the suffix of its samples; it ends in the unit, where it has one.
        samples: `labels`; `suffix` of the sample's name, such as ``_total``; `t` in epoch seconds; `value`.
            Other columns are ignored.
        labels: The columns that are labels; where one is null, the sample does not have it.
    """

    name: str
    kind: Literal["gauge", "counter", "summary", "info"]
    unit: str
    help: str
    samples: pl.LazyFrame
    labels: Sequence[str]


def write_openmetrics(tables: Tables, manifest: Manifest, timeline: Timeline, path: Path) -> None:
    """Write a run as OpenMetrics text.

    Args:
        tables: Gives each table.
        manifest: The run's.
        timeline: The run's, for its phases.
        path: The file.

    Raises:
        InputError: A table is damaged, or the file can't be written.
    """
    try:
        with path.open("wb") as file:
            for family in families(tables, manifest, timeline):
                rows = lines(family)
                if rows.height:
                    file.write(_metadata(family).encode())
                    rows.write_csv(file, include_header=False, quote_style="never")
            file.write(b"# EOF\n")
    except pl.exceptions.PolarsError as error:
        raise InputError(f"a table can't be read: {error}", where="--format openmetrics") from error
    except OSError as error:
        raise InputError(f"it can't be written: {error.strerror or error}", where=str(path)) from error


def families(tables: Tables, manifest: Manifest, timeline: Timeline) -> Iterator[Family]:
    """Every metric family of a run."""
    yield _run(manifest)
    yield _phases(manifest, timeline)
    yield from _nodes(tables("system"))
    yield _of_apps(tables("app"))
    yield from _hops(tables("hops"))
    yield from _requests(tables("interactions").filter(pl.col("stage") == "request"))


def lines(family: Family) -> pl.DataFrame:
    """The samples as text, in one column; each series together, in the order of time, each instant once."""
    key = [*family.labels, "suffix", "t"]
    # Summaries keep count, sum and quantiles of one series together: suffixes come after the series' labels.
    texts = pl.concat_str(
        pl.lit(f"wotemu_{family.name}") + pl.col("suffix"),
        pl.lit("{"),
        pl.concat_str(*(_label(name) for name in family.labels)).str.strip_suffix(","),
        pl.lit("} "),
        pl.col("value").cast(pl.Float64).cast(pl.String).replace({"inf": "+Inf", "-inf": "-Inf"}),
        pl.lit(" "),
        pl.col("t").cast(pl.String),
    )
    known = family.samples.filter(pl.col("value").is_not_null()).unique(key, keep="last").sort(key)
    return known.select(line=texts).collect(engine="streaming")


def _label(name: str) -> pl.Expr:
    text = (
        pl.col(name)
        .cast(pl.String)
        .str.replace_all("\\", "\\\\", literal=True)
        .str.replace_all('"', '\\"', literal=True)
        .str.replace_all("\n", "\\n", literal=True)
        .str.replace_all("\r", " ", literal=True)  # a line must not be broken by any reader
    )
    return (
        pl.when(pl.col(name).is_null()).then(pl.lit("")).otherwise(pl.lit(f'{name}="') + text + pl.lit('",'))
    )


def _metadata(family: Family) -> str:
    name = f"wotemu_{family.name}"
    unit = f"# UNIT {name} {family.unit}\n" if family.unit else ""
    return f"# TYPE {name} {family.kind}\n{unit}# HELP {name} {family.help}\n"


def _run(manifest: Manifest) -> Family:
    labels: Mapping[str, str] = {
        "name": manifest.name,
        "status": manifest.status,
        "verdict": manifest.certificate.verdict if manifest.certificate else "",
        "engine": manifest.engine,
        "shaper": manifest.shaper,
        "seed": str(manifest.seed),
        "timeline": manifest.timeline_hash,
        "version": manifest.wotemu_version,
    }
    at = manifest.ended or manifest.t0 or manifest.started or 0.0
    samples = pl.LazyFrame({**{key: [text] for key, text in labels.items()}, "suffix": "_info", "t": at})
    text = "The run, its certificate's verdict, and how it was made."
    return Family("run", "info", "", text, samples.with_columns(value=1.0), list(labels))


def _phases(manifest: Manifest, timeline: Timeline) -> Family:
    t0 = manifest.t0
    starts = [] if t0 is None else [t0 + phase.start_s for phase in timeline.phases]
    ends = [*starts[1:], *([] if t0 is None else [t0 + timeline.duration_s])]
    rows = [
        (phase.name, "", at, value)
        for phase, start, end in zip(timeline.phases, starts, ends, strict=False)
        for at, value in ((start, 1.0), (end, 0.0))
    ]
    schema = {"phase": pl.String, "suffix": pl.String, "t": pl.Float64, "value": pl.Float64}
    samples = pl.LazyFrame(rows, schema=schema, orient="row")
    return Family("phase", "gauge", "", "1 from a phase's start, 0 from its end.", samples, ["phase"])


def _nodes(system: pl.LazyFrame) -> Iterator[Family]:
    for name, unit, text, value in (
        ("node_cpu_ratio", "ratio", "CPU time of a node's app; 1 is one core.", pl.col("cpu_percent") / 100),
        ("node_memory_bytes", "bytes", "Resident memory of a node's app.", pl.col("mem_bytes")),
    ):
        samples = system.with_columns(value=value, suffix=pl.lit(""))
        yield Family(name, "gauge", unit, text, samples, ["node", "group"])


def _of_apps(app: pl.LazyFrame) -> Family:
    samples = app.with_columns(suffix=pl.lit(""))
    return Family(
        "app_value", "gauge", "", "A number that an app reported.", samples, ["node", "group", "key"]
    )


def _hops(hops: pl.LazyFrame) -> Iterator[Family]:
    real = hops.filter(pl.col("direction") != "shared")
    for name, unit, text, column in (
        ("hop_sent_packets", "packets", "Packets that left a hop.", "sent"),
        ("hop_sent_bytes", "bytes", "Bytes that left a hop.", "sent_bytes"),
    ):
        yield Family(name, "counter", unit, text, _counted(real, _HOP, column), _HOP)
    causes = [
        real.select(*_HOP, "t", cause=pl.lit(cause), count=pl.col(f"dropped_{cause}")) for cause in _DROPS
    ]
    key = (*_HOP, "cause")
    text = "Packets that a hop dropped, by cause."
    dropped = _counted(pl.concat(causes), key, "count")
    yield Family("hop_dropped_packets", "counter", "packets", text, dropped, key)


def _counted(rows: pl.LazyFrame, key: Sequence[str], column: str) -> pl.LazyFrame:
    """The running total of a column, for each series."""
    total = pl.col(column).cast(pl.Int64).fill_null(0).cum_sum().over(key)
    return rows.sort(*key, "t").with_columns(value=total, suffix=pl.lit("_total"))


def _requests(asked: pl.LazyFrame) -> Iterator[Family]:
    key = (*_REQUEST, "status")
    seconds = asked.group_by(*key, t=pl.col("t").floor() + 1.0).agg(count=pl.len())
    text = "Requests, by how they ended; in the second in which they began."
    yield Family("requests", "counter", "", text, _counted(seconds, key, "count"), key)
    text = "Durations of requests that were answered, by phase; a consumer's include the network."
    labels = ("phase", *_REQUEST, "quantile")
    yield Family("request_duration_seconds", "summary", "seconds", text, _durations(asked), labels)


def _durations(asked: pl.LazyFrame) -> pl.LazyFrame:
    """Samples of a summary: a quantile each, the sum and the count."""
    key = ("phase", *_REQUEST)
    took = pl.col("duration").filter(pl.col("status") == OK)
    figures = (
        asked.filter(pl.col("status").is_in([OK, FAILED]))
        .group_by(key)
        .agg(
            pl.col("t").max(),
            **{str(share): nearest_rank(took, share) for share in SHARES.values()},
            _sum=took.sum(),
            _count=took.len(),
        )
    )
    quantile = pl.when(~pl.col("of").str.starts_with("_")).then("of")
    suffix = pl.when(pl.col("of").str.starts_with("_")).then("of").otherwise(pl.lit(""))
    names = [*map(str, SHARES.values()), "_sum", "_count"]
    figures = figures.with_columns(pl.col(names).cast(pl.Float64))
    return figures.unpivot(names, index=[*key, "t"], variable_name="of").with_columns(
        quantile=quantile, suffix=suffix
    )
