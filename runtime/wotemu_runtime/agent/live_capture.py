"""Streams what passes a node's interfaces to whoever asked for it, over the bus, while the run goes on.

It is carried as a command's output is, see `node_commands`: a reader that is slow has packets dropped, which
are counted, and delays nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu.records import Captured
from wotemu.wording import counted
from wotemu_runtime.agent.namespaces import NodeNamespaces
from wotemu_runtime.bus import Consumer
from wotemu_runtime.roles.role import Role

if TYPE_CHECKING:
    from wotemu_runtime.capture.node_packets import NodePackets

RING_BYTES = 4 << 20
ROWS_EVERY_S = 1.0
_REFUSED = 2 << 8
"""The wait(2) status of a command that ended with 2."""


class LiveCapture:
    """One capture of a node.

    Args:
        role: the node's role.
        namespaces: the node's namespaces.
        request: its ``number`` on the bus; where a run's packets are to be stored, ``max_bytes``: so many
            bytes are sent at most, and rows say how many packets there were.
        credit: how many entries may be sent before any is taken.
        chunk: the bytes of an entry at most.
    """

    def __init__(
        self, role: Role, namespaces: NodeNamespaces, request: Mapping[str, Any], credit: int, chunk: int
    ) -> None:
        self._role = role
        self._namespaces = namespaces
        self._client: Redis = role.session.client
        self._input = role.session.streams.command_input(request["number"])
        self._output = role.session.streams.command_output(request["number"])
        self._credit = asyncio.Semaphore(credit)
        self._chunk = chunk
        self._max_bytes: int | None = request.get("max_bytes")
        self._sent = 0

    async def run(self) -> None:
        """Capture until the client leaves or sends a signal, or the run is over."""
        with contextlib.suppress(OSError, RedisError):  # a bus that is away ends it
            try:
                packets = self._namespaces.open_packets(
                    self._role.assignment.subject,
                    self._role.assignment.data["interfaces"],
                    ring_bytes=RING_BYTES,
                    max_bytes=self._max_bytes,
                )
            except OSError as error:
                text = f"packets can't be captured there: {error.strerror}\n"
                await self._client.xadd(self._output, {"fd": 2, "data": text})
                await self._client.xadd(self._output, {"status": _REFUSED})
                return
            try:
                await self._stream(packets)
            finally:
                packets.close()
                self._report(packets)

    async def _stream(self, packets: NodePackets) -> None:
        """Send packets as they come, and the counts at the end."""
        sending = asyncio.create_task(self._send_all(packets))
        taking = asyncio.create_task(self._take_input())
        tasks = [sending, taking]
        if self._max_bytes is not None:
            tasks.append(asyncio.create_task(self._record(packets)))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # Also where this is cancelled, as the run is over: the file is then whole.
            await self._client.xadd(self._output, {"fd": 1, "data": packets.statistics()})
            await self._client.xadd(self._output, {"status": 0})

    async def _send_all(self, packets: NodePackets) -> None:
        loop, came = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(packets.fileno(), came.set)
        try:
            while True:
                blocks = packets.take()
                for start in range(0, len(blocks), self._chunk):
                    await self._credit.acquire()
                    part = blocks[start : start + self._chunk]
                    # Half a block must not be the last that is sent.
                    await asyncio.shield(self._client.xadd(self._output, {"fd": 1, "data": part}))
                    self._sent += len(part)
                came.clear()
                await came.wait()
        finally:
            loop.remove_reader(packets.fileno())

    async def _record(self, packets: NodePackets) -> None:
        """Record what is stored, and the moment from which on nothing more is."""
        is_reported = False
        while True:
            self._role.publisher.put(self._row(packets))
            if packets.is_full and not is_reported:
                is_reported = True
                text = f"the capture of {packets.node} has its size: later packets are not in it"
                self._role.event("capture.full", text, bytes=self._sent)
            await asyncio.sleep(ROWS_EVERY_S)

    def _row(self, packets: NodePackets) -> Captured:
        counts = packets.stored, self._sent, packets.left_out, packets.missed
        return Captured(self._role.now(), packets.node, *counts)

    async def _take_input(self) -> None:
        """Take credit until a signal comes."""
        async for entries in Consumer(self._client, [self._input]).batches():
            for _, _, fields in entries:
                for _ in range(int(fields.get(b"credit", 0))):
                    self._credit.release()
                if b"signal" in fields:
                    return
            if entries:
                await self._client.xtrim(self._input, minid=entries[-1][1].decode(), approximate=False)

    def _report(self, packets: NodePackets) -> None:
        if self._max_bytes is not None:
            self._role.publisher.put(self._row(packets))
        lost = f", {counted(packets.missed, 'packet')} dropped" if packets.missed else ""
        what = "a live capture" if self._max_bytes is None else "the capture"
        self._role.event(
            "capture.done",
            f"{what} of {packets.node} had {counted(packets.stored, 'packet')}{lost}",
            packets=packets.stored,
            dropped=packets.missed,
        )
