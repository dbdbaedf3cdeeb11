"""Comparisons: figures by hand, how sure differences are, and what can't be compared."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

import wotemu
from wotemu.cli import main
from wotemu_report.comparison import FIGURES
from wotemu_report.comparison.bootstrap import RESAMPLES, ratios, resamples, weights, with_errors
from wotemu_report.comparison.differences import LEAST_BLOCKS, Difference, differences, exceeding, holm
from wotemu_report.comparison.figures import POINTS, BlockFigure, designs, effect_sizes
from wotemu_report.comparison.histograms import FAILED_BIN, cliffs_deltas, percentiles
from wotemu_report.comparison.samples import SUBJECT, RunSamples, samples
from wotemu_report.comparison.student_t import quantile, within
from wotemu_report.recorded.run_data import RunData

from .synthetic import damage_spool, request, write_json, write_run, write_table


def test_student_t_is_that_of_the_tables() -> None:
    # Two-sided 95 %, from any statistics textbook.
    for freedom, t in ((1, 12.706), (2, 4.303), (5, 2.571), (19, 2.093), (100, 1.984)):
        assert quantile(0.95, freedom) == pytest.approx(t, abs=5e-4)
        assert within(t, freedom) == pytest.approx(0.95, abs=1e-4)
    assert within(0, 7) == 0
    assert within(math.inf, 7) == 1


def cells(*rows: tuple[int, int, int, int]) -> pl.DataFrame:
    schema = {"subject": pl.UInt32, "bin": pl.UInt16, "block": pl.UInt32, "count": pl.UInt32}
    return pl.DataFrame(sorted(rows), schema=schema, orient="row")


def test_percentiles_of_weighted_blocks() -> None:
    one = [(0, 1, 0, 3), (0, 2, 0, 1), (0, 9, 1, 4)]  # subject, bin, block, count
    two = [(2, 5, 1, 1)]  # subject 1 has none
    drawn = pl.DataFrame({"w0": [1, 2, 0], "w1": [1, 0, 2]})
    found = percentiles(cells(*one, *two), 3, {"p50": 0.5, "p99": 0.99}, drawn)
    assert found["p50"].to_list() == [2, 1, 9, None, None, None, 5, None, 5]  # 1 1 1 2 9 9 9 9, ...
    assert found["p99"].to_list() == [9, 2, 9, None, None, None, 5, None, 5]


def test_percentiles_are_those_of_rows_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wotemu_report.comparison.histograms._CELLS_AT_ONCE", 100)
    monkeypatch.setattr("wotemu_report.comparison.bootstrap._ROWS_AT_ONCE", 50)
    dice = random.Random(2)
    rows = {(dice.randrange(7), dice.randrange(40), dice.randrange(5)) for _ in range(500)}
    counted = [(*row, dice.randrange(1, 4)) for row in rows]
    drawn = weights(5, seed=3, count=20)
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        found = iter(percentiles(cells(*counted), 7, {name: share}, drawn)[name].to_list())
        for subject in range(7):
            for often in drawn.rows():
                values = sorted(
                    value
                    for of, value, block, count in counted
                    for _ in range(count * often[block])
                    if of == subject
                )
                assert next(found) == values[math.ceil(share * len(values)) - 1]


def test_cliffs_delta_counts_pairs() -> None:
    def delta(before: Sequence[tuple[int, int]], after: Sequence[tuple[int, int]]) -> list[float | None]:
        """Of the second of two subjects; the first one is another."""
        sides = [
            cells((0, 7, 0, 5), *((1, value, 0, count) for value, count in each)) for each in (before, after)
        ]
        return cliffs_deltas(*sides)["delta"].to_list()

    assert delta([(1, 2)], [(2, 3)]) == [0, 1]
    assert delta([(2, 3)], [(1, 2)]) == [0, -1]
    assert delta([(1, 1), (3, 1)], [(2, 1), (FAILED_BIN, 1)]) == [0, pytest.approx((3 - 1) / 4)]
    assert delta([(5, 4)], [(5, 9)]) == [0, 0]
    assert delta([], [(1, 1)]) == [0, None]


def test_holm_adjusts_for_the_number_of_figures() -> None:
    assert holm([0.01, 0.5, 0.02]) == pytest.approx([0.03, 0.5, 0.04])
    assert holm([0.04, 0.04]) == pytest.approx([0.08, 0.08])
    assert holm([]) == []


def means(values: Sequence[Sequence[float]], name: str, seed: int, count: int = RESAMPLES) -> pl.DataFrame:
    """The mean of each row of blocks: `value` and `error`."""
    blocks = len(values[0])
    above = pl.DataFrame(values, schema=[f"a{block}" for block in range(blocks)], orient="row")
    drawn = weights(blocks, seed, count)
    below = (pl.lit(1.0).alias(f"b{block}") for block in range(blocks))
    return with_errors(ratios(above.with_columns(below), drawn), drawn, is_ratio=name not in POINTS)


def test_the_standard_error_of_a_mean_is_that_of_its_formula() -> None:
    blocks = [float(number) for number in range(20)]
    mean, found = means([blocks], "errors", 1, 4000).row(0)
    assert mean == sum(blocks) / 20
    exact = math.sqrt(sum((each - mean) ** 2 for each in blocks) / 19 / 20)
    assert found == pytest.approx(exact, rel=0.07)  # six standard errors of 4000 resamples
    assert means([[1.0]], "errors", 1).row(0) == (1, None)
    assert means([[0.0] * 9 + [1.0]], "throughput", 1)["error"][0] is not None
    assert means([[0.0] * 10], "throughput", 1).row(0) == (0, None)  # no ratio to zero
    assert all(sum(drawn) == 20 for drawn in resamples(20, 3, 10))


def figures(
    values: Sequence[Sequence[float]], seed: int, name: str = "throughput", count: int = RESAMPLES
) -> list[BlockFigure]:
    """The means of blocks, as figures of one phase each."""
    return [
        BlockFigure(
            name, (f"phase {number}", "reader", "on", "readproperty", "http"), len(blocks), 1000, *each
        )
        for number, (blocks, each) in enumerate(
            zip(values, means(values, name, seed, count).rows(), strict=True)
        )
    ]


def figure(values: Sequence[float], name: str = "throughput", seed: int = 0) -> BlockFigure:
    return figures([values], seed, name)[0]


def test_the_same_distribution_is_said_different_at_most_at_the_stated_rate() -> None:
    """Of 300 comparisons of two figures each, at most 5 % may find any difference: chance of failure 1e-6."""
    dice = random.Random(5)
    sides = [
        figures([[dice.gauss(50, 8) for _ in range(15)] for _ in range(600)], seed, count=100)
        for seed in (1, 2)
    ]
    alarms = 0
    for trial in range(0, 600, 2):
        found = differences(*(each[trial : trial + 2] for each in sides), by_runs=False)
        alarms += any(each.verdict in ("better", "worse") for each in found)
    assert alarms <= 38  # binomial, n 300, p 0.05: more has a chance of 1e-6


def test_differences_are_found_and_directions_are_right() -> None:
    dice = random.Random(1)
    low, high = ([dice.gauss(mean, 2) for _ in range(20)] for mean in (50, 60))
    (fewer,) = differences([figure(high)], [figure(low, seed=1)], by_runs=False)
    assert fewer.verdict == "worse"
    assert fewer.before == pytest.approx(sum(high) / 20)
    assert fewer.change == pytest.approx(sum(low) / sum(high) - 1)
    assert fewer.low is not None and fewer.high is not None and fewer.sees is not None
    assert fewer.low < (fewer.change or 0) < fewer.high < -0.1
    assert 0 < fewer.sees < 0.1
    assert [each.name for each in exceeding([fewer], 0.1)] == ["throughput"]
    assert exceeding([fewer], 0.3) == []
    (more,) = differences([figure(low)], [figure(high)], by_runs=False)
    assert more.verdict == "better"
    (errors,) = differences(
        [figure([0.0] * 20, "errors")], [figure([each / 100 for each in low], "errors")], by_runs=False
    )
    assert errors.verdict == "worse"
    assert errors.change == pytest.approx(sum(low) / 2000)
    (equal,) = differences([figure([50.0, 50.1] * 10)], [figure([50.1, 50.0] * 10)], by_runs=False)
    assert equal.verdict == "same"
    (few,) = differences([figure(low[: LEAST_BLOCKS - 1])], [figure(high)], by_runs=False)
    assert (few.verdict, few.change) == ("too few", None)


def lamp(folder: Path, slower: float = 1.0, seed: int = 1) -> Path:
    """A run of a minute in which a reader reads a lamp; some reads fail."""
    write_run(folder)
    dice = random.Random(seed)
    rows = [
        request(number * 0.02, dice.uniform(0.04, 0.06) * slower, "boom" if number % 100 == 0 else "")
        for number in range(3000)
    ]
    write_table(folder, "interactions", rows)
    return folder


@pytest.fixture(scope="module")
def lamps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two designs, the second one slower by a fifth."""
    folder = tmp_path_factory.mktemp("lamps")
    for number in (1, 2, 3):
        lamp(folder / f"a{number}", seed=number)
        lamp(folder / f"b{number}", 1.2, seed=number + 10)
    for name in "ab":
        design = folder / f"design-{name}"
        design.mkdir()
        for number in (1, 2, 3):
            (design / f"{number}").symlink_to(folder / f"{name}{number}")
        write_json(design / "sweep.json", {"runs": {str(n): {"seed": n} for n in (1, 2, 3)}})
    return folder


