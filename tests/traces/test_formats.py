"""Each format's sample, in the form that its publisher describes, becomes the rows that it means."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from wotemu.scenario import Trace
from wotemu.traces.column_mapping import MappedColumn
from wotemu.traces.format_names import FORMAT_NAMES
from wotemu.traces.formats import READERS, ImportOptions, read
from wotemu.traces.recording import Recording, TraceImportError, gaps, refuse_double_queueing
from wotemu.traces.trace_file import trace_text

UCC_HEAD = "Timestamp,Longitude,DL_bitrate,UL_bitrate,PINGAVG,PINGMIN,PINGMAX,PINGSTDEV,PINGLOSS\n"
UCC = UCC_HEAD + "2020.01.08_10.00.00,-8.5,1000,50,40,30,60,5,0\n2020.01.08_10.00.01,-8.5,2000,60,-,-,-,-,-\n"
ERRANT = (
    "time,operator,country,technology,quality,download,upload,rtt\n"
    "1601642003,o,norway,4g,good,17580.5,14188,82\n"
)
GHENT = "1453121790686 0 51.03 3.73 250000 1000\n1453121791686 1000 51.03 3.73 125000 1000\n"
NTRACE: dict[str, Any] = {
    "version": 1,
    "description": "a walk",
    "entries": [
        {"entryNo": 1, "dateTime": "2020-10-09T08:23:00.500+02:00", "dlBw": 12608, "dlLatency": 20000},
        {"entryNo": 2, "dateTime": "2020-10-09T08:23:11.500+02:00", "dlBw": 7641, "ulBw": 900},
    ],
}
THEATERQ_EXTENDED = (
    "KEEP,...\n1000000,20000000,1000000,5000000,42949673,100,0,0,1\n500000,30000000,0,0,0,100,0,0,2\n"
)
LENS_IRTT = (
    "timestamp,rtt,uplink,downlink\n1705744800000000000,120,72,48\n1705744800100000000,0,0,-1\n"
    "1705744800200000000,0,-1,0\n1705744800300000000,100,52,48\n"
)

ROWS: list[tuple[str, str, ImportOptions, list[tuple[float, dict[str, float]]], float]] = [
    ("nyu-mets", "3.97,Mbits/sec\n791,Kbits/sec\n0,bits/sec\n", ImportOptions(),
     [(0, {"rate_bps": 3.97e6}), (1, {"rate_bps": 791e3}), (2, {"rate_bps": 0})], 3),
    ("ghent", GHENT, ImportOptions(), [(0, {"rate_bps": 2e6}), (1, {"rate_bps": 1e6})], 2),
    ("pensieve", "0.5 1.2\n1.5 2\n", ImportOptions(), [(0, {"rate_bps": 1.2e6}), (1, {"rate_bps": 2e6})], 2),
    ("errant", ERRANT, ImportOptions(), [(0, {"latency_ms": 41, "rate_bps": 17580.5e3})], 1),
    ("errant", ERRANT, ImportOptions(direction="up"), [(0, {"latency_ms": 41, "rate_bps": 14188e3})], 1),
    ("ucc-5g", UCC, ImportOptions(),
     [(0, {"latency_ms": 20, "loss": 0, "rate_bps": 1e6}), (1, {"rate_bps": 2e6})], 2),
    ("phantomlink", "Time[ms],RouteID,Delay[ms],Btldr[Mbps]\n0,0,140,100\n1000,1,40.9,80\n", ImportOptions(),
     [(0, {"latency_ms": 140, "rate_bps": 100e6}), (1, {"latency_ms": 40.9, "rate_bps": 80e6})], 2),
    ("theaterq", "1000,2000000,8000,0,10\n3000,1000000,16000,4294967295,10\n", ImportOptions(),
     [(0, {"latency_ms": 2, "loss": 0, "rate_bps": 8e3}),
      (0.001, {"latency_ms": 1, "loss": 1, "rate_bps": 16e3})], 0.004),
    ("theaterq", THEATERQ_EXTENDED, ImportOptions(),
     [(0, {"latency_ms": 20, "jitter_ms": 1, "loss": 0.01, "rate_bps": 5e6}),
      (1, {"latency_ms": 30, "jitter_ms": 0, "loss": 0, "rate_bps": 0})], 1.5),
    ("ntrace", json.dumps(NTRACE), ImportOptions(),
     [(0, {"latency_ms": 20, "rate_bps": 12608e3}), (11, {"rate_bps": 7641e3})], 22),
    ("ntrace", json.dumps(NTRACE), ImportOptions(direction="up"), [(0, {"rate_bps": 900e3})], 11),
    ("lens-irtt", LENS_IRTT, ImportOptions(direction="up"),
     [(0, {"latency_ms": 55, "jitter_ms": 10, "loss": 0.25})], 0.4),
    ("lens-irtt", LENS_IRTT, ImportOptions(direction="down"),
     [(0, {"latency_ms": 55, "jitter_ms": 10, "loss": 1 / 3})], 0.4),
    ("lens-irtt", LENS_IRTT, ImportOptions(),
     [(0, {"latency_ms": 55, "jitter_ms": 10, "loss": 1 - math.sqrt(0.5)})], 0.4),
    ("lens-ping", "timestamp,rtt\n1705744800.5,90\n1705744800.6,110\n", ImportOptions(),
     [(0, {"latency_ms": 50, "jitter_ms": 10})], 0.2),
]  # fmt: skip


@pytest.mark.parametrize(("form", "text", "options", "rows", "length_s"), ROWS)
def test_a_sample_has_the_rows_that_it_means(
    form: str, text: str, options: ImportOptions, rows: list[tuple[float, dict[str, float]]], length_s: float
) -> None:
    found = read(text, "f", form, options)
    assert [t_s for t_s, _ in found.rows] == pytest.approx([t_s for t_s, _ in rows])
    for (_, values), (_, expected) in zip(found.rows, rows, strict=True):
        assert values == pytest.approx(expected)
    assert found.length_s == pytest.approx(length_s)


def replayed(recording: Recording, folder: Path) -> Trace:
    path = folder / "trace.csv"
    path.write_text(trace_text(recording, ["source: a test"]))
    return Trace.read(path)


@pytest.mark.parametrize(("form", "text", "options", "rows", "length_s"), ROWS)
def test_replay_takes_what_was_written_with_the_same_length(
    tmp_path: Path, form: str, text: str, options: ImportOptions, rows: Any, length_s: float
) -> None:
    trace = replayed(read(text, "f", form, options), tmp_path)
    assert trace.length_s == pytest.approx(length_s, abs=2e-6)
    assert trace.rows[0][0] == 0


def test_a_table_is_mapped_with_units(tmp_path: Path) -> None:
    columns = ("t=when:iso", "latency=rtt:us/2", "loss=lost:%", "rate=speed:kbyte/s")
    options = ImportOptions(columns=tuple(map(MappedColumn.of, columns)))
    text = "when,rtt,lost,speed\n2024-01-01T00:00:00Z,30000,5,10\n2024-01-01T00:00:02Z,nan,0,-\n"
    found = read(text, "f", "csv", options)
    assert found.rows[0][1] == pytest.approx({"latency_ms": 15, "loss": 0.05, "rate_bps": 80e3})
    assert found.rows[1] == (2.0, {"loss": 0.0})


PING = """PING host (192.0.2.1) 56(84) bytes of data.
{}64 bytes from 192.0.2.1: icmp_seq=1 ttl=63 time=20.0 ms
{}64 bytes from 192.0.2.1: icmp_seq=2 ttl=63 time=40.0 ms
{}64 bytes from 192.0.2.1: icmp_seq=2 ttl=63 time=41.0 ms (DUP!)
{}64 bytes from 192.0.2.1: icmp_seq=4 ttl=63 time=30.0 ms

