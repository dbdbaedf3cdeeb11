"""Captures as bytes: pcapng that another reader reads, and files that a disk refuses."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, cast

import dpkt

from wotemu_runtime.capture import pcapng
from wotemu_runtime.capture.bounded_file import CaptureFile
from wotemu_runtime.capture.node_packets import NodePackets

FRAME = bytes(range(61))


def test_another_reader_finds_packets_with_their_nanoseconds_and_interfaces() -> None:
    times_ns = [1_700_000_000_123_456_789, 1_700_000_000_123_456_790]
    file = b"".join(
        [
            pcapng.section_header("WoTemu"),
            pcapng.interface_description("field", "eth0 of sensor"),
            *(
                pcapng.packet(0, time_ns, FRAME, 1500, is_outgoing=is_outgoing)
                for time_ns, is_outgoing in zip(times_ns, (True, False), strict=True)
            ),
            pcapng.interface_statistics(0, times_ns[1], received=3, dropped=1, stored=2),
        ]
    )
    assert len(file) % 4 == 0
    reader = dpkt.pcapng.Reader(io.BytesIO(file))
    assert reader.datalink() == dpkt.pcap.DLT_EN10MB
    options = {option.code: option.data for option in reader.idb.opts}
    assert options[2] == b"field"
    found = list(reader)
    assert [data for _, data in found] == [FRAME, FRAME]
    assert [round(time * 1e9) // 1000 for time, _ in found] == [time_ns // 1000 for time_ns in times_ns]
    # That reader's times are floats; the exact ones are in the blocks.
    assert [high << 32 | low for high, low in _times(file)] == times_ns
    assert [flags & 3 for flags in _flags(file)] == [2, 1]


def _packets(file: bytes) -> list[bytes]:
    blocks, at = [], 0
    while at < len(file):
        total = int.from_bytes(file[at + 4 : at + 8], "little")
        assert file[at + total - 4 : at + total] == file[at + 4 : at + 8]
        blocks.append(file[at : at + total])
        at += total
    return [block for block in blocks if block[0] == pcapng.PACKET_TYPE]


def _times(file: bytes) -> list[tuple[int, int]]:
    return [
        (int.from_bytes(block[12:16], "little"), int.from_bytes(block[16:20], "little"))
        for block in _packets(file)
    ]


def _flags(file: bytes) -> list[int]:
    return [int.from_bytes(block[-12:-8], "little") for block in _packets(file)]


class Packets:
    """Gives one packet a call."""

    node = "sensor"
    stored = left_out = missed = 0
    is_full = False

    def take(self) -> bytes:
        self.stored += 1
        return pcapng.packet(0, 0, FRAME, len(FRAME), is_outgoing=True)

    def statistics(self) -> bytes:
        return b"statistics"

    def close(self) -> None: ...


def capture_file(folder: Path, packets: Packets) -> CaptureFile:
    fd = os.open(folder, os.O_RDONLY)
    try:
        return CaptureFile("sensor.pcapng", fd, cast(NodePackets, cast(Any, packets)))
    finally:
        os.close(fd)


def test_a_full_disk_ends_a_file_and_its_packets_are_counted(tmp_path: Path) -> None:
    (tmp_path / "sensor.pcapng").symlink_to("/dev/full")
    file = capture_file(tmp_path, Packets())
    assert file.error is None
    file.store()
    assert file.error is not None
    assert "No space left" in str(file.error.strerror)
    file.finish()
    assert (file.stored, file.left_out, file.size) == (0, 2, 0)


def test_a_folder_that_takes_no_file_is_known_at_once(tmp_path: Path) -> None:
    (tmp_path / "sensor.pcapng").mkdir()
    file = capture_file(tmp_path, Packets())
    assert file.error is not None
    file.store()
    file.finish()
    assert (file.stored, file.left_out) == (0, 2)


def test_a_file_has_whole_blocks_and_ends_with_the_counts(tmp_path: Path) -> None:
    file = capture_file(tmp_path, Packets())
    file.store()
    file.finish()
    data = (tmp_path / "sensor.pcapng").read_bytes()
    assert data.endswith(b"statistics")
    assert (file.stored, file.size) == (2, len(data))
