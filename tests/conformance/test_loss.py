"""Which packets are lost, doubled, changed or overtaken."""

from __future__ import annotations

from itertools import groupby, pairwise

from wotemu.topology.conditions import GilbertElliott, MarkovLoss, NetworkConditions
from wotemu.units import Fraction

from .conftest import once_per_core
from .field import Field
from .findings import Findings
from .intervals import mean_interval, share_interval, tied_share_interval

pytestmark = once_per_core

FAST = 5000.0
"""Packets a second: what is drawn at random needs many of them."""


def bursts(lost: list[bool]) -> list[int]:
    """How many packets in a row were lost, each time."""
    return [len(list(group)) for is_lost, group in groupby(lost) if is_lost]


def sent_under(field: Field, conditions: NetworkConditions, count: int) -> list[bool]:
    """Of each packet from a to b, whether it was lost."""
    field.set("a", "up", conditions)
    with field.stream() as stream:
        field.send(stream, count, per_second=FAST)
        return stream.lost


def test_independent_loss_has_its_share_and_no_bursts(field: Field, findings: Findings) -> None:
    count, share = 30_000, 0.05
    lost = sent_under(field, NetworkConditions(loss=share), count)
    lengths = bursts(lost)
    mean = sum(lengths) / len(lengths)
    ideal = 1 / (1 - share)
    spread = (share**0.5) / (1 - share)
    assert findings.within(
        "loss, share", share, sum(lost) / count, share_interval(share, count), "%"
    ) & findings.within(
        "loss, length of bursts", ideal, mean, mean_interval(ideal, spread, len(lengths)), "packets"
    )
    _, hops = field.drain()
    assert hops["a", "up"].dropped_loss > 0
    assert hops["a", "up"].dropped_queue == hops["b", "down"].dropped_loss == 0


def test_tied_loss_keeps_its_share_and_comes_in_bursts(field: Field, findings: Findings) -> None:
    count, share, tie = 30_000, 0.05, 0.4
    lost = sent_under(field, NetworkConditions(loss=share, loss_correlation=tie), count)
    again = [b for a, b in pairwise(lost) if a]
    expected = tie + (1 - tie) * share
    assert findings.within(
        "correlated loss, share",
        share,
        sum(lost) / count,
        tied_share_interval(share, tie, count),
        "%",
    ) & findings.within(
        "correlated loss, of the next as well",
        expected,
        sum(again) / len(again),
        share_interval(expected, len(again)),
        "%",
    )


def test_gilbert_elliott_loss_has_its_parameters(field: Field, findings: Findings) -> None:
    count, p, r = 30_000, 0.02, 0.25
    lost = sent_under(field, NetworkConditions(loss_model=GilbertElliott(Fraction(p), Fraction(r))), count)
    after_good = [b for a, b in pairwise(lost) if not a]
    after_bad = [b for a, b in pairwise(lost) if a]
    lengths = bursts(lost)
    spread = (1 - r) ** 0.5 / r
    assert (
        findings.within(
            "Gilbert-Elliott, p",
            p,
            sum(after_good) / len(after_good),
            share_interval(p, len(after_good)),
            "%",
        )
        & findings.within(
            "Gilbert-Elliott, r",
            r,
            after_bad.count(False) / len(after_bad),
            share_interval(r, len(after_bad)),
            "%",
        )
        & findings.within(
            "Gilbert-Elliott, length of bursts",
            1 / r,
            sum(lengths) / len(lengths),
            mean_interval(1 / r, spread, len(lengths)),
            "packets",
        )
    )


def test_gilbert_elliott_loss_in_both_states_and_besides(field: Field, findings: Findings) -> None:
    model = GilbertElliott(Fraction(0.05), Fraction(0.2), bad_loss=0.6, good_loss=0.02)
    conditions = NetworkConditions(loss=0.03, loss_model=model)
    count, share = 30_000, conditions.mean_loss
    lost = sent_under(field, conditions, count)
    # The state, good or bad, is the one before again with a chance of 1 - p - r.
    interval = tied_share_interval(share, 1 - 0.05 - 0.2, count)
    assert findings.within("Gilbert-Elliott, 1-h and 1-k and loss", share, sum(lost) / count, interval, "%")


