"""Replays the command stream to recover the timeline, T0, the guards that fired and the changes by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

import attrs
from redis.asyncio import Redis

from wotemu_runtime.bus import Streams
from wotemu_runtime.bus.codec import unpack
from wotemu_runtime.coordination.live_timeline import Insertion


@attrs.frozen
class CommandLog:
    """The commands that earlier coordinators sent; empty in a new run.

    `insertions` are the guards that fired and the changes made by hand, in their order.
    """

    timeline_hash: str | None = None
    t0: float | None = None
    insertions: tuple[Insertion, ...] = ()
    stopped: bool = False
    """Whether the roles were sent the end of the run: they stop, or go on unrecorded."""

    @classmethod
    def replay(cls, commands: Iterable[Mapping[str, Any]]) -> Self:
        """The log of these commands, in the order of the stream."""
        commands = list(commands)
        # The first ones count: a command that was not confirmed may have been sent, and stored, twice.
        once: dict[Any, Mapping[str, Any]] = {}
        for place, each in enumerate(commands):
            once.setdefault(each.get("id", place), each)
        timelines = [each["timeline"]["hash"] for each in commands if each["command"] == "timeline"]
        t0s = [each["t0"] for each in commands if each["command"] == "t0"]
        return cls(
            timeline_hash=timelines[0] if timelines else None,
            t0=t0s[0] if t0s else None,
            insertions=tuple(
                Insertion.from_dict(each) for each in once.values() if each["command"] == "changes"
            ),
            stopped=any(each["command"] in ("stop", "mute") for each in commands),
        )

    @classmethod
    async def read(cls, client: Redis, streams: Streams) -> Self:
        """The log of all commands on the bus. Nobody trims that stream.

        Raises:
            OSError, RedisError: the bus does not answer.
        """
        entries: Any = await client.xrange(streams.commands)
        return cls.replay(unpack(fields) for _, fields in entries)
