"""Log lines of an app: cut where they are too long; left out and counted where they are too many."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu_runtime.agent.supervision import log_lines
from wotemu_runtime.agent.supervision.log_lines import MAX_LINE, LeftOut, LineSplitter, LogBounds, LogReader

LINE = b"x" * 99 + b"\n"


class Node:
    """A node that logs: its clock, how much waits for the bus, and what came of it."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waiting = 0
        self.lines: list[str] = []
        self.lost = 0
        self.bounds = LogBounds(lambda: self.waiting, lambda: self.now_s)

    async def prints(self, *chunks: bytes) -> None:
        """One process prints this, and ends."""
        reader = asyncio.StreamReader()
        copying = asyncio.create_task(LogReader(self.bounds, self.lines.append, self._lose).run(reader))
        for chunk in chunks:
            reader.feed_data(chunk)
            await asyncio.sleep(0)
            while reader._buffer:  # type: ignore[attr-defined]  # until it is read  # noqa: ASYNC110
                await asyncio.sleep(0)
        reader.feed_eof()
        await copying

    def _lose(self, count: int) -> None:
        self.lost += count

    @property
    def notes(self) -> list[str]:
        return [line for line in self.lines if line.startswith("[wotemu]")]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    """One whose bounds are small."""
    monkeypatch.setattr(log_lines, "BURST_BYTES", 16_400)
    monkeypatch.setattr(log_lines, "RATE_BYTES", 1_640)
    monkeypatch.setattr(log_lines, "TOTAL_BYTES", 164_000)
    monkeypatch.setattr(log_lines, "WAIT_S", 0.01)
    monkeypatch.setattr(log_lines, "_SKIP_PAUSE_S", 0)
    return Node()


def cut(chunks: Iterable[bytes]) -> list[bytes]:
    splitter = LineSplitter()
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.end()


@given(st.lists(st.binary(max_size=40)))
def test_lines_are_the_same_however_the_stream_is_cut(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    expected = whole.split(b"\n")
    assert cut(chunks) == (expected if expected[-1] else expected[:-1])


@pytest.mark.parametrize("chunk", [1000, 64 * 1024, 300_000])
def test_a_line_without_an_end_is_cut_into_parts_that_lose_nothing(chunk: int) -> None:
    text = ("Wärme €" * 30_000).encode()
    parts = cut(text[at : at + chunk] for at in range(0, len(text), chunk))
    assert b"".join(parts) == text
    assert all(MAX_LINE - 4 < len(part) <= MAX_LINE for part in parts[:-1])
    assert "".join(part.decode() for part in parts) == text.decode(), "no character is cut"


async def test_a_burst_is_logged_whole_and_what_is_beyond_it_left_out(node: Node) -> None:
    await node.prints(*[LINE] * 300)
    texts = [line for line in node.lines if line not in node.notes]
    assert len(texts) + node.lost == 300
    assert len(texts) >= 16_400 // (len(LINE) - 1 + log_lines.LINE_COST)
    assert len(node.notes) == 1
    assert f"{node.lost} lines" in node.notes[0]


async def test_what_was_printed_last_is_kept(node: Node) -> None:
    flood = [LINE] * 1000
    await node.prints(*flood, b"Traceback:\n", b"OSError: no such device")
    assert node.lines[-2:] == ["Traceback:", "OSError: no such device"]
    assert node.notes


async def test_a_node_that_is_quiet_again_logs_again_and_says_where_lines_are_missing(node: Node) -> None:
    await node.prints(*[LINE] * 1000)
    before = len(node.lines)
    node.now_s += 50
    await node.prints(b"hello\n")
    assert node.lines[before:] == ["hello"]


async def test_a_run_has_a_total(node: Node) -> None:
    for _ in range(20):
        node.now_s += 1000
        await node.prints(*[LINE] * 90)
    logged = [line for line in node.lines if line not in node.notes]
    assert node.bounds.is_spent
    assert len(logged) + node.lost == 20 * 90
    tails = 20 * log_lines.TAIL_BYTES / len(LINE)
    assert len(logged) <= 164_000 / 163 + 101 + tails


async def test_a_bus_that_is_away_holds_nobody_up(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "WAITING_BYTES", 1000)
    node.waiting = 10**9
    async with asyncio.timeout(5):
        await node.prints(*[LINE] * 60)
    logged = [line for line in node.lines if line not in node.notes]
    assert len(logged) + node.lost == 60
    assert node.lost


def test_what_is_left_out_takes_no_memory() -> None:
    left_out = LeftOut()
    for _ in range(1000):
        left_out.add(LINE * 600)
    assert (left_out.lines, left_out.size) == (600_000, 60_000_000)
    assert len(left_out.tail) == log_lines.TAIL_BYTES
