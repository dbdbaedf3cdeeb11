"""Conditions check themselves, name the field that is wrong, and travel as JSON without a change."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.values import strategies
from wotemu.errors import TopologyError
from wotemu.topology.conditions import (
    DistributionTable,
    GilbertElliott,
    LossModel,
    MarkovLoss,
    NetworkConditions,
    json_differences,
)
from wotemu.topology.deployment_paths import relative_to
from wotemu.units import Bytes, Packets, Seconds


@given(strategies.conditions)
def test_conditions_survive_json_exactly(conditions: NetworkConditions) -> None:
    assert NetworkConditions.from_dict(json.loads(json.dumps(conditions.to_dict()))) == conditions


@given(strategies.conditions)
def test_equal_conditions_have_equal_hashes_and_can_be_printed(conditions: NetworkConditions) -> None:
    same = NetworkConditions.from_dict(conditions.to_dict())
    assert hash(same) == hash(conditions)
    assert str(same) == str(conditions)


def test_without_conditions_nothing_happens() -> None:
    nothing = NetworkConditions()
    assert nothing.to_dict() == {
        "latency_s": 0.0,
        "jitter_s": 0.0,
        "distribution": "normal",
        "loss": 0.0,
        "rate_bps": None,
        "queue": None,
    }
    assert str(nothing) == "none"
    assert nothing.queue_bytes == float("inf")


def test_conditions_print_what_they_do() -> None:
    conditions = NetworkConditions.of(
        latency="40ms",
        jitter="10ms",
        distribution="pareto",
        loss_model=GilbertElliott("1%", "25%"),
        rate="15mbit",
        queue="100p",
    )
    assert str(conditions) == (
        "latency 40ms, jitter 10ms, pareto, Gilbert-Elliott p 1% r 25%, rate 15mbit, queue 100p"
    )


@pytest.mark.parametrize(
    ("name", "latency_s", "jitter_s", "rate_bps"),
    [
        ("GPRS", 0.7, 0.1, 50e3),
        ("EDGE", 0.7, 0.1, 100e3),
        ("REGULAR_3G", 0.3, 0.15, 1.5e6),
        ("FAST_3G", 0.15, 0.05, 4e6),
        ("LTE", 0.04, 0.01, 15e6),
        ("WIFI", 0.025, 0.005, 50e6),
        ("CABLE", 0.005, 0.005, 100e6),
    ],
)
def test_access_networks_are_those_of_the_original(
    name: str, latency_s: float, jitter_s: float, rate_bps: float
) -> None:
    preset = getattr(NetworkConditions, name)
    assert preset.latency == pytest.approx(latency_s)
    assert preset.jitter == pytest.approx(jitter_s)
    assert preset.rate == pytest.approx(rate_bps)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("latency", "-1ms", "finite and not negative"),
        ("jitter", "10mbit", "unknown unit"),
        ("loss", "120%", "more than the whole"),
        ("loss_correlation", 2, "more than the whole"),
        ("rate", "1bit", "1bit is less than 8bit"),
        ("rate", "10Tbps", "10tbit is more than 1tbit"),
        ("rate", 10, "has no unit"),
        ("latency", "2d", "172800s is more than 86400s"),
        ("latency", "1e300s", "is more than 1e\\+09s"),
        ("latency", 100, "has no unit"),
        ("jitter", "1e6s", "is more than 86400s"),
        ("loss", 1, 'write "100%" or "1%"'),
        ("burst", "2T", "2048GiB is more than 1024GiB"),
        ("queue", "5000000000p", "5000000000p is more than 2147483647p"),
        ("queue", "1e9G", "is more than 1024GiB"),
        ("reorder_gap", 2**31, "is more than 2147483647"),
        ("overhead", -43, "-43 is less than -42"),
        ("cell_size", 2**40, "is more than 65535"),
        ("cell_overhead", -1, "-1 is less than 0"),
        ("queue", 100, "no room to wait in"),
        ("queue", "0p", "no room to wait in"),
        ("queue", "100", "no duration, size or number of packets"),
        ("queue", "long", "no duration, size or number of packets"),
        ("distribution", "gauss", "known are normal, uniform, pareto, paretonormal"),
        ("distribution", (1, "2"), "not a whole number"),
        ("distribution", (1,), "at least two numbers"),
        ("loss_model", "1%", "is no loss model"),
        ("ecn", 1, "neither True nor False"),
        ("reorder_gap", 0, "at least 1"),
        ("overhead", 1.5, "not a whole number of bytes"),
        ("overhead", True, "not a whole number of bytes"),
        ("cell_size", -1, "-1 is less than 0"),
        ("duty_cycle", 0, 'lets nothing be sent: write "1%" or "100%", or rate=0 for an outage'),
        ("duty_cycle", "0%", "lets nothing be sent"),
        ("duty_cycle", 1, 'write "100%" or "1%"'),
        ("duty_cycle", "101%", "more than the whole"),
        ("duty_cycle", "-1%", "finite and not negative"),
        ("duty_cycle", "0.00001%", "is less than 0.0001%"),
        ("duty_cycle", "36s", "unknown unit"),
    ],
)
def test_a_wrong_condition_names_its_field(field: str, value: Any, message: str) -> None:
    with pytest.raises(TopologyError, match=message) as caught:
        NetworkConditions.of(**{field: value})
    assert caught.value.where == f"NetworkConditions, field {field!r}"


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("delay", "latency"), ("bandwidth", "rate"), ("bw", "rate"), ("latncy", "latency"), ("los", "loss")],
)
def test_an_unknown_condition_says_what_may_be_meant(wrong: str, meant: str) -> None:
    makes: tuple[Callable[..., NetworkConditions], ...] = (NetworkConditions, NetworkConditions.of)
    for make in makes:
        with pytest.raises(TopologyError, match="no such condition") as caught:
            make(**{wrong: "1s"})
        assert caught.value.where == f"NetworkConditions, field {wrong!r}"
        assert str(caught.value.hint).startswith(f"did you mean {meant!r}? known are latency, jitter")


def test_conditions_are_given_by_name() -> None:
    with pytest.raises(TopologyError, match=r"'3ms' needs a name"):
        NetworkConditions("3ms")  # type: ignore[call-arg]  # on purpose


def test_only_what_was_given_is_represented() -> None:
    conditions = NetworkConditions(latency="20ms", rate="10Mbps", loss_model=GilbertElliott("5%", "50%"))
    assert repr(conditions) == (
        "NetworkConditions(latency='20ms', loss_model=GilbertElliott(p=Fraction('5%'), r=Fraction('50%'), "
        "bad_loss=Fraction('100%'), good_loss=Fraction('0%')), rate='10mbit')"
    )
    assert repr(NetworkConditions()) == "NetworkConditions()"


def test_a_table_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.dist").write_text("-8192 8192\n")
    read, times = DistributionTable.read, Counter[str]()

    def counted(path: str) -> DistributionTable:
        times[path] += 1
        return read(path)

    monkeypatch.setattr(DistributionTable, "read", counted)
    with relative_to(tmp_path):
        NetworkConditions(distribution="mine.dist")
    assert times == {"mine.dist": 1}


def test_an_outage_s_queue_has_room_for_some_full_packets() -> None:
    least = NetworkConditions.MIN_QUEUE_BYTES
    assert NetworkConditions(rate=0).queue_bytes == least
    assert NetworkConditions(rate=0, latency="1s", queue="2s").queue_bytes == least
    assert NetworkConditions(rate=0, queue="3000B").queue_bytes == 3000
    assert NetworkConditions(rate=0, queue="10p").queue_bytes == 15140


@pytest.mark.parametrize(
    ("text", "queue"),
    [
        ("200ms", Seconds(0.2)),
        ("1m", Seconds(60)),
        ("1M", Bytes(1024**2)),
        ("64K", Bytes(65536)),
        ("1500b", Bytes(1500)),
        ("100p", Packets(100)),
    ],
)
def test_a_queue_is_a_duration_a_size_or_packets(text: str, queue: object) -> None:
    parsed = NetworkConditions.of(queue=text).queue
    assert (type(parsed), parsed) == (type(queue), queue)


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ({"latency": "500ms"}, 8e6 / 8 * 1.0),
        ({"latency": "1ms"}, 8e6 / 8 * 0.1),
        ({"queue": "10ms"}, 10_000),
        ({"queue": "50ms"}, 8e6 / 8 * 0.05),
        ({"queue": "3000B"}, 3000),
        ({"queue": "10p"}, 15140),
    ],
)
def test_the_queue_s_size_comes_from_its_bound_or_from_rate_and_delay(
    values: dict[str, Any], size: float
) -> None:
    assert NetworkConditions.of(rate="8mbit", **values).queue_bytes == pytest.approx(size)


# Loss models


def test_gilbert_elliott_without_r_loses_independently() -> None:
    model = GilbertElliott("5%")
    assert model.r == pytest.approx(0.95)
    assert model.mean_loss == pytest.approx(0.05)


@given(st.floats(0.001, 0.5), st.floats(1, 50))
def test_bursts_are_made_from_loss_and_length(loss: float, length: float) -> None:
    if loss / (1 - loss) > length:
        with pytest.raises(ValueError, match="longer bursts"):
            GilbertElliott.of_bursts(loss, length)
        return
    model = GilbertElliott.of_bursts(loss, length)
    assert model.mean_loss == pytest.approx(loss)
    assert 1 / model.r == pytest.approx(length)


@pytest.mark.parametrize(
    ("model", "loss"),
    [
        (GilbertElliott("1%", "9%", bad_loss="50%", good_loss="2%"), 0.1 * 0.5 + 0.9 * 0.02),
        (GilbertElliott(0, 0), 0.0),
        (MarkovLoss("5%"), 0.05),
        (MarkovLoss(0, p14="10%"), 0.1 / 1.1),
        (MarkovLoss("10%", "30%"), 0.25),
        (MarkovLoss("10%", 0, "20%", "60%"), 0.75),
        (MarkovLoss("10%", "10%", "10%", 0), 0.0),
    ],
)
def test_the_mean_loss_is_the_chain_s_stationary_one(model: LossModel, loss: float) -> None:
    assert model.mean_loss == pytest.approx(loss)


@given(strategies.loss_models)
def test_the_mean_loss_is_a_share(model: LossModel) -> None:
    assert 0 <= model.mean_loss <= 1 + 1e-9


def test_losses_of_both_kinds_are_independent() -> None:
    conditions = NetworkConditions.of(loss="10%", loss_model=GilbertElliott("1%", "9%"))
    assert conditions.mean_loss == pytest.approx(1 - 0.9 * 0.9)


@pytest.mark.parametrize("values", [{"p13": 0.6, "p14": 0.5}, {"p13": 0.1, "p31": 0.6, "p32": 0.5}])
def test_chances_of_leaving_a_state_are_at_most_the_whole(values: dict[str, float]) -> None:
    with pytest.raises(TopologyError, match=r"leaving state [13] are above 100%"):
        MarkovLoss(**values)


def test_a_wrong_chance_names_the_model_and_the_field() -> None:
    with pytest.raises(TopologyError, match="more than the whole") as caught:
        GilbertElliott(0.1, 7)
    assert caught.value.where == "GilbertElliott, field 'r'"


# Tables


def test_a_dist_file_is_read_from_the_folder_of_the_user_s_file(tmp_path: Path) -> None:
    (tmp_path / "mine.dist").write_text("# measured\n 8192 -8192\n0 # the middle\n")
    with relative_to(tmp_path):
        conditions = NetworkConditions.of(distribution="mine.dist", jitter="5ms")
    assert conditions.distribution == DistributionTable((-8192, 0, 8192))
    assert str(conditions) == "jitter 5ms, table of 3"


@pytest.mark.parametrize(
    ("content", "message", "place"),
    [
        ("1 2\n3 x\n", "'x' is not a whole number", ", line 2"),
        ("1 99999\n", "from -32768 to 32767", ""),
        ("# nothing\n", "at least two numbers", ""),
    ],
)
def test_a_wrong_dist_file_names_file_and_line(
    tmp_path: Path, content: str, message: str, place: str
) -> None:
    path = tmp_path / "bad.dist"
    path.write_text(content)
    with pytest.raises(TopologyError, match=message) as caught:
        DistributionTable.read(path)
    assert caught.value.where == f"{path}{place}"


def test_a_missing_dist_file_is_named() -> None:
    with pytest.raises(TopologyError, match=r"there is no file 'none\.dist'"):
        NetworkConditions.of(distribution="none.dist")


def test_a_table_holds_the_shape_of_samples() -> None:
    table = DistributionTable.of_samples([10.0, 12.0, 14.0])
    assert table.values == (-10033, 0, 10033)  # sqrt(3 / 2) deviations each way


def test_samples_without_spread_have_no_shape() -> None:
    with pytest.raises(ValueError, match="different, finite"):
        DistributionTable.of_samples([1.0, 1.0])


@pytest.mark.parametrize("other", ["100B", "100s"])
def test_queues_of_one_number_and_two_units_are_not_the_same(other: str) -> None:
    packets, others = NetworkConditions(queue="100p"), NetworkConditions(queue=other)
    assert packets != others
    assert len({packets, others, NetworkConditions(queue="100p")}) == 2
    assert [name for name, _, _ in packets.differences(others)] == ["queue"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (NetworkConditions(latency="300ms"), NetworkConditions(latency="400ms", loss="2%")),
        (NetworkConditions.LTE, NetworkConditions(queue="20p", burst="3kB", duplicate="1%")),
        (NetworkConditions.CABLE, NetworkConditions.CABLE),
    ],
)
def test_conditions_as_json_differ_as_those_that_they_were_made_of(
    before: NetworkConditions, after: NetworkConditions
) -> None:
    assert json_differences(before.to_dict(), after.to_dict()) == before.differences(after)
    assert json_differences(after.to_dict(), before.to_dict()) == after.differences(before)
