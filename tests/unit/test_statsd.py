"""Lines of StatsD become metrics and events of the node that sent them; what is no such line is counted."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.app.agent_socket import VARIABLE
from wotemu_runtime.agent.app_environment import PROGRAMS, reporting
from wotemu_runtime.agent.metric_socket import Lines, Measured, parse
from wotemu_runtime.agent.statsd import aggregation
from wotemu_runtime.agent.statsd.aggregation import Aggregation
from wotemu_runtime.agent.statsd.lines import ReportedEvent
from wotemu_runtime.agent.statsd.sockets import MAX_PER_S, StatsdSockets, open_udp, open_unix


def taken(*packets: bytes) -> list[Any]:
    """What is recorded of packets, and a second later."""
    node = Aggregation()
    found = [each for packet in packets for each in node.take(packet)]
    assert node.refused.count == 0, node.refused
    return [*found, *node.changed()]


@pytest.mark.parametrize(
    ("packets", "recorded"),
    [
        ([b"depth:2.5|g"], [("depth", 2.5)]),
        ([b"depth:10|g", b"depth:-4|g\ndepth:+1|g"], [("depth", 10), ("depth", 6), ("depth", 7)]),
        ([b"hits:1|c\nhits:2|c\n", b"hits:-1|c"], [("hits", 2)]),
        ([b"hits:1|c|@0.1"], [("hits", 10)]),
        ([b"took:12|ms\ntook:1e1|h|@0.5\r\ntook:.5|d"], [("took", 12), ("took", 10), ("took", 0.5)]),
        ([b"took:1:2:3|ms"], [("took", 1), ("took", 2), ("took", 3)]),
        ([b"users:ann|s\nusers:bob|s\nusers:ann|s"], [("users", 2)]),
        ([b"rx:1|g|#site:b,zone,a:1"], [("rx{a=1,site=b,zone}", 1)]),
        ([b"rx,site=b:1|g"], [("rx{site=b}", 1)]),
        ([b"rx:1|g|c:0123|T1700000000|unknown"], [("rx", 1)]),
        (["größe.м:1|g".encode()], [("größe.м", 1)]),
        ([b"_e{5,4}:ti|le|text|t:warning|h:x"], [ReportedEvent("ti|le", "text", "warning")]),
        (["_e{2,4}:ü|a\\nb".encode()], [ReportedEvent("ü", "a\nb", "info")]),
        ([b"", b"\n\n"], []),
    ],
)
def test_what_becomes_of_lines(packets: list[bytes], recorded: list[Any]) -> None:
    assert taken(*packets) == recorded


def test_counters_and_sets_are_recorded_when_they_changed() -> None:
    node = Aggregation()
    assert list(node.take(b"a:1|c\nb:x|s")) == []
    assert list(node.changed()) == [("a", 1), ("b", 1)]
    assert list(node.take(b"a:2|c\nb:x|s")) == []
    assert list(node.changed()) == [("a", 3)]
    assert list(node.changed()) == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"hello", "not NAME:VALUE|TYPE"),
        (b"a:1", "not NAME:VALUE|TYPE"),
        (b"a:1|q", "type 'q'"),
        (b"a:|g", "value ''"),
        (b"a:nan|g", "value 'nan'"),
        (b"a:1e999|g", "too large"),
        (b"a:1:x|c", "value 'x'"),
        (b"a:0x1|g", "value '0x1'"),
        ("a:١|g".encode(), "value"),
        (b"a:1|c|@0", "sample rate '0'"),
        (b"a:1|c|@x", "sample rate 'x'"),
        (b":1|c", "no name"),
        (b"\xff:1|c", "UTF-8"),
        (b"a:1|c|#x\x1b[31m:1", "control characters"),
        (b"a" * 300 + b":1|c", "characters"),
        (b"_e{1,1}:abc", "lengths"),
        (b"_e{0,1}:|c", "lengths"),
        (b"_e{9999999999,1}:a|b", "_e{TITLE"),
        (b"_e{1,1}:a|b|t:fatal", "'fatal'"),
        (b"_sc|db|0", "service checks"),
        (b'{"metric":', "not NAME"),
        (b"\x00\x01<script>", "not NAME"),
    ],
)
def test_what_is_no_line_is_counted_and_shown_without_harm(line: bytes, why: str) -> None:
    node = Aggregation()
    assert list(node.take(b"ok:1|g\n" + line + b"\nok:2|g")) == [("ok", 1), ("ok", 2)]
    assert list(node.changed()) == []
    assert node.refused.count == 1
    assert why in node.refused.why
    assert node.refused.example.isprintable()


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(packet: bytes) -> None:
    node = Aggregation()
    list(node.take(packet))
    if packet:
        parse(packet)


def test_a_node_has_only_so_many_keys_members_and_events(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAX_KEYS", "MAX_MEMBERS", "MAX_EVENTS"):
        monkeypatch.setattr(aggregation, name, 2)
    node = Aggregation()
    for n in range(4):
        list(node.take(b"_e{1,1}:a|b\nset:%d|s\nkey%d:1|g" % (n, n)))
    assert dict(node.changed()) == {"set": 2}
    assert node.refused.count == 2 + 2 + 3
    assert list(node.take(b"key0:5|g")) == [("key0", 5)], "known ones go on"


async def test_datagrams_arrive_over_udp_and_a_unix_socket_and_the_kernels_drops_are_counted(
    tmp_path: Path,
) -> None:
    packets: list[bytes] = []
    udp, unix = open_udp(0), open_unix(tmp_path / "statsd.sock")
    intake = StatsdSockets(packets.append, [udp, unix])
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as by_udp,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as by_unix,
    ):
        by_udp.connect(udp.getsockname())
        by_udp.send(b"a:1|c")
        by_unix.connect(str(tmp_path / "statsd.sock"))
        by_unix.send(b"b:1|c")
        while len(packets) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert sorted(packets) == [b"a:1|c", b"b:1|c"]
        sent = 2 * MAX_PER_S
        for _ in range(sent):
            by_udp.send(b"a:1|c")
        lost = intake.close()
    assert len(packets) - 2 + lost == sent
    assert lost > 0


def test_the_unix_socket_takes_lines_of_every_user(tmp_path: Path) -> None:
    with open_unix(tmp_path / "s"), open_unix(tmp_path / "s"):
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o666


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["depth", "-2.5"], Measured("depth", -2.5, None)),
        (["depth", "2", "--tag", "site:b"], Measured("depth{site=b}", 2.0, None)),
        (["hits", "1", "--type", "counter"], Lines(b"hits:1.0|c")),
        (["level", "+3", "--type=gauge", "--tag=a:b"], Lines(b"level:+3.0|g|#a:b")),
        (["users", "ann", "--type", "set"], Lines(b"users:ann|s")),
        (
            ["--event", "door", "open\nwide", "--level", "warning"],
            Lines(b"_e{4,10}:door|open\\nwide|t:warning"),
        ),
    ],
)
def test_the_command_reports_numbers_and_events(arguments: list[str], expected: Any) -> None:
    name = f"@wotemu-test-metric-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind("\0" + name[1:])
        listening.listen()
        environ = {**reporting(os.environ), VARIABLE: name}
        ran = subprocess.run(["wotemu-metric", *arguments], env=environ, capture_output=True, text=True)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
        connection, _ = listening.accept()
        with connection:
            assert parse(connection.recv(1 << 16)) == expected


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["a", "x"], 2, "'x' is no finite number"),
        (["a", "inf"], 2, "no finite number"),
        (["a"], 2, "a name and a value"),
        (["a:b", "1"], 2, "no name"),
        (["a", "1", "--type", "meter"], 2, "none of value, gauge"),
        (["a", "1", "--kind", "c"], 2, "no such option: --kind"),
        (["a", "1"], 1, "not inside of a node"),
        (["--help"], 0, "usage: wotemu-metric NAME VALUE"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: list[str], code: int, says: str) -> None:
    ran = subprocess.run([PROGRAMS / "wotemu-metric", *arguments], env={}, capture_output=True, text=True)
    assert ran.returncode == code
    assert says in ran.stdout + ran.stderr


def test_json_stays_a_packet_of_its_own() -> None:
    assert parse(json.dumps({"metric": "k", "value": 1}).encode()) == Measured("k", 1.0, None)
