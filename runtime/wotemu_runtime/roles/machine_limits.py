"""The limits that each machine's limiter computed for the nodes, over the bus from there to their agents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
from redis.asyncio import Redis

from wotemu_runtime.bus import Consumer, Streams


@attrs.frozen(kw_only=True)
class MachineLimits:
    """The limits of each of a node's replicas on one machine, at T0.

    Attributes:
        cpu: Cores; None is no limit.
        mem_bytes: Memory; None is no limit.
        device: What makes the node as fast as a device, in one sentence; "" where it is none.
        missing: What the machine can't give, one phrase each.
        cores: How many cores the machine has.
    """

    cpu: float | None = None
    mem_bytes: int | None = None
    device: str = ""
    missing: tuple[str, ...] = ()
    cores: int = 1

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MachineLimits:
        """What `attrs.asdict` gave."""
        return cls(**{**data, "missing": tuple(data["missing"])})


class LimitStream:
    """The bus's stream of what limiters computed. One that starts again announces it again."""

    def __init__(self, client: Redis, streams: Streams) -> None:
        self._client = client
        self._stream = streams.limits

    def __repr__(self) -> str:
        return f"LimitStream({self._stream!r})"

    async def announce(self, host: str, limits: Mapping[str, MachineLimits]) -> None:
        """Publish the limits of all nodes on the machine `host`, by node."""
        text = json.dumps({node: attrs.asdict(each) for node, each in limits.items()})
        await self._client.xadd(self._stream, {"host": host, "limits": text})

    async def wait_for(self, host: str, node: str) -> MachineLimits:
        """The limits of a node on the machine `host`, once its limiter has announced them."""
        async for entries in Consumer(self._client, [self._stream]).batches():
            found = [fields for _, _, fields in entries if fields[b"host"].decode() == host]
            if found:
                return MachineLimits.from_dict(json.loads(found[-1][b"limits"])[node])
        raise AssertionError("the batches have no end")


__all__ = ["LimitStream", "MachineLimits"]
