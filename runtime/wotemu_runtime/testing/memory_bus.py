"""The event bus in memory: the Redis commands that WoTemu uses, on the time of the running event loop."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from redis._parsers.encoders import Encoder
from redis.asyncio.lock import Lock
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError as RedisConnectionError

from wotemu_runtime.bus.client import BusClient, NewEntry

Fields = dict[bytes, bytes]
EntryId = tuple[int, int]


class MemoryBus:
    """Server and client in one: whoever shares it shares its keys. Answers are shaped as RESP3's are.

    While it `is_away`, every command fails as those of a server that was killed do; its keys stay.
    """

    def __init__(self) -> None:
        self.is_away = False
        self._streams: defaultdict[str, dict[EntryId, Fields]] = defaultdict(dict)
        self._added = 0
        self._values: dict[str, tuple[bytes, float | None]] = {}
        """Values, and when they expire on the loop's clock."""
        self._hashes: defaultdict[str, Fields] = defaultdict(dict)
        self._news = asyncio.Condition()
        self._scripts: dict[str, Callable[..., int]] = {
            _sha(Lock.LUA_RELEASE_SCRIPT): self._release_lock,
            _sha(Lock.LUA_REACQUIRE_SCRIPT): self._reacquire_lock,
        }

    @property
    def client(self) -> BusClient:
        """This bus, for code that takes redis-py's client."""
        return cast(BusClient, self)

    async def _answer(self) -> None:
        """Every command gives other tasks their turn, and fails while the bus is away."""
        await asyncio.sleep(0)
        if self.is_away:
            raise RedisConnectionError("it is away")

    async def ping(self) -> bool:
        """See PING."""
        await self._answer()
        return True

    async def aclose(self) -> None:
        """Nothing to close."""

    # Streams

    async def xadd(self, name: str, fields: Fields) -> bytes:
        """See XADD."""
        await self._answer()
        self._added += 1
        encode: Callable[[Any], bytes] = self.get_encoder().encode
        self._streams[name][self._added, 0] = {encode(key): encode(value) for key, value in fields.items()}
        async with self._news:
            self._news.notify_all()
        return _text((self._added, 0))

    async def add_entries(self, entries: Sequence[NewEntry]) -> None:
        """See `Appender`."""
        for stream, fields in entries:
            await self.xadd(stream, dict(fields))

    async def xread(self, streams: Mapping[str, bytes], count: int, block: int) -> dict[bytes, Any]:
        """See XREAD: entries after the given ids, once there are any, or nothing after `block` ms."""
        await self._answer()
        try:
            async with asyncio.timeout(block / 1000), self._news:
                await self._news.wait_for(lambda: self.is_away or self._after(streams, count))
        except TimeoutError:
            return {}
        await self._answer()
        return self._after(streams, count)

    def _after(self, streams: Mapping[str, bytes], count: int) -> dict[bytes, Any]:
        found = {}
        for name, position in streams.items():
            last = _parse(position)
            new = [(_text(key), fields) for key, fields in self._streams[name].items() if key > last]
            if new:
                found[name.encode()] = [new[:count]]
        return found

    async def xrange(self, name: str) -> list[tuple[bytes, Fields]]:
        """See XRANGE, from ``-`` to ``+``."""
        await self._answer()
        return [(_text(key), fields) for key, fields in self._streams[name].items()]

    async def xtrim(self, name: str, minid: str, approximate: bool) -> int:
        """See XTRIM, exact."""
        await self._answer()
        gone = [key for key in self._streams[name] if key < _parse(minid.encode())]
        for key in gone:
            del self._streams[name][key]
        return len(gone)

    # Values

    async def set(
        self, name: str, value: str | bytes, *, nx: bool = False, px: int | None = None
    ) -> bool | None:
        """See SET; None where it is there already and was not to be."""
        await self._answer()
        if nx and self._value(name) is not None:
            return None
        expires = None if px is None else asyncio.get_running_loop().time() + px / 1000
        self._values[name] = (value.encode() if isinstance(value, str) else value, expires)
        return True

    async def get(self, name: str) -> bytes | None:
        """See GET."""
        await self._answer()
        return self._value(name)

    def _value(self, name: str) -> bytes | None:
        value, expires = self._values.get(name, (None, None))
        return None if expires is not None and expires <= asyncio.get_running_loop().time() else value

    async def delete(self, *names: str) -> int:
        """See DEL: how many were there."""
        found = [await self.exists(name) for name in names]
        for name in names:
            for kept in (self._streams, self._hashes, self._values):
                kept.pop(name, None)
        return sum(found)

    async def exists(self, name: str) -> int:
        """See EXISTS."""
        await self._answer()
        return int(bool(self._streams.get(name) or self._hashes.get(name) or self._value(name) is not None))

    async def hset(self, name: str, mapping: Mapping[str, str]) -> int:
        """See HSET: how many keys are new."""
        await self._answer()
        before = len(self._hashes[name])
        self._hashes[name].update({key.encode(): value.encode() for key, value in mapping.items()})
        return len(self._hashes[name]) - before

    async def hgetall(self, name: str) -> Fields:
        """See HGETALL."""
        await self._answer()
        return dict(self._hashes[name])

    # Pipelines and the scripts of redis-py's `Lock`

    def pipeline(self, transaction: bool) -> MemoryPipeline:
        """Commands that run one after the other at `execute`."""
        return MemoryPipeline(self)

    def get_encoder(self) -> Encoder:
        """What turns text into bytes."""
        return Encoder("utf-8", "strict", decode_responses=False)  # type: ignore[no-untyped-call]

    def register_script(self, script: str) -> AsyncScript:
        """See redis-py; `Lock` keeps what it registers for the clients to come, also for real ones."""
        return AsyncScript(self.client, script)

    async def evalsha(self, sha: str, _: int, name: str, token: bytes, *args: Any) -> int:
        """Run one of the scripts of `Lock`."""
        await self._answer()
        return self._scripts[sha](name, token, *args)

    def _release_lock(self, name: str, token: bytes) -> int:
        if self._value(name) != token:
            return 0
        del self._values[name]
        return 1

    def _reacquire_lock(self, name: str, token: bytes, timeout_ms: int) -> int:
        if self._value(name) != token:
            return 0
        self._values[name] = token, asyncio.get_running_loop().time() + timeout_ms / 1000
        return 1


class MemoryPipeline:
    """Takes any of the bus's commands and runs them at `execute`."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._commands: list[Callable[[], Awaitable[Any]]] = []

    def __getattr__(self, command: str) -> Callable[..., None]:
        run = getattr(self._bus, command)
        return lambda *args, **kwargs: self._commands.append(lambda: run(*args, **kwargs))

    async def execute(self) -> list[Any]:
        """The commands' answers."""
        return [await command() for command in self._commands]


def _sha(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def _text(key: EntryId) -> bytes:
    return b"%d-%d" % key


def _parse(text: bytes) -> EntryId:
    milliseconds, _, number = text.partition(b"-")
    return int(milliseconds), int(number)


__all__ = ["MemoryBus"]