def by_hand(run_dir: Path, phase: str) -> pl.DataFrame:
    frame = RunData.load(run_dir).tables["interactions"].lazy().collect()
    return frame.filter(pl.col("phase") == phase)


def test_figures_of_a_run_are_those_of_its_rows(lamps: Path) -> None:
    (design,) = designs({"a": [samples(RunData.load(lamps / "a1"))]}).values()
    found = {(each.name, each.subject[0]): each for each in design.figures()}
    rows = by_hand(lamps / "a1", "fade")
    answered = rows.filter(pl.col("status") == "ok")["duration"].sort() * 1000
    assert found["p95", "fade"].value == pytest.approx(
        answered[math.ceil(0.95 * len(answered)) - 1], rel=1e-3
    )
    assert found["p50", "fade"].value == pytest.approx(answered[math.ceil(0.5 * len(answered)) - 1], rel=1e-3)
    failed = rows.height - len(answered)
    assert found["errors", "fade"].value == pytest.approx(failed / rows.height)
    assert found["throughput", "fade"].value == pytest.approx(len(answered) / 15)
    assert (found["errors", "fade"].blocks, found["errors", "fade"].samples) == (15, rows.height)
    assert found["availability", "fade"].value == pytest.approx(1 - failed / rows.height, abs=0.003)