--- host ping statistics ---
5 packets transmitted, 3 received, 40% packet loss, time 4004ms
"""
BUSYBOX = """PING 192.0.2.1 (192.0.2.1): 56 data bytes
64 bytes from 192.0.2.1: seq=0 ttl=64 time=20.000 ms
64 bytes from 192.0.2.1: seq=1 ttl=64 time=40.000 ms
64 bytes from 192.0.2.1: seq=3 ttl=64 time=30.000 ms

--- 192.0.2.1 ping statistics ---
5 packets transmitted, 3 packets received, 40% packet loss
round-trip min/avg/max = 20.000/30.000/40.000 ms
"""


@pytest.mark.parametrize(
    "text",
    [
        PING.format("", "", "", ""),
        PING.format("[1700.020] ", "[1701.040] ", "[1701.041] ", "[1703.030] "),
        BUSYBOX,
    ],
)
def test_ping_loses_what_its_numbers_lack(text: str) -> None:
    [(t_s, values)] = read(text, "f", "ping", ImportOptions()).rows
    assert t_s == 0
    assert values == pytest.approx(
        {"latency_ms": 15, "jitter_ms": 10 / math.sqrt(2), "loss": 1 - math.sqrt(0.6)}
    )


def irtt_trip(seq: int, rtt_ms: float, lost: str = "false") -> dict[str, Any]:
    stamps = {"client": {"send": {"wall": 10**18 + seq * 10**8, "monotonic": 7 + seq * 10**8}}}
    return {"seqno": seq, "lost": lost, "timestamps": stamps, "delay": {"rtt": int(rtt_ms * 1e6)}}


def test_irtt_tells_losses_of_the_ways_apart() -> None:
    trips = [irtt_trip(0, 20), irtt_trip(1, 0, "true_up"), irtt_trip(2, 40), irtt_trip(3, 0, "true_up")]
    text = json.dumps({"round_trips": trips})
    assert read(text, "f", "irtt", ImportOptions(direction="up")).rows[0][1]["loss"] == 0.5
    assert read(text, "f", "irtt", ImportOptions(direction="down")).rows[0][1]["loss"] == 0
    assert read(text, "f", "irtt", ImportOptions()).rows[0][1]["latency_ms"] == pytest.approx(15)


def iperf3(protocol: str, **more: Any) -> str:
    each = {"start": 0, "end": 1.0, "seconds": 1, "bits_per_second": 5e6, "omitted": False} | more
    streams = [{"rtt": 150_000, "retransmits": 0}]
    return json.dumps(
        {
            "start": {"test_start": {"protocol": protocol}},
            "intervals": [
                {"streams": streams, "sum": each},
                {"streams": streams, "sum": each | {"start": 1, "end": 2}},
            ],
        }
    )


def test_iperf3_gives_rates_and_never_the_round_trips_of_its_own_queue() -> None:
    found = read(iperf3("TCP"), "f", "iperf3", ImportOptions())
    assert found.columns == ("rate_bps",)
    assert any("the queue that the test itself filled" in line for line in found.assumptions)
    assert read(iperf3("UDP", lost_percent=2), "f", "iperf3", ImportOptions()).rows[0][1]["loss"] == 0.02


def test_a_rate_with_round_trips_under_load_is_refused_unless_allowed() -> None:
    found = read(UCC, "f", "ucc-5g", ImportOptions())
    with pytest.raises(TraceImportError, match="would replay queueing twice") as refused:
        refuse_double_queueing(found, "f", allowed=False)
    assert "--only rate" in str(refused.value.hint)
    refuse_double_queueing(found, "f", allowed=True)
    refuse_double_queueing(found.only(["rate_bps"], "f"), "f", allowed=False)
    refuse_double_queueing(found.only(["latency_ms", "loss"], "f"), "f", allowed=False)


def test_an_idle_column_of_one_way_may_come_with_a_rate() -> None:
    for unit, is_refused in (("ms", False), ("ms/2", True)):
        columns = ("t=t:s", f"latency=l:{unit}", "rate=r:mbit/s")
        options = ImportOptions(columns=tuple(map(MappedColumn.of, columns)))
        found = read("t,l,r\n0,10,5\n", "f", "csv", options)
        assert (found.loaded_rtt is not None) == is_refused


def test_long_intervals_are_gaps() -> None:
    found = read("0 1\n1 1\n2 1\n12 1\n13 1\n", "f", "pensieve", ImportOptions())
    assert [(gap.start_s, gap.length_s) for gap in gaps(found)] == [(2, 10)]


def test_repeated_times_are_merged_and_said() -> None:
    found = read("0 1\n1 2\n1 3\n", "f", "pensieve", ImportOptions())
    assert found.rows[1] == (1, {"rate_bps": 3e6})
    assert any("1 rows repeat" in line for line in found.assumptions)


@pytest.mark.parametrize(
    ("form", "text", "where"),
    [
        ("nyu-mets", "1,Mbits/sec\n2,parsecs\n", "f, line 2, column 2"),
        ("nyu-mets", "x,Mbits/sec\n", "f, line 1, column 1"),
        ("ghent", "1 2 3\n", "f, line 1"),
        ("ghent", "1 2 3 4 5 0\n", "f, line 1, column 6"),
        ("pensieve", "0 1\n1 x\n", "f, line 2, column 2"),
        ("pensieve", "1 1\n0 1\n", "f, line 2"),
        ("ucc-5g", UCC.replace("2000", "quick"), "f, line 3, column DL_bitrate"),
        ("ucc-5g", "Timestamp\n", "f, line 1"),
        ("phantomlink", "Time[ms],RouteID,Delay[ms],Btldr[Mbps]\n0,0,-1,1\n", "f, line 2"),
        ("theaterq", "1,2,3\n", "f"),
        ("theaterq", "0,1,1,0,1\n", "f, line 1"),
        ("lens-irtt", "a,b\n", "f"),
        ("lens-ping", "timestamp,rtt\n1,x\n", "f, line 2"),
        ("irtt", "{}", "f"),
        ("irtt", '{"round_trips": [{"lost": "false"}]}', "f, round trip 1"),
        ("iperf3", '{"error": "unable to connect"}', "f"),
        ("iperf3", '{"intervals": [{}]}', "f, interval 1"),
        ("ntrace", '{"entries": [{"dateTime": "soon"}]}', "f, entry 1"),
        ("ntrace", "[1]", "f"),
        ("ping", "PING\n", "f"),
        ("csv", "t,x\n", "f"),
    ],
)
def test_errors_name_file_line_and_column(form: str, text: str, where: str) -> None:
    with pytest.raises(TraceImportError) as error:
        read(text, "f", form, ImportOptions())
    assert error.value.where == where


@pytest.mark.parametrize("form", sorted(READERS))
@pytest.mark.parametrize("text", ["", "\n\n", "\x00\x01", "{", "-1,-1,-1\n", "[]", "nan nan\n"])
def test_rubbish_is_refused_in_every_format(form: str, text: str) -> None:
    with pytest.raises(TraceImportError):
        read(text, "f", form, ImportOptions())


@pytest.mark.parametrize("text", ["latency", "speed=x:s", "rate=x:ms", "t=x:hours", "latency=x:ms/0"])
def test_a_wrong_mapping_is_refused(text: str) -> None:
    with pytest.raises(TraceImportError):
        MappedColumn.of(text)


def test_each_format_that_the_help_names_has_a_reader() -> None:
    assert FORMAT_NAMES.keys() == READERS.keys()
