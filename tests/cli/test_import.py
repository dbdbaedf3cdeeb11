"""``wotemu import``: what it prints, writes and refuses. Commands of the documentation run as they stand."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke
from wotemu.scenario import Trace

ROOT = Path(__file__).parents[2]
PING = "".join(f"64 bytes from 192.0.2.1: icmp_seq={n} ttl=63 time=2{n % 10}.0 ms\n" for n in range(1, 31))


def test_the_documented_commands_write_traces_that_replay_takes(invoke: Invoke, folder: Path) -> None:
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / "walk.log").write_text(PING)
    (folder / "runs.csv").write_text("time,rtt_ms,lost\n0,40,0\n1,50,10\n")
    text = (ROOT / "docs" / "traces.md").read_text()
    commands = re.findall(r"^wotemu (import .*)$", text, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        arguments = shlex.split(command)
        shown = invoke(*arguments)
        assert shown.exit_code == 0, shown.output
        trace = Trace.read(folder / arguments[arguments.index("--out") + 1])
        assert len(trace.rows) > 1


def test_it_says_what_it_understood(invoke: Invoke, folder: Path) -> None:
    (folder / "walk.log").write_text(PING)
    shown = invoke("import", "walk.log", "--from", "ping", "--out", "walk.csv")
    assert shown.exit_code == 0
    for word in ("latency_ms", "jitter_ms", "loss", "median", "3 rows over 30s", "half of the round trip"):
        assert word in shown.output
    assert str(folder) not in (folder / "walk.csv").read_text()
    asked = json.loads(invoke("import", "walk.log", "--from", "ping", "--out", "walk.csv", "--json").output)
    assert asked["rows"] == 3
    assert asked["length_s"] == pytest.approx(30)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing.log", "--from", "ping"], "nothing.log"),
        (["up.csv", "--from", "csv", "--column", "t=t:s", "--column", "rate=x:mbit/s"], "no column 'x'"),
        (["up.csv", "--from", "csv", "--column", "t=t:s", "--column", "rate=r:mbit/s",
          "--column", "latency=rtt:ms/2"], "replay queueing twice"),
        (["up.csv", "--from", "ping"], "no line of a reply"),
        (["up.csv", "--from", "nyu"], "nyu-mets"),
    ],
)  # fmt: skip
def test_what_it_refuses_leaves_no_trace(
    invoke: Invoke, folder: Path, arguments: list[str], said: str
) -> None:
    (folder / "up.csv").write_text("t,r,rtt\n0,5,300\n1,5,400\n")
    shown = invoke("import", *arguments, "--out", "out.csv")
    assert shown.exit_code == 2
    assert said in " ".join(shown.output.split())
    assert not (folder / "out.csv").exists()


def test_a_file_that_is_not_there_has_a_hint(invoke: Invoke, folder: Path) -> None:
    (folder / "walk.log").touch()
    for given, hint in (("wlak.log", "did you mean walk.log?"), (".", "a file in it"), ("x", "ping -D HOST")):
        done = invoke("import", given, "--from", "ping", "--out", "x.csv")
        assert done.exit_code == 2 and hint in " ".join(done.stderr.split())
