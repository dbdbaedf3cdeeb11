"""Stores packets that agents capture and send over the bus, as on a swarm: a file for each node."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from uuid import uuid4

from redis.asyncio import Redis

from wotemu.errors import EmulationError
from wotemu.units import Bytes
from wotemu_runtime.capture.whole_blocks import WholeBlocks, append_blocks
from wotemu_runtime.control.requests import Printed
from wotemu_runtime.coordination.command_sender import CommandSender
from wotemu_runtime.coordination.live_run import LiveRun
from wotemu_runtime.coordination.node_command import NodeCommand


class StoredCaptures:
    """The captures of one run.

    Args:
        run: the run; its plan says whose packets are captured.
        client: a client of the bus.
        sender: sends agents the command to capture.
        folder: the folder for the files.
    """

    def __init__(self, run: LiveRun, client: Redis, sender: CommandSender, folder: Path) -> None:
        self._run = run
        self._client = client
        self._sender = sender
        self._folder = folder
        self._tasks: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        return f"<StoredCaptures in {self._folder}, {len(self._tasks)} nodes>"

    async def start(self, group: asyncio.TaskGroup) -> None:
        """Have agents capture from now on, and store what they send in tasks of a group until they end.

        Raises:
            EmulationError: the folder can't be made, or the bus does not answer.
        """
        capture = self._run.plan.capture
        if capture is None or not capture.is_by_agents:
            return
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            text = f"the folder can't be made: {error.strerror}"
            raise EmulationError(text, where=str(self._folder)) from error
        for replica in capture.replicas:
            number = uuid4().hex
            command = NodeCommand(
                self._client,
                self._run.streams,
                number,
                lambda: self._run.is_running,
                ends_with_run=True,
            )
            await self._sender.send(
                command="capture",
                role=f"agent:{replica}",
                number=number,
                t=self._run.now(),
                max_bytes=capture.max_bytes,
            )
            storing = self._store(self._folder / f"{replica}.pcapng", command)
            self._tasks.append(group.create_task(storing, name=f"capture of {replica}"))

    def end(self) -> None:
        """End them at once, without what the agents still have."""
        for task in self._tasks:
            task.cancel()

    async def _store(self, path: Path, command: NodeCommand) -> None:
        """Store one node's capture until it ends; report what ends it early."""
        size, trouble, blocks = 0, "", WholeBlocks()
        try:
            with path.open("wb", buffering=0) as file:
                async with aclosing(command.output()) as output:
                    async for each in output:
                        if isinstance(each, Printed) and each.fd == 1:
                            whole = blocks.add(each.data)
                            await asyncio.to_thread(append_blocks, file.fileno(), size, whole)
                            size += len(whole)
                        elif isinstance(each, Printed):
                            trouble = each.data.decode(errors="replace").strip()
        except OSError as error:
            trouble = error.strerror or str(error)
        except EmulationError as error:
            trouble = error.message
        if trouble:
            text = f"{path.name} ends at {Bytes(size)}: {trouble}"
            self._run.report("capture.failed", text, file=path.name, bytes=size)
