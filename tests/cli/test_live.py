"""The live view on a terminal of the test's own."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import TWO_NODES, Write, command_line

pytestmark = pytest.mark.namespaces

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;[^\x1b]*\x1b\\")


def read_until(terminal: int, text: str, within_s: float = 40) -> str:
    """What a terminal was written until `text` came, or the program closed it."""
    seen, deadline = b"", time.monotonic() + within_s
    while text.encode() not in seen and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
    return seen.decode()


def as_a_shell_does() -> None:
    """Have the signals that a shell's foreground job has, also where the tests run under nohup."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def started(namespaces: None, write: Write) -> tuple[subprocess.Popen[bytes], int]:
    """A run on a terminal of 80 columns, which is followed by default, and the terminal."""
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        command_line("run", write(TWO_NODES)),
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"},
        preexec_fn=as_a_shell_does,
    )  # fmt: skip
    os.close(theirs)
    return process, terminal


def test_events_scroll_above_a_panel_and_a_summary_stays(
    started: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, terminal = started
    written = read_until(terminal, "index.html\x1b") + read_until(terminal, "never printed", 3)
    assert process.wait(20) == 0
    assert "\x1b[?25h" in written  # the cursor is back
    shown = CONTROL.sub("", written)
    for text in (
        "ready 3/3",
        "phase slow",
        "field up: latency 5ms → 50ms",
        "0 dropped",
        "writing the report",
    ):
        assert text in shown
    assert re.search(r"[12] s of 3 s, [12] s left", shown)
    assert re.search(r"changes +1/2  p95 [0-9.]+ (ms|µs) late", shown)
    assert shown.rstrip().endswith("runs/deployment/report/index.html")
    os.close(terminal)


def test_ctrl_c_on_the_terminal_leaves_it_as_it_was(
    started: tuple[subprocess.Popen[bytes], int], folder: Path
) -> None:
    process, terminal = started
    read_until(terminal, "phase calm")
    process.send_signal(signal.SIGINT)
    written = read_until(terminal, "never printed", 20)
    assert process.wait(20) == 130
    assert "ending the run; once more ends it at once" in written
    assert "\x1b[?25h" in written and "interrupted" in CONTROL.sub("", written)
    assert (folder / "runs/deployment/report/index.html").exists()
    os.close(terminal)


def test_a_terminal_that_goes_away_ends_the_run_and_its_record_stays(
    started: tuple[subprocess.Popen[bytes], int], folder: Path
) -> None:
    process, terminal = started
    read_until(terminal, "phase calm")
    os.close(terminal)
    process.send_signal(signal.SIGHUP)
    assert process.wait(30) == 130
    assert (folder / "runs/deployment/report/index.html").exists()