def test_markov_loss_has_its_share_and_bursts(field: Field, findings: Findings) -> None:
    model = MarkovLoss(0.02, 0.3, 0.2, 0.5, 0.01)
    conditions = NetworkConditions(loss_model=model)
    count, share = 30_000, model.mean_loss
    lost = sent_under(field, conditions, count)
    again = [b for a, b in pairwise(lost) if a]
    # Lost in state 3, and there again; in state 4 never again.
    gap, burst = 0.3 * 0.5, 0.02 * 0.5
    expected = burst * (1 - 0.3 - 0.2) / (burst + 0.01 * gap)
    assert findings.within(
        "4-state loss, share", share, sum(lost) / count, tied_share_interval(share, 0.6, count), "%"
    ) & findings.within(
        "4-state loss, of the next as well",
        expected,
        sum(again) / len(again),
        share_interval(expected, len(again)),
        "%",
    )


def test_duplicates_have_their_share(field: Field, findings: Findings) -> None:
    count, share = 20_000, 0.1
    field.set("a", "up", NetworkConditions(duplicate=share, latency="5ms"))
    with field.stream() as stream:
        field.send(stream, count, per_second=FAST)
        assert set(stream.numbers) == set(range(count))
        doubled = len(stream.numbers) - count
    assert findings.within("duplicates", share, doubled / count, share_interval(share, count), "%")


def test_tied_duplicates_keep_their_share(field: Field, findings: Findings) -> None:
    count, share, tie = 30_000, 0.1, 0.3
    field.set("a", "up", NetworkConditions(duplicate=share, duplicate_correlation=tie))
    with field.stream() as stream:
        field.send(stream, count, per_second=FAST)
        doubled = len(stream.numbers) - count
    interval = tied_share_interval(share, tie, count)
    assert findings.within("correlated duplicates", share, doubled / count, interval, "%")


def test_corruption_has_its_share_and_changes_one_bit(field: Field, findings: Findings) -> None:
    count, share, size = 20_000, 0.1, 1400
    field.set("a", "up", NetworkConditions(corrupt=share))
    visible = share * (size - 12) / (size + 28)  # what hits a header is dropped on its way, or not seen here
    with field.stream(size=size, checksum=False) as stream:
        field.send(stream, count, per_second=4000)
        wrong = [arrival.payload[12:] for arrival in stream.arrived if any(arrival.payload[12:])]
    assert all(sum(byte.bit_count() for byte in payload) == 1 for payload in wrong)
    assert findings.within("corruption", visible, len(wrong) / count, share_interval(visible, count), "%")


def test_reordered_packets_overtake_the_delay(field: Field, findings: Findings) -> None:
    count, share = 10_000, 0.2
    field.set("a", "up", NetworkConditions(latency="200ms", reorder=share))
    with field.stream() as stream:
        field.send(stream, count, per_second=4000)
        assert sorted(stream.numbers) == list(range(count))
        early = sum(delay_s < 0.1 for delay_s in stream.delays_s)
    assert findings.within("reordered", share, early / count, share_interval(share, count), "%")


def test_only_every_nth_packet_may_overtake_where_there_is_a_gap(field: Field, findings: Findings) -> None:
    field.set("a", "up", NetworkConditions(latency="200ms", reorder="100%", reorder_gap=5))
    with field.stream() as stream:
        field.send(stream, 500, per_second=500)
        early = sum(delay_s < 0.1 for delay_s in stream.delays_s)
    assert findings.within("reordered, every fifth", 0.2, early / 500, (0.198, 0.202), "%")


def test_congestion_is_marked_where_it_can_be_and_else_lost(field: Field, findings: Findings) -> None:
    count, share = 20_000, 0.2
    field.set("a", "up", NetworkConditions(loss=share, ecn=True))
    with field.stream() as stream:
        stream.set_tos(2)  # ECT(0)
        field.send(stream, count, per_second=FAST)
        assert stream.numbers == list(range(count))
        marked = stream.marked
    assert findings.within("marked instead of lost", share, marked / count, share_interval(share, count), "%")
    assert any(sent_under(field, NetworkConditions(loss=share, ecn=True), 200))
