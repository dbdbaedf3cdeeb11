"""Outputs of ping, irtt and iperf3."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

from wotemu.traces.recording import Direction, Recording, Row, TraceImportError
from wotemu.traces.round_trips import RoundTrip
from wotemu.traces.round_trips import recording_of as of_round_trips

_REPLY = re.compile(r"(?:^\[(?P<stamp>\d+\.\d+)\] )?.*\b(?:icmp_seq|seq)[= ](?P<seq>\d+)\b(?P<rest>.*)")
_TIME = re.compile(r"\btime[=<]\s*(?P<ms>[0-9.]+)\s*ms")
_PING_INTERVAL_S = 1.0
_WRAP = 65_536
"""ICMP sequence numbers have 16 bits, and busybox prints them as such."""


def read_ping(
    lines: Sequence[str], name: str, *, interval_s: float | None = None, window_s: float | None = None
) -> Recording:
    """Read what ping(8) of iputils (also with ``-D`` and ``-O``) or busybox prints.

    A packet is lost if its sequence number is missing. Its time comes from the ``-D`` stamp, or else from its
    number and the interval.

    Args:
        lines: Of the output.
        name: What messages name.
        interval_s: Between packets, as ``-i`` had it; None for one second, or what the stamps say.
        window_s: Seconds that a row averages; None for what ten packets need.

    Raises:
        TraceImportError: There is no reply in it.
    """
    replies: dict[int, tuple[float, float | None]] = {}
    expected, sent = 0, None
    for number, line in enumerate(lines, 1):
        summary = re.match(r"(\d+) packets transmitted", line)
        sent = int(summary[1]) if summary else sent
        match, time = _REPLY.match(line), _TIME.search(line)
        if match is None or time is None or "DUP!" in line:
            continue
        seq = _unwrapped(int(match["seq"]), expected)
        expected = max(expected, seq)
        try:
            rtt_s = float(time["ms"]) / 1e3
        except ValueError:
            raise TraceImportError(
                f"{time['ms']!r} is no time", where=f"{name}, line {number}, column time"
            ) from None
        replies.setdefault(seq, (rtt_s, float(match["stamp"]) if match["stamp"] else None))
    if not replies:
        raise TraceImportError(
            "it has no line of a reply",
            where=name,
            hint='they look like "... icmp_seq=1 ttl=64 time=20.1 ms"',
        )
    stamped = [(seq, stamp - rtt) for seq, (rtt, stamp) in sorted(replies.items()) if stamp is not None]
    step_s = interval_s or _interval(stamped) or _PING_INTERVAL_S
    first = min(0 if 0 in replies else 1, *replies)
    last = max(max(replies), first + sent - 1 if sent else 0)
    at = dict(stamped)
    start_s = stamped[0][1] - stamped[0][0] * step_s if stamped else 0.0
    trips = [
        RoundTrip(at.get(seq, start_s + seq * step_s), replies[seq][0] if seq in replies else None)
        for seq in range(first, last + 1)
    ]
    return of_round_trips(trips, name, window=window_s, source="round-trip times of ping")


def _unwrapped(seq: int, expected: int) -> int:
    base = expected - expected % _WRAP
    return (
        min((base + seq + by * _WRAP for by in (-1, 0, 1)), key=lambda each: (abs(each - expected), each))
        if (seq < _WRAP and expected >= _WRAP // 2)
        else seq
    )


def _interval(stamped: Sequence[tuple[int, float]]) -> float | None:
    if len(stamped) < 2 or stamped[-1][0] == stamped[0][0]:
        return None
    return (stamped[-1][1] - stamped[0][1]) / (stamped[-1][0] - stamped[0][0])


def read_irtt(
    text: str, name: str, *, direction: Direction | None = None, window_s: float | None = None
) -> Recording:
    """Read the JSON that ``irtt client -o FILE`` writes.

    Args:
        text: Of the file.
        name: What messages name.
        direction: Which way's loss to take, where the server counted (``--stats``).
        window_s: Seconds that a row averages; None for what ten packets need.

    Raises:
        TraceImportError: It is no such file.
    """
    data = _json(text, name)
    trips = []
    for number, trip in enumerate(_list(data, "round_trips", name), 1):
        where = f"{name}, round trip {number}"
        try:
            sent_ns = trip["timestamps"]["client"]["send"]
            sent_s = (sent_ns["monotonic"] if "monotonic" in sent_ns else sent_ns["wall"]) / 1e9
            lost = str(trip["lost"]).lower()
            rtt_s = trip["delay"]["rtt"] / 1e9 if lost == "false" else None
        except (KeyError, TypeError) as error:
            raise TraceImportError(f"it lacks {error}", where=where) from error
        ways: dict[str, Literal["up", "down"]] = {"true_up": "up", "true_down": "down"}
        if lost not in ("true", "false", *ways):
            raise TraceImportError(f"lost is {lost!r}", where=where)
        trips.append(RoundTrip(sent_s, rtt_s, ways.get(lost)))
    return of_round_trips(
        trips, name, window=window_s, direction=direction, source="round-trip times of irtt"
    )


def read_iperf3(text: str, name: str) -> Recording:
    """Read the JSON of ``iperf3 --json``: the rate of each interval, and loss where it was UDP.

    Round-trip times of TCP are left out: the test's own queue is in them.

    Raises:
        TraceImportError: It is no such file, or the test failed.
    """
    data = _json(text, name)
    if "error" in data:
        raise TraceImportError(f"the test failed: {data['error']}", where=name)
    is_udp = _protocol(data) == "UDP"
    rows: list[Row] = []
    end_s = 0.0
    for number, interval in enumerate(_list(data, "intervals", name), 1):
        where = f"{name}, interval {number}"
        try:
            total = interval["sum"]
            if total.get("omitted"):
                continue
            start_s, end_s = float(total["start"]), float(total["end"])
            values = {"rate_bps": float(total["bits_per_second"])}
            if is_udp and "lost_percent" in total:
                values["loss"] = float(total["lost_percent"]) / 100
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TraceImportError(f"it lacks {error}", where=where) from error
        if rows and start_s <= rows[-1][0]:
            raise TraceImportError(f"it starts at {start_s:g} s, not after the last", where=where)
        rows.append((start_s, cast(Any, values)))
    if not rows:
        raise TraceImportError("it has no intervals", where=name, hint="use iperf3 --json --interval 1")
    first_s = rows[0][0]
    placed = tuple((round(t_s - first_s, 6), values) for t_s, values in rows)
    said = [
        "the rate is what the test got, which is at most what the path had",
        "payload alone is counted: headers add about 3 %: .replay(..., scale={'rate': 1.03})",
    ]
    if is_udp:
        said.append("a UDP test's rate is its own sending rate, unless that is more than the path's")
    else:
        said.append("round-trip times are left out: the queue that the test itself filled is in them")
    return Recording(
        placed,
        end_s - first_s,
        {"rate_bps": "bits_per_second of intervals", "loss": "lost_percent"},
        tuple(said),
    )


def _protocol(data: dict[str, Any]) -> str:
    start = data.get("start")
    test = start.get("test_start") if isinstance(start, dict) else None
    return str(test.get("protocol", "")).upper() if isinstance(test, dict) else ""


def read_ntrace(text: str, name: str, *, direction: Direction = "down") -> Recording:
    """Read an ``.ntrace`` file of the LPP Network Trace Format (W3C Web & Networks).

    Raises:
        TraceImportError: It is no such file.
    """
    from wotemu.traces.column_mapping import MappedColumn

    stamp: Callable[[str], float] = MappedColumn("t", "dateTime", "iso").read
    rate, latency = ("dlBw", "dlLatency") if direction == "down" else ("ulBw", "ulLatency")
    rows: list[Row] = []
    entries = _list(_json(text, name), "entries", name)
    times: list[float] = []
    for number, entry in enumerate(entries, 1):
        where = f"{name}, entry {number}"
        try:
            t_s = stamp(entry["dateTime"])
            values = {}
            if rate in entry:
                values["rate_bps"] = float(entry[rate]) * 1e3
            if latency in entry:
                values["latency_ms"] = float(entry[latency]) / 1e3
        except (KeyError, TypeError, ValueError) as error:
            raise TraceImportError(f"{error} is wrong or missing", where=where) from error
        if times and t_s <= times[-1]:
            raise TraceImportError("its dateTime does not come after the last", where=where)
        times.append(t_s)
        if values:
            rows.append((round(t_s - times[0], 6), cast(Any, values)))
    if not rows:
        raise TraceImportError(f"no entry has {rate} or {latency}", where=name)
    first_s, last_s = rows[0][0], times[-1] - times[0]
    length_s = last_s + (times[-1] - times[-2] if len(times) > 1 else 1.0)
    return Recording(
        tuple((round(t_s - first_s, 6), values) for t_s, values in rows),
        length_s - first_s,
        {"rate_bps": f"{rate}, kbit/s", "latency_ms": f"{latency}, us"},
        ("latency to the first bytes is taken as the latency of this way",),
    )


def _json(text: str, name: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise TraceImportError(f"it is no JSON: {error}", where=name) from error
    if not isinstance(data, dict):
        raise TraceImportError("it is no JSON object", where=name)
    return data


def _list(data: dict[str, Any], key: str, name: str) -> list[Any]:
    found = data.get(key)
    if not isinstance(found, list) or not found:
        raise TraceImportError(f"it has no {key}", where=name)
    return found
