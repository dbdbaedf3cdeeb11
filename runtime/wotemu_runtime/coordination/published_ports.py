"""Ports of this machine that lead to nodes of other machines: each connection is carried over the bus."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import attrs

from wotemu.errors import HostError, WotemuError
from wotemu.records import Published
from wotemu_runtime.bus import BusClient
from wotemu_runtime.coordination.live_run import LiveRun
from wotemu_runtime.publishing.listening import announced, listen
from wotemu_runtime.publishing.multiplexer import Multiplexer, Traffic, read_streams

ROWS_EVERY_S = 1.0
MAX_CONNECTIONS = 64
"""Of all ports of a run at once: as many readers that are slow leave 16 MB on the bus, in each direction."""


@attrs.define
class _Port:
    """A port of this machine, where it leads, and how much went over it."""

    port: int
    replica: str
    target: int
    listener: socket.socket
    connections: int = 0
    refused: int = 0
    traffic: Traffic = attrs.field(factory=Traffic)

    def row(self, t: float) -> Published:
        """The counts of now."""
        counts = self.connections, self.refused, self.traffic.sent, self.traffic.taken
        return Published(t, self.replica, self.port, self.target, *counts)


class PublishedPorts:
    """The published ports of one run, where connections to them are carried over the bus.

    Args:
        run: The run.
        resume: Whether it is the run of a coordinator that died: ports that are taken here are reported then,
            and the run goes on without them.
    """

    def __init__(self, run: LiveRun, *, resume: bool) -> None:
        self._run = run
        self._resume = resume
        self._ports: list[_Port] = []
        self._failed: list[tuple[int, HostError]] = []
        self._open: set[asyncio.Task[None]] = set()
        self._carrying: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<PublishedPorts {[each.port for each in self._ports]}, {len(self._open)} connections>"

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen in the block. Connections wait until `start`.

        Raises:
            HostError: A port is taken, or not this user's to take.
        """
        plan = self._run.plan
        with ExitStack() as stack:
            for port, replica, target in plan.published if plan.publishes_over_bus else ():
                try:
                    listener = stack.enter_context(listen(port, replica))
                except HostError as error:
                    if not self._resume:
                        raise
                    self._failed.append((port, error))
                else:
                    self._ports.append(_Port(port, replica, target, listener))
            yield

    def start(self, group: asyncio.TaskGroup, client: BusClient) -> None:
        """Carry connections in a task of a group, until `end`; report at T0 which port leads where."""
        if self._ports or self._failed:
            self._carrying = group.create_task(self._carry(client), name="published ports")

    async def end(self) -> None:
        """End all connections, take no more, and record what there was."""
        if self._carrying is not None:
            self._carrying.cancel()
            await asyncio.wait([self._carrying])
            self._record()

    async def _carry(self, client: BusClient) -> None:
        streams = self._run.streams
        ends = {each.replica: Multiplexer(client, streams.to_ports(each.replica)) for each in self._ports}
        self._take_counts_over()
        async with asyncio.TaskGroup() as group, contextlib.AsyncExitStack() as servers:
            reading = {streams.from_ports(replica): end for replica, end in ends.items()}
            group.create_task(read_streams(client, reading), name="streams of ports")
            group.create_task(self._announce(), name="announcement of ports")
            for port in self._ports:
                servers.callback((await self._serve(port, ends[port.replica], group)).close)
            while True:
                self._record()
                await asyncio.sleep(ROWS_EVERY_S)

    async def _serve(self, port: _Port, end: Multiplexer, group: asyncio.TaskGroup) -> asyncio.Server:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if len(self._open) >= MAX_CONNECTIONS:
                port.refused += 1
                writer.close()
                return
            task = group.create_task(_connect(port, end, reader, writer), name=f"port {port.port}")
            self._open.add(task)
            task.add_done_callback(self._open.discard)

        return await asyncio.start_server(accept, sock=port.listener)

    async def _announce(self) -> None:
        """Report, at T0, what leads where, and what does not."""
        run = self._run
        with contextlib.suppress(WotemuError):  # what the run fails of before
            if not await run.control.until(lambda: run.outcome.t0 is not None):
                return
            if not await run.control.until_time(run.outcome.t0 or 0.0):
                return
        for each in self._ports:
            text, data = announced(each.port, each.replica, each.target)
            run.report("port.published", text, **data)
        for port, error in self._failed:
            run.report("port.unavailable", f"it is not published any more: {error}", port=port)

    def _take_counts_over(self) -> None:
        """Go on from what an earlier coordinator stored."""
        for each in self._ports:
            if (last := self._run.state.published.get(each.port)) is not None:
                each.connections, each.refused = last.connections, last.refused
                each.traffic.sent, each.traffic.taken = last.received, last.sent

    def _record(self) -> None:
        now = self._run.now()
        self._run.recorder.store(*(each.row(now) for each in self._ports))


async def _connect(
    port: _Port, end: Multiplexer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Carry one connection, or close it where the node does not take it."""
    with contextlib.closing(writer), end.channel(uuid4().hex, port.traffic) as channel:
        if not await channel.open(port.target):
            port.refused += 1
            return
        port.connections += 1
        await channel.carry(reader, writer)
