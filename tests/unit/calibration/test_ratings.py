"""Ratings of machines: read from 7-zip, measured without it, stored by CPU model."""

from __future__ import annotations

import lzma
from pathlib import Path

import attrs
import pytest

from wotemu_runtime.calibration import bundled, measuring, seven_zip, store
from wotemu_runtime.calibration.rating import Rating

PRINTED = """
7-Zip 26.02 (x64) : Copyright (c) 1999-2026 Igor Pavlov : 2026-06-25
Dict     Speed Usage    R/U Rating  |      Speed Usage    R/U Rating
         KiB/s     %   MIPS   MIPS  |      KiB/s     %   MIPS   MIPS

22:        508    19   2645    494  |       8976    22   3552    766
----------------------------------  | ------------------------------
Avr:       452    18   2550    472  |       7366    17   3720    640
Tot:              18   3135    556
"""
OLD = "\n7-Zip (a) [64] 16.02 : Copyright (c) 1999-2016 Igor Pavlov : 2016-05-21\nTot:     99   1634   1620\n"
RATING = Rating(mips=3135, tool="7-zip 26.02", error=0.05, date="2026-11-26", cpu_model="AMD EPYC")


def test_the_rating_is_by_cpu_time_whatever_else_runs() -> None:
    assert seven_zip.parse(PRINTED) == (3135, "26.02")
    assert seven_zip.parse(OLD) == (1634, "16.02")


def test_another_program_of_that_name_is_refused() -> None:
    with pytest.raises(OSError, match="printed no total"):
        seven_zip.parse("usage: 7z")
    with pytest.raises(OSError, match="false b"):
        seven_zip.measure("/bin/false")


def test_the_bundled_benchmark_compresses_the_same_data_each_time() -> None:
    data = bundled.generated(1 << 16)
    assert data == bundled.generated(1 << 16)
    assert 0.2 < len(lzma.compress(data)) / len(data) < 0.5
    assert 50 < bundled.measure(rounds=1) < 50_000


def test_ratings_are_stored_by_cpu_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "wotemu" / "calibration.json"
    other = attrs.evolve(RATING, cpu_model="Intel N100", mips=3910.0)
    assert store.load("AMD EPYC") is None
    assert store.save(RATING) == store.save(other) == file
    assert (store.load("AMD EPYC"), store.load("Intel N100")) == (RATING, other)
    assert [*file.parent.iterdir()] == [file]
    for damaged in ('{"AMD EPYC": {"mips": "fast"}}', '{"AMD EPYC": 3}', "[", '{"AMD EPYC": {"mips": 0}}'):
        file.write_text(damaged)
        assert store.load("AMD EPYC") is None


def test_a_machine_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(bundled, "measure", lambda: 2000.0)
    first = measuring.rating_of_this_machine()
    assert (first.mips, first.tool, first.cpu_model) == (2000.0, "lzma", store.cpu_model())
    monkeypatch.setattr(bundled, "measure", lambda: 1.0)
    assert measuring.rating_of_this_machine() == first


@pytest.mark.parametrize(
    ("cpu_info", "board", "expected"),
    [
        (
            "processor\t: 0\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\nmodel name\t: AMD EPYC\n",
            "",
            "AMD EPYC",
        ),
        ("processor\t: 0\nCPU part\t: 0xd08\n", "Raspberry Pi 4 Model B\0", "Raspberry Pi 4 Model B"),
    ],
)
def test_the_cpu_model_is_the_kernels(tmp_path: Path, cpu_info: str, board: str, expected: str) -> None:
    (tmp_path / "cpuinfo").write_text(cpu_info)
    (tmp_path / "model").write_text(board)
    assert store.cpu_model(tmp_path / "cpuinfo", tmp_path / "model") == expected
