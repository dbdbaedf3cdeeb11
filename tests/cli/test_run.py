"""Whole runs through the command line: what is printed, what is left, and what signals do."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.cli.conftest import TWO_NODES, Start, Write
from wotemu.cli.commands.run import run

pytestmark = pytest.mark.namespaces

LONG = TWO_NODES.replace('"3s"', '"600s"').replace('Phase("slow", "1s")', 'Phase("slow", "300s")')
"""Longer than any test waits."""

NEVER_STARTS = """
def topology():
    return Topology([Node("lamp", NodeApp("apps.py"), networks=[net])])
"""


def descendants(pid: int) -> set[int]:
    """Every process that this one started, and those that they did."""
    parents: dict[int, int] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                stat = (path / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(path.name)] = int(stat.rpartition(")")[2].split()[1])
    found, new = set[int](), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def identities(pids: set[int]) -> dict[int, str]:
    """When each of the processes started, which with its number identifies it."""
    return {pid: started for pid in pids if (started := _started(pid))}


def _started(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def still_there(known: dict[int, str], within_s: float) -> dict[int, str]:
    """Those of the processes that have not gone by then."""
    deadline = time.monotonic() + within_s
    while (left := {pid: started for pid, started in known.items() if _started(pid) == started}) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.02)  # there is no event for the end of others' processes
    return left


def namespaces_of(pids: set[int], kind: str) -> set[str]:
    found = set()
    for pid in pids:
        try:
            found.add(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
        except OSError:
            continue
    return found


def test_a_quiet_run_says_how_it_went_and_where_the_report_is(
    start: Start, write: Write, folder: Path
) -> None:
    running = start("run", write(TWO_NODES))
    assert running.finish() == 0
    assert running.errors == ""
    assert running.lines[0] == "Running deployment: 2 nodes on 1 network for 3s, seed 0."
    assert any(line.startswith("done  deployment: 2 nodes on 1 network") for line in running.lines)
    assert "2 of 2 took hold; late p50" in running.output
    assert "runs/deployment/report/index.html" in running.lines[-1]
    assert (folder / "runs/deployment/report/index.html").stat().st_size > 100_000


def test_following_on_a_pipe_gives_a_plain_line_an_event(start: Start, write: Write) -> None:
    running = start("run", write(TWO_NODES), "--follow", FORCE_COLOR="1")
    assert running.finish() == 0
    assert "\x1b" not in running.output and "\r" not in running.output
    kinds = [line.split()[1] for line in running.lines if line.startswith(" ")]
    for kind in ("deploy.started", "role.ready", "run.t0", "run.phase", "change.applied", "report.written"):
        assert kind in kinds
    (slow,) = [line for line in running.lines if "latency" in line]
    assert slow.split()[:3] == [slow.split()[0], "change.applied", "gateway:field"]
    assert 1.0 <= float(slow.split()[0]) < 1.5
    assert "field up: latency 5ms → 50ms" in slow


def test_json_lines_hold_every_event_and_a_summary(start: Start, write: Write, folder: Path) -> None:
    running = start("run", write("print('not JSON')" + TWO_NODES), "--json", "--seed", 7)
    assert running.finish() == 0
    assert running.errors == "not JSON\n"
    events = [json.loads(line) for line in running.lines]
    assert {"t", "at", "kind", "source", "message", "data"} == set(events[0])
    recorded = [
        json.loads(line) for line in (folder / "runs/deployment/events.jsonl").read_text().splitlines()
    ]
    kinds = [event["kind"] for event in events]
    assert {event["kind"] for event in recorded} <= set(kinds)
    last = events[-1]
    assert last["kind"] == "run.summary"
    assert last["data"]["status"] == "done" and last["data"]["exit_code"] == 0
    assert last["data"]["changes"] == 2 and last["data"]["packets"] > 0 and last["data"]["dropped"]["cut"] > 0
    assert json.loads((folder / "runs/deployment/manifest.json").read_text())["seed"] == 7


def test_options_name_the_run_its_directory_and_its_duration(
    start: Start, write: Write, folder: Path
) -> None:
    running = start(
        "run", write(TWO_NODES), "--name", "try", "--out", "elsewhere/here", "--duration", "1500ms"
    )
    assert running.finish() == 0
    manifest = json.loads((folder / "elsewhere/here/manifest.json").read_text())
    assert (manifest["name"], manifest["duration_s"], manifest["status"]) == ("try", 1.5, "done")
    assert "Warning: " in running.output and "the end is at 1.5s" in running.output
    assert not (folder / "runs").exists()


def test_a_run_takes_a_number_where_its_name_is_taken(start: Start, write: Write, folder: Path) -> None:
    for _ in range(2):
        assert start("run", write(TWO_NODES), "--duration", "1s").finish() == 0
    assert {path.name for path in (folder / "runs").iterdir()} == {"deployment", "deployment-2"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_interrupt_ends_the_run_and_writes_the_report(
    start: Start, write: Write, folder: Path, number: signal.Signals
) -> None:
    running = start("run", write(LONG), "--follow")
    running.until("app.ready")
    processes = identities(descendants(running.process.pid))
    running.hit(number)
    assert running.finish() == 130
    assert running.errors == ""
    assert still_there(processes, within_s=0) == {}
    assert (folder / "runs/deployment/report/index.html").exists()
    assert json.loads((folder / "runs/deployment/manifest.json").read_text())["status"] == "interrupted"


def test_an_interrupt_while_it_deploys_ends_it_too(start: Start, write: Write, folder: Path) -> None:
    running = start("run", write(LONG), "--follow")
    running.until("deploy.started")
    running.hit(signal.SIGINT)
    assert running.finish() == 130
    assert running.errors == ""
    assert json.loads((folder / "runs/deployment/manifest.json").read_text())["status"] == "interrupted"
    assert (folder / "runs/deployment/report/index.html").exists()


def test_a_second_interrupt_ends_it_at_once(start: Start, write: Write, folder: Path) -> None:
    stubborn = """
    def topology():
        return Topology([Node("deaf", command=["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"])])
    """
    running = start("run", write(stubborn), "--follow")
    running.until("app.ready")
    processes = identities(descendants(running.process.pid))
    running.hit(signal.SIGINT)
    running.until("run.stopping")
    running.hit(signal.SIGINT)
    asked = time.monotonic()
    assert running.finish() == 130
    assert time.monotonic() - asked < 2
    assert still_there(processes, within_s=0) == {}
    assert json.loads((folder / "runs/deployment/manifest.json").read_text())["status"] == "interrupted"
    assert not (folder / "runs/deployment/report").exists()
    reporting = start("report", "runs/deployment", "--out", "report")
    assert reporting.finish() == 0
    assert (folder / "report/index.html").exists()


def test_a_second_interrupt_while_it_deploys_leaves_nothing(start: Start, write: Write) -> None:
    running = start("run", write(LONG), "--follow")
    running.until("deploy.started")
    processes = identities(descendants(running.process.pid))
    running.hit(signal.SIGINT)
    running.hit(signal.SIGTERM)
    assert running.finish() == 130
    assert still_there(processes, within_s=0) == {}


def test_an_interrupt_while_it_reports_lets_the_report_be_written(
    start: Start, write: Write, folder: Path
) -> None:
    running = start("run", write(TWO_NODES), "--follow", "--duration", "1s")
    running.until("report.started")
    running.hit(signal.SIGINT)
    assert running.finish() == 130
    assert (folder / "runs/deployment/report/index.html").exists()
    assert json.loads((folder / "runs/deployment/manifest.json").read_text())["status"] == "done"


def test_two_interrupts_while_it_reports_leave_a_run_that_can_be_reported(
    start: Start, write: Write, folder: Path
) -> None:
    running = start("run", write(TWO_NODES), "--follow", "--duration", "1s")
    running.until("report.started")
    running.hit(signal.SIGINT)
    running.until("run.interrupted")
    running.hit(signal.SIGINT)
    assert running.finish() == 130
    assert start("report", "runs/deployment").finish() == 0
    assert (folder / "runs/deployment/report/index.html").exists()


def test_a_killed_run_leaves_nothing_running_and_can_still_be_reported(
    start: Start, write: Write, folder: Path
) -> None:
    limited = LONG.replace('"pinger",', '"pinger", resources=NodeResources(mem_limit="64M", cpu_limit=0.5),')
    mounts = Path("/proc/self/mountinfo").read_text()
    running = start("run", write(limited), "--follow")
    running.until("change.applied")
    running.until("run.counters")
    inside = descendants(running.process.pid)
    processes, nets = identities(inside), namespaces_of(inside, "net")
    assert len(nets) >= 4
    everybody = identities({int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()})
    running.process.kill()
    assert running.finish() == -signal.SIGKILL
    assert still_there(processes, within_s=5) == {}
    left = namespaces_of(set(still_there(everybody, within_s=0)), "net") & nets
    assert left <= namespaces_of({os.getpid()}, "net")
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert list(Path("/sys/fs/cgroup").glob(f"**/wotemu-*-{running.process.pid}")) == []
    assert (folder / "runs/deployment/spool").is_dir()
    reporting = start("report", "runs/deployment")
    assert reporting.finish() == 0
    assert reporting.output == "runs/deployment/report/index.html"
    assert {"hops.parquet", "changes.parquet"} <= {
        path.name for path in (folder / "runs/deployment/tables").iterdir()
    }


def test_an_app_that_raises_at_its_start_is_named_with_its_line(
    start: Start, write: Write, folder: Path
) -> None:
    (folder / "apps.py").write_text("async def app(wot, conf, loop):\n    raise RuntimeError('no bulb')\n")
    running = start("run", write(NEVER_STARTS))
    assert running.finish() == 2
    assert "Error: RuntimeError: no bulb\n  where: Node 'lamp', apps.py:2\n" in running.errors
    assert running.lines[-1].endswith("runs/deployment/report/index.html")


def test_an_app_that_can_not_be_imported_ends_the_run_before_t0(
    start: Start, write: Write, folder: Path
) -> None:
    (folder / "apps.py").write_text("import no_such_thing\nasync def app(wot, conf, loop): ...\n")
    running = start("run", write(NEVER_STARTS), "--json")
    assert running.finish() == 2
    assert "no_such_thing" in running.errors and "Node 'lamp', apps.py:1" in running.errors
    kinds = [json.loads(line)["kind"] for line in running.lines]
    assert "run.t0" not in kinds
    assert json.loads(running.lines[-1])["data"]["exit_code"] == 2


def test_a_command_that_always_fails_is_named(start: Start, write: Write) -> None:
    failing = """
    def topology():
        return Topology([Node("a", command=["sh", "-c", "echo no luck >&2; exit 7"])])
    """
    running = start("run", write(failing))
    assert running.finish() == 2
    assert "Error: no luck\n  where: Node 'a'\n" in running.errors


def test_the_emulation_s_own_failure_has_its_own_exit_code(start: Start, write: Write, folder: Path) -> None:
    running = start("run", write(LONG), "--follow")
    running.until("app.ready")
    (gateway,) = [
        pid for pid in descendants(running.process.pid) if _open_taps(pid) == 2 and _threads_of_bus(pid) == 0
    ]
    os.kill(gateway, signal.SIGKILL)
    assert running.finish() == 3
    assert "where: gateway:field" in running.errors and "killed by SIGKILL" in running.errors
    assert (folder / "runs/deployment/report/index.html").exists()


def _open_taps(pid: int) -> int:
    try:
        return sum(str(fd.readlink()) == "/dev/net/tun" for fd in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return 0


def _threads_of_bus(pid: int) -> int:
    return int("valkey" in Path(f"/proc/{pid}/cmdline").read_text())


def test_a_reader_who_leaves_does_not_end_the_run(start: Start, write: Write, folder: Path) -> None:
    running = start("run", write(TWO_NODES), "--follow")
    running.until("run.t0")
    assert running.process.stdout is not None and running.process.stderr is not None
    running.process.stdout.close()
    assert running.process.wait(60) == 0
    assert running.process.stderr.read() == ""
    assert (folder / "runs/deployment/report/index.html").exists()


@pytest.mark.parametrize(
    ("words", "nodes"),
    [
        (["x.py", "--pcap"], "*"),
        (["--pcap", "x.py"], "*"),
        (["--pcap", "./x", "--quiet"], "*"),
        (["--pcap", "a,b", "x.py"], "a,b"),
        (["--pcap=a", "x.py"], "a"),
    ],
)
def test_pcap_before_the_file_does_not_take_it_for_a_node(words: list[str], nodes: str) -> None:
    context = run.make_context("run", words)
    assert context.params["pcap"] == (nodes,)
    assert context.params["path"] in ("x.py", "./x")
