"""Programs read a skewed wall clock, and what they count seconds by goes on as it was."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Require
from wotemu.records import Event
from wotemu_runtime.agent.wall_clock import open_wall_clock
from wotemu_runtime.fidelity.faults import fault_without_effect
from wotemu_runtime.planning import clock_skew

# Each of its lines: what the clock is said to be off by, and what the shell's, this program's and an earlier
# one's wall clock and monotonic clock are off by from those of this machine that it was started with.
SKEWER = """
import subprocess, sys, time
from wotemu_runtime.agent.wall_clock import open_wall_clock
clock = open_wall_clock(sys.argv[1])
print(clock.ahead_s(), time.time() - float(sys.argv[2]))
clock.preload()
reader = "import time; time.sleep(0.01); print(time.time(), time.monotonic(), flush=True)"
earlier = [sys.executable, "-c", f"while input(): {reader}"]
with subprocess.Popen(earlier, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
    for by_s in (180.0, -5400.25, 0.0):
        clock.skew(by_s)
        true, counted = time.time(), time.monotonic()
        shell = subprocess.run(["date", "+%s"], capture_output=True, text=True).stdout
        running.stdin.write("on\\n")
        running.stdin.flush()
        wall, monotonic = running.stdout.readline().split()
        print(clock.ahead_s(), float(shell) - true, float(wall) - true, float(monotonic) - counted)
    with subprocess.Popen(["sleep", "60"], env={}) as other:
        print(clock.reaches(running.pid), clock.reaches(other.pid), clock.reaches(1 << 30))
        other.kill()
    running.stdin.write("\\n")
"""


@pytest.fixture
def library(require: Require) -> None:
    require(clock_skew.find_library() is not None, "libfaketime is not installed")


def skewer(folder: Path) -> list[list[str]]:
    command = [sys.executable, "-c", SKEWER, str(folder)]
    found = subprocess.run(
        [*command, str(time.time())], capture_output=True, text=True, check=True, timeout=60
    )
    return [line.split() for line in found.stdout.splitlines()]


@pytest.mark.usefixtures("library")
def test_programs_that_run_and_programs_that_start_read_the_skew(tmp_path: Path) -> None:
    first, *skewed, reached = skewer(tmp_path)
    before, own = map(float, first)
    assert before == pytest.approx(0, abs=0.1)
    assert 0 <= own < 60
    for by_s, line in zip((180, -5400.25, 0), skewed, strict=True):
        read_s, shell_s, wall_s, monotonic_s = map(float, line)
        assert read_s == pytest.approx(by_s, abs=0.1)
        assert by_s - 1 <= shell_s < by_s + 30
        assert by_s <= wall_s < by_s + 30
        assert 0 <= monotonic_s < 30
    assert reached == ["True", "False", "True"]


def test_the_library_is_found_where_distributions_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_skew, "_FOLDERS", (str(tmp_path / "none"), str(tmp_path)))
    assert clock_skew.find_library() is None
    (tmp_path / "libfaketimeMT.so.1").touch()
    assert clock_skew.find_library() == str(tmp_path / "libfaketimeMT.so.1")


def test_an_image_without_the_library_or_with_a_broken_one_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(clock_skew, "_FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(os, "environ", {})
    assert open_wall_clock(str(tmp_path)) is None
    assert "there is no libfaketime" in capfd.readouterr().err
    (tmp_path / "libfaketimeMT.so.1").write_text("no ELF")
    assert open_wall_clock(str(tmp_path)) is None
    assert "the clock can't be skewed: " in capfd.readouterr().err


@pytest.mark.parametrize(("read_s", "text"), [(179.99, ""), (0.0, "was +0.000 s off instead of +180.000 s")])
def test_a_clock_that_is_read_otherwise_is_no_valid_fault(read_s: float, text: str) -> None:
    data = {"by_s": 180.0, "before_s": 0.0, "read_s": read_s}
    found = fault_without_effect(Event(0.0, "clock.skewed", "agent:a", "", data))
    assert (found is None) if not text else (found is not None and text in found.text)