def test_runs_of_one_design_are_pooled(lamps: Path) -> None:
    runs = [samples(RunData.load(lamps / f"a{number}")) for number in (1, 2, 3)]
    slow = [samples(RunData.load(lamps / f"b{number}")) for number in (1, 2, 3)]
    rows = pl.concat([by_hand(lamps / f"a{number}", "fade") for number in (1, 2, 3)])
    answered = rows.filter(pl.col("status") == "ok")["duration"].sort() * 1000
    for blocks, given in ((3, runs), (30, runs[:2])):  # fewer than three runs are divided into blocks
        found = {(each.name, each.subject[0]): each for each in designs({"a": given})["a"].figures(seed=4)}
        assert (found["p95", "fade"].blocks, found["p95", "calm"].samples) == (
            blocks,
            sum(_answered(run, "calm") for run in given),
        )
        assert found["p95", "fade"].error is not None
    pooled = designs({"a": runs, "b": slow})
    p95 = next(each for each in pooled["a"].figures(["p95"]) if each.subject[0] == "fade")
    assert p95.value == pytest.approx(answered[math.ceil(0.95 * len(answered)) - 1], rel=1e-3)
    # Durations do not overlap by much: 40 to 60 ms, and 48 to 72 ms; the chance of a longer one is known.
    assert all(0.6 < delta < 0.75 for delta in effect_sizes(*pooled.values()).values() if delta)


def _answered(run: RunSamples, phase: str) -> int:
    assert set(SUBJECT) <= set(run.counts.columns)
    return int(run.counts.filter(pl.col("phase") == phase)["ok"].sum())


def compare(*words: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, words)])


