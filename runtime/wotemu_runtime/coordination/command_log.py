"""What coordinators have told the roles so far: the commands' stream, which nobody trims, has all of it."""

from __future__ import annotations

from typing import Any

import attrs
from redis.asyncio import Redis

from wotemu_runtime.bus import Streams
from wotemu_runtime.bus.codec import unpack


@attrs.frozen
class CommandLog:
    """Empty where nobody has coordinated before. `fired` has guards' seconds after T0."""

    timeline_hash: str | None = None
    t0: float | None = None
    fired: dict[int, float] = attrs.field(factory=dict)
    over: bool = False
    """Whether the run's end was told: the roles stop, or go on unrecorded."""


def replay(commands: list[dict[str, Any]]) -> CommandLog:
    """What commands come to."""
    timelines = [each["timeline"]["hash"] for each in commands if each["command"] == "timeline"]
    t0s = [each["t0"] for each in commands if each["command"] == "t0"]
    return CommandLog(
        timeline_hash=timelines[0] if timelines else None,
        t0=t0s[0] if t0s else None,
        fired={each["guard"]: each["at_s"] for each in commands if each["command"] == "changes"},
        over=any(each["command"] in ("stop", "mute") for each in commands),
    )


async def read_command_log(client: Redis, streams: Streams) -> CommandLog:
    """Read it off the bus."""
    entries: Any = await client.xrange(streams.commands)
    return replay([unpack(fields) for _, fields in entries])
