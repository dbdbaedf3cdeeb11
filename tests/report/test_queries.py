"""What the queries count, from tables small enough to check by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from wotemu.percentiles import RELATIVE_ERROR, Histogram
from wotemu.records import Change, Flow, GatewayLoad, Hop, Interaction, Record
from wotemu_report.queries.change_lateness import change_results, lateness, worst_changes
from wotemu_report.queries.event_rows import event_ticks, most_important
from wotemu_report.queries.flow_traffic import network_rates, node_pairs
from wotemu_report.queries.gateway_load import gateway_totals, gateways_over_time
from wotemu_report.queries.hop_counters import drops_over_time, hop_totals
from wotemu_report.queries.nearest_rank import BOX_SHARES
from wotemu_report.queries.phase_totals import phase_totals
from wotemu_report.queries.ranking import fold, in_order, with_series
from wotemu_report.queries.request_series import boxes_by_phase, outcomes_over_time, quantiles_over_time
from wotemu_report.queries.requests import (
    SUBJECT,
    distinct_errors,
    error_share,
    request_figures,
    requests,
)
from wotemu_report.queries.subscriptions import items_over_time, notifications, subscribers
from wotemu_report.queries.time_bins import broken_at_gaps
from wotemu_report.recorded.run_data import RunData

from .synthetic import T0, request, write_table


def item(at: float, stage: str = "next") -> Record:
    return Interaction(
        T0 + at, "reader-3g-1", "consumer", "urn:lamp", "event", "tick", "subscribeevent", stage, "ws",
        None, 4, "ok", "",
    )  # fmt: skip


def requests_by_phase(frame: pl.DataFrame) -> pl.DataFrame:
    key = [*SUBJECT, "role", "binding"]
    found = request_figures(frame, [*key, "phase_no", "phase"]).sort([*key, "phase_no"])
    return found.with_columns(share=error_share())


def loaded(run_dir: Path, table: str, rows: Sequence[Record]) -> RunData:
    write_table(run_dir, table, rows)
    return RunData.load(run_dir)


def test_what_an_app_cancelled_is_no_request_that_failed_or_succeeded(run_dir: Path) -> None:
    hedged = request(3, 9.0, "cancelled", status="cancelled")
    run = loaded(run_dir, "interactions", [request(1, 1.0), request(2, 2.0, "timeout"), hedged])
    (row,) = requests_by_phase(requests(run)).select("count", "errors", "share", "p99").rows()
    assert row == (2, 1, 0.5, 1000.0)
    assert requests(run)["cancelled"].sum() == 1
    assert distinct_errors(requests(run))["error"].to_list() == ["timeout"]


def test_interactions_of_an_older_run_are_read(run_dir: Path) -> None:
    rows = [request(1, 1.0), request(2, 1.0, "OSError: gone"), request(3, 1.0, "cancelled")]
    write_table(run_dir, "interactions", rows)
    path = run_dir / "tables" / "interactions.parquet"
    old = pl.read_parquet(path).with_columns(ok=pl.col("error") == "").drop("status")
    old.write_parquet(path)
    read = RunData.load(run_dir).tables["interactions"].collect()
    assert read["status"].to_list() == ["ok", "failed", "cancelled"]


def test_a_request_counts_in_the_phase_in_which_it_began(run_dir: Path) -> None:
    run = loaded(run_dir, "interactions", [request(14.9, 3.0), request(15.1, 1.0), request(16, 2.0)])
    rows = requests_by_phase(requests(run)).select("phase", "count", "p50").rows()
    assert rows == [("calm", 1, 3000.0), ("fade", 2, 1000.0)]


def test_durations_are_of_requests_that_succeeded(run_dir: Path) -> None:
    run = loaded(
        run_dir, "interactions", [request(1, 0.1), request(2, 0.3), request(3, 30, "TimeoutError: x")]
    )
    row = requests_by_phase(requests(run)).row(0, named=True)
    assert (row["count"], row["errors"], row["share"]) == (3, 1, pytest.approx(1 / 3))
    assert (row["p50"], row["p99"]) == (pytest.approx(100.0), pytest.approx(300.0))


def test_both_ends_of_a_request_are_told_apart(run_dir: Path) -> None:
    run = loaded(
        run_dir, "interactions", [request(1, 0.3), request(1.1, 0.01, node="thing", role="producer")]
    )
    assert requests_by_phase(requests(run)).select("role", "count").rows() == [
        ("consumer", 1),
        ("producer", 1),
    ]


def test_errors_are_listed_by_what_the_app_saw(run_dir: Path) -> None:
    rows = [
        request(31, 5, "TimeoutError: a"),
        request(32, 5, "TimeoutError: a"),
        request(33, 1, "OSError: b"),
    ]
    kinds = distinct_errors(requests(loaded(run_dir, "interactions", rows)))
    assert kinds.select("error", "count", "first", "last").rows() == [
        ("TimeoutError: a", 2, 31.0, 32.0),
        ("OSError: b", 1, 33.0, 33.0),
    ]


def test_errors_that_are_as_frequent_are_always_in_the_same_order(run_dir: Path) -> None:
    bindings = [f"binding-{number}" for number in range(20)]
    rows = [request(31, 1.0, "timeout", binding=binding) for binding in bindings[::-1]]
    kinds = distinct_errors(requests(loaded(run_dir, "interactions", rows)))
    assert kinds["binding"].to_list() == sorted(bindings)


def test_requests_per_second_are_zero_where_nobody_asked(run_dir: Path) -> None:
    run = loaded(run_dir, "interactions", [request(0.1, 0.1), request(0.2, 0.1), request(5, 0.1)])
    rates = outcomes_over_time(run, requests(run).lazy())
    assert rates.height == 60
    assert rates.filter(pl.col("rate") > 0).select("s", "rate").rows() == [(0.0, 2.0), (5.0, 1.0)]


def test_box_plots_have_the_spread_of_each_phase_and_how_many_failed(run_dir: Path) -> None:
    calm = [request(at / 10, at / 1000) for at in range(1, 101)]
    cut = [request(31, 5.0, "timeout"), request(32, 5.0, "timeout")]
    asked = requests(loaded(run_dir, "interactions", [*calm, *cut])).lazy()
    rows, names = boxes_by_phase(asked)
    assert names == ["on readproperty · reader-3g · http"]
    answered, failed = rows.to_dicts()
    assert [answered[name] for name in BOX_SHARES] == pytest.approx([5, 25, 50, 75, 95, 99])
    assert (answered["phase"], answered["count"], answered["errors"]) == ("calm", 100, 0)
    assert (failed["phase"], failed["errors"], failed["p50"]) == ("cut", 2, None)


def test_a_line_breaks_where_no_request_succeeded(run_dir: Path) -> None:
    rows = [request(at, 0.1) for at in range(60) if not 30 <= at < 40]
    run = loaded(run_dir, "interactions", rows)
    asked = with_series(requests(run), "{} · {}", "owner", "binding")
    medians = quantiles_over_time(run.axis, asked)
    assert medians.filter(pl.col("p50").is_null())["s"].to_list() == [34.5]


def test_only_items_of_subscriptions_are_notifications(run_dir: Path) -> None:
    run = loaded(run_dir, "interactions", [item(1, "subscribe"), item(2), item(2.5), item(9, "end")])
    rates, series = items_over_time(run, notifications(run))
    assert series == ["tick · reader-3g · ws"]
    assert rates["count"].sum() == 2


def test_the_longest_silence_includes_the_one_at_the_end(run_dir: Path) -> None:
    run = loaded(run_dir, "interactions", [item(1, "subscribe"), item(2), item(12), item(15)])
    row = subscribers(run, notifications(run)).row(0, named=True)
    assert (row["subscriptions"], row["items"], row["silence"]) == (1, 3, pytest.approx(45.0))


def flow(direction: str, packets: int, size: int, node: str, network: str) -> Record:
    return Flow(T0 + 1, node, network, direction, "tcp", "http", "a", "b", 1, 80, packets, size)


def test_sent_and_delivered_bytes_are_never_added_up(run_dir: Path) -> None:
    run = loaded(run_dir, "flows", [flow("up", 3, 300, "a", "wired"), flow("down", 2, 200, "b", "field")])
    assert node_pairs(run.tables["flows"]).rows() == [("a", "b", 300, 200, 3)]
    rates = network_rates(run, run.tables["flows"]).filter(pl.col("rate") > 0)
    assert rates.select("series", "side", "rate").rows() == [
        ("field", "delivered", 200.0),
        ("wired", "sent", 300.0),
    ]


def test_drops_are_counted_by_reason(run_dir: Path) -> None:
    hop = Hop(T0 + 31.5, "field", "a", "up", "tun", 1, 100, 2, 0, 7, 0, None)
    counts = drops_over_time(loaded(run_dir, "hops", [hop]))
    assert set(counts["series"]) == {"random loss", "cut"}
    assert counts.filter(pl.col("count") > 0).select("s", "series", "count").rows() == [
        (31.0, "cut", 7),
        (31.0, "random loss", 2),
    ]


def test_a_hops_late_p95_is_of_the_packets_of_all_its_seconds(run_dir: Path) -> None:
    """A second with one late packet weighs as much as its packet; the shared rate is no hop."""
    rows = [
        Hop(T0 + second, "field", "a", "up", "tun", 1, 100, 0, 0, 0, 0, 0.1, [bin_of(late_s)], [count])
        for second, late_s, count in ((1, 0.001, 94), (2, 0.1, 3), (3, 0.002, 3))
    ]
    rows.append(Hop(T0 + 4, "field", "", "shared", "tun", 0, 0, 0, 0, 0, 0, None, busy=1.0, served_bytes=9))
    totals = hop_totals(loaded(run_dir, "hops", rows))
    assert totals.select("node", "direction", "sent").rows() == [("a", "up", 3)]
    assert totals["late_p95"].to_list() == [pytest.approx(2.0, rel=RELATIVE_ERROR)]


def bin_of(duration_s: float) -> int:
    histogram = Histogram()
    histogram.add([duration_s])
    return histogram.bins[0]


def load(at: float, network: str, interval: float, cpu: float, packets: int, shaper: str = "tun") -> Record:
    return GatewayLoad(T0 + at, network, shaper, interval=interval, cpu=cpu, packets=packets)


def test_gateways_are_listed_by_their_busiest_second(run_dir: Path) -> None:
    rows = [
        load(0.5, "wired", 1.0, 1.0, 900),  # half of it before T0: its middle is at T0
        load(-1, "wired", 1.0, 1.0, 900),
        load(10, "field", 1.0, 0.25, 1000),
        load(12, "field", 2.0, 1.0, 5000),
        load(12.25, "field", 0.25, 0.25, 500),  # the last one, too short for a maximum
        load(10, "wifi", 1.0, 0.75, 0),
        load(10, "radio-10", 1.0, 0.01, 400, "netem"),
        load(10, "radio-2", 1.0, 0.01, 400, "netem"),
    ]
    totals = gateway_totals(loaded(run_dir, "gateways", rows))
    assert totals["cpu_p95"].to_list() == pytest.approx([100, 75, 50, 1, 1])
    assert totals.drop("cpu_p95").rows() == [
        ("wired", "tun", 100.0, 100.0, 900.0, 900.0),
        ("wifi", "tun", 75.0, 75.0, 0.0, 0.0),
        ("field", "tun", pytest.approx(150 / 3.25), 50.0, 2000.0, 2500.0),
        ("radio-2", "netem", 1.0, 1.0, 400.0, 400.0),
        ("radio-10", "netem", 1.0, 1.0, 400.0, 400.0),
    ]


def test_a_gateways_load_lies_where_it_was_and_weighs_by_its_time(run_dir: Path) -> None:
    rows = [
        load(9, "field", 0.5, 0.25, 100),
        load(10, "field", 1.0, 0.05, 500),
        load(11, "field", 1.0, 0.2, 40),
        load(10, "wifi", 1.0, 0.9, 9),
    ]
    run = loaded(run_dir, "gateways", rows)
    assert run.axis.bin_s == 1
    over_time = gateways_over_time(run, ["field"]).select("s", "series", "cpu", "rate").rows()
    assert over_time == [
        (8.0, "field", 50.0, 200.0),
        (9.0, "field", pytest.approx(5.0), 500.0),
        (10.0, "field", pytest.approx(20.0), 40.0),
    ]


def test_lateness_is_from_due_to_applied(run_dir: Path) -> None:
    rows = [
        Change(number, T0, T0 + 0.001 * number, "conditions", "field", "", "", ok=True, error="")
        for number in (1, 2, 3)
    ]
    late = lateness(change_results(loaded(run_dir, "changes", rows)))
    assert late["p50"] == pytest.approx(2.0, abs=0.01)
    assert late["max"] == pytest.approx(3.0, abs=0.01)


def test_a_change_that_nobody_answered_is_not_applied(run_dir: Path) -> None:
    write_table(run_dir, "changes", [])
    frame = change_results(RunData.load(run_dir))
    assert frame.height == 7
    assert set(frame["state"]) == {"not applied"}
    assert frame["s"].to_list() == [15.0, 20.0, 30.0, 34.0, 40.0, 40.0, 48.0]


def test_phases_stand_side_by_side(run: RunData) -> None:
    rows = {row["phase"]: row for row in phase_totals(run).to_dicts()}
    assert list(rows) == ["calm", "fade", "cut", "healed"]
    assert rows["cut"]["share"] > 0.02
    assert rows["calm"]["share"] == 0
    assert rows["cut"]["items"] < rows["calm"]["items"] / 2
    assert sum(row["lasts"] for row in rows.values()) == 60


def test_a_phase_without_requests_has_no_error_share(run_dir: Path) -> None:
    frame = phase_totals(loaded(run_dir, "interactions", [request(1, 0.1)]))
    assert frame["share"].to_list() == [0.0, None, None, None]


def test_more_series_than_colours_are_folded_by_weight() -> None:
    frame = pl.DataFrame({"series": [f"s{number}" for number in range(20) for _ in range(number + 1)]})
    folded, names = fold(frame, "series", pl.len(), limit=4)
    assert names == ["s17", "s18", "s19", "others"]
    assert folded.height == frame.height


def test_a_slow_sampler_leaves_no_gaps() -> None:
    frame = pl.DataFrame({"s": [0.0, 5.0, 10.0, 40.0, 45.0], "series": ["a"] * 5, "value": [1.0] * 5})
    assert broken_at_gaps(frame, ["series"]).filter(pl.col("value").is_null())["s"].to_list() == [25.0]


def test_a_crash_is_seen_however_many_other_events_there_were(run_dir: Path) -> None:
    with (run_dir / "events.jsonl").open("a") as events:
        for number in range(5000):
            line = {"t": T0 + number / 100, "kind": "change.applied", "source": "field", "message": "x"}
            events.write(json.dumps(line) + "\n")
    run = RunData.load(run_dir)
    kinds = event_ticks(run)["kind"].value_counts(name="ticks")
    assert dict(kinds.iter_rows())["app.crashed"] == 1
    assert kinds["ticks"].sum() < 500
    assert most_important(run.events, 50).filter(pl.col("kind") == "app.crashed").height == 1


def test_changes_that_failed_stay_in_a_table_that_is_too_short() -> None:
    frame = pl.DataFrame(
        {
            "s": [1.0, 2.0, 3.0],
            "id": [1, 2, 3],
            "target": ["a"] * 3,
            "state": ["applied", "failed", "applied"],
            "late": [1.0, None, 9.0],
        }
    )
    assert worst_changes(frame, 2)["id"].to_list() == [2, 3]


def test_replicas_are_in_the_order_of_their_numbers() -> None:
    frame = pl.DataFrame({"node": ["reader-10", "reader-2", "gate", "reader-1"]})
    assert in_order(frame, "node")["node"].to_list() == ["gate", "reader-1", "reader-2", "reader-10"]