def test_two_designs_of_three_runs(lamps: Path, tmp_path: Path) -> None:
    result = compare(
        lamps / "design-a", lamps / "design-b", "--json", "--out", tmp_path, "--fail-above", "10%"
    )
    assert result.exit_code == 1
    assert "surely worse by more than 10 %" in result.stderr
    data: Any = json.loads(result.stdout)
    assert data["resampled"] == "runs"
    p50 = [each for each in data["differences"] if each["figure"] == "p50"]
    assert [each["phase"] for each in p50] == ["calm", "fade", "cut", "healed"]
    assert {each["verdict"] for each in p50} == {"worse"}
    for each in p50:
        assert each["low"] < each["change"] < each["high"]
        assert each["change"] == pytest.approx(0.2, abs=0.02)
    page = (tmp_path / "index.html").read_text()
    assert "design-b beside design-a" in page
    assert "Some figures became worse" in page
    # The same from Python.
    found = wotemu.compare(wotemu.RecordedSweep(lamps / "design-a"), lamps / "design-b")
    printed = [(each["figure"], each["verdict"]) for each in data["differences"]]
    assert [(each["figure"], each["verdict"]) for each in found.to_dict()["differences"]] == printed
    assert found.worse_by(0.1)
    assert "Some figures became worse" in wotemu.write_comparison(found, tmp_path / "again").read_text()
    for given, chosen, said in (
        ((), FIGURES, "nothing to compare"),
        (("a", "b"), ["p51"], "figure 'p51'"),
    ):
        with pytest.raises(wotemu.InputError, match=said):
            wotemu.compare(*given, figures=chosen)


def test_one_run_each_is_judged_by_blocks_of_time(lamps: Path) -> None:
    result = compare(lamps / "a1", lamps / "a2", lamps / "b1", "--figure", "p50", "--fail-above", "50%")
    assert result.exit_code == 0, result.output
    assert "a2 beside a1: of 4 figures, 0 worse, 0 better" in result.output
    assert "b1 beside a1: of 4 figures, 4 worse" in result.output
    assert "Blocks of time within the runs are resampled" in result.output


def altered(run_dir: Path, copy: Path, **values: Any) -> Path:
    """A copy of a run with another manifest, and the same tables."""
    copy.mkdir()
    for each in run_dir.iterdir():
        if each.name != "manifest.json":
            (copy / each.name).symlink_to(each)
    write_json(copy / "manifest.json", json.loads((run_dir / "manifest.json").read_text()) | values)
    return copy


def test_what_can_not_be_compared_is_said(lamps: Path, tmp_path: Path) -> None:
    other = altered(lamps / "a2", tmp_path / "other", timeline_hash="another")
    timeline = json.loads((other / "timeline.json").read_text())
    (other / "timeline.json").unlink()
    write_json(other / "timeline.json", timeline | {"duration_s": 61.0, "changes": timeline["changes"][1:]})
    invalid = altered(
        lamps / "a3",
        tmp_path / "invalid",
        certificate={
            "verdict": "INVALID",
            "reasons": [{"verdict": "INVALID", "what": "x", "text": "too late"}],
        },
    )
    for against, said in ((other, "its duration and changes differ"), (invalid, "is INVALID: too late")):
        result = compare(lamps / "a1", against)
        assert result.exit_code == 2
        assert said in result.output.replace("\n", " ")
        assert compare(lamps / "a1", against, "--anyway", "--figure", "p50").exit_code == 0
    reseeded = altered(lamps / "a2", tmp_path / "reseeded", timeline_hash="another", seed=8)
    (reseeded / "timeline.json").unlink()
    write_json(reseeded / "timeline.json", timeline | {"seed": 8})
    assert compare(lamps / "a1", reseeded, "--figure", "p50").exit_code == 0


def test_damages_are_said_everywhere(lamps: Path, tmp_path: Path) -> None:
    said = f"{tmp_path / 'broken'}: {damage_spool(lamp(tmp_path / 'broken'))}"
    words = ("--figure", "p50", "--out", tmp_path / "page")
    shown = compare(lamps / "a1", tmp_path / "broken", *words)
    assert shown.exit_code == 0
    assert said in shown.output.replace("\n", "")
    assert said in (tmp_path / "page" / "index.html").read_text()
    data = json.loads(compare(lamps / "a1", tmp_path / "broken", *words, "--json").stdout)
    assert any(each.startswith(said) for each in data["cautions"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a1"], "at least two runs"),
        (["a1", "a1"], "it is given twice"),
        (["a1", "nowhere"], "there is no such run"),
        (["a1", "a2", "--fail-above", "ten"], "write 10% or 0.1"),
        (["a1", "a2", "--fail-above", "10"], "write 10% or 0.1"),
        (["a1", "a2", "--figure", "p51"], "'p51' is not one of"),
    ],
)
def test_mistakes_are_said(words: list[str], said: str, lamps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lamps)
    result = compare(*words)
    assert result.exit_code == 2
    assert said in result.output.replace("\n", " ")


def test_a_difference_without_figures_says_nothing() -> None:
    assert exceeding([Difference("p50", ("calm", "", "", "", ""), None, None, (0, 0))], 0.0) == []
