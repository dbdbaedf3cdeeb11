"""The capture role of one machine: stores what its nodes' interfaces pass, in a process of its own.

So neither gateways nor agents wait for a disk, and a machine that is too busy drops packets of the capture,
which the kernel counts, before it delays those of the nodes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from typing import Any

import uvloop

from wotemu.records import Captured
from wotemu.units import Bytes
from wotemu.wording import counted
from wotemu_gateways.netlink.namespaces import entered
from wotemu_runtime.capture.bounded_file import CaptureFile
from wotemu_runtime.capture.node_packets import RETIRE_MS, NodePackets
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.role import Role, on_bus

RINGS_BYTES = 64 << 20
"""Memory for the rings of all nodes: a capture of 10,000 full packets a second waits 0.5 s in 8 MB."""
MAX_RING_BYTES = 8 << 20
MIN_RING_BYTES = 1 << 19
ROWS_EVERY_S = 1.0
_WAIT_FOR_LAST_S = 2.5 * RETIRE_MS / 1000
"""So long after the nodes' end the kernel hands the last packets over."""


def run_capture(data: dict[str, Any], folder: int) -> int:
    """Capture until the coordinator stops it; the process's exit code.

    Args:
        data: The assignment: ``max_bytes`` of each node's file, and ``nodes``, each with its ``replica``, the
            process id ``first`` of its first process, and its ``interfaces``: their networks by their names.
        folder: Descriptor of the folder for the files.
    """
    assignment = Assignment.from_dict(data)
    # With autogroup scheduling, processors are shared among sessions: a capture has a share of its own.
    os.setsid()
    files = _open_files(assignment.data["nodes"], assignment.data["max_bytes"], folder)
    os.close(folder)
    uvloop.run(_run(assignment, files))
    return 0


def _open_files(nodes: Sequence[dict[str, Any]], max_bytes: int, folder: int) -> list[CaptureFile]:
    ring_bytes = min(MAX_RING_BYTES, max(MIN_RING_BYTES, RINGS_BYTES // len(nodes)))
    files = []
    for node in nodes:
        namespace = os.open(f"/proc/{node['first']}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        with entered(namespace):
            packets = NodePackets(
                node["replica"], node["interfaces"], ring_bytes=ring_bytes, max_bytes=max_bytes
            )
        os.close(namespace)
        files.append(CaptureFile(f"{node['replica']}.pcapng", folder, packets))
    return files


async def _run(assignment: Assignment, files: Sequence[CaptureFile]) -> None:
    async with on_bus(assignment) as (role, _):
        loop = asyncio.get_running_loop()
        captures = [_Capture(role, file) for file in files]
        for each in captures:
            loop.add_reader(each.file.packets.fileno(), each.store)
        role.ready()
        while not role.stopping.is_set():
            role.publisher.put(*(each.row() for each in captures))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROWS_EVERY_S):
                    await role.stopping.wait()
        await asyncio.sleep(_WAIT_FOR_LAST_S)
        for each in captures:
            loop.remove_reader(each.file.packets.fileno())
            each.end()


class _Capture:
    """One node's file, and the events about it."""

    def __init__(self, role: Role, file: CaptureFile) -> None:
        self._role = role
        self.file = file
        self._is_reported = False
        self._report_trouble()

    def store(self) -> None:
        """Store what has come, and report the moment from which on nothing more is."""
        self.file.store()
        self._report_trouble()

    def row(self) -> Captured:
        """What is stored by now."""
        file = self.file
        return Captured(
            self._role.now(), file.packets.node, file.stored, file.size, file.left_out, file.packets.missed
        )

    def _report_trouble(self) -> None:
        file = self.file
        if self._is_reported or not (file.error or file.packets.is_full):
            return
        self._is_reported = True
        if file.error is not None:
            text = f"{file.name} ends at {Bytes(file.size)}: {file.error.strerror}"
            self._role.event("capture.failed", text, file=file.name, bytes=file.size)
        else:
            text = f"{file.name} has reached its size of {Bytes(file.size)}: later packets are not in it"
            self._role.event("capture.full", text, file=file.name, bytes=file.size)

    def end(self) -> None:
        """Store the rest, and report how much there is."""
        file = self.file
        file.finish()
        self._report_trouble()
        row = self.row()
        self._role.publisher.put(row)
        lacks = [
            f"{counted(number, 'packet')} {why}"
            for number, why in ((row.left_out, "left out"), (row.dropped, "dropped by the kernel"))
            if number
        ]
        text = ", ".join([f"{file.name} has {counted(row.packets, 'packet')}", *lacks])
        counts = {"packets": row.packets, "left_out": row.left_out, "dropped": row.dropped}
        self._role.event("capture.done", text, file=file.name, bytes=row.bytes, **counts)
