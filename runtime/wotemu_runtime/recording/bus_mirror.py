"""A run directory on the bus: what a coordinator records where nobody can read its files, and how to get it.

Files that only grow lie in chunks under numbered keys, and only what is new is sent: a value of Redis is at
most 512 MB long. The others are one key each, written whole. What is fetched is a run directory like any
other, also of a run that did not end.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from wotemu.errors import EmulationError, InputError
from wotemu_runtime.recording.checkpoint import FILE, Checkpoint

EVERY_S = 1.0
LAST_TRY_S = 30.0
FAILING_S = 10.0
"""A bus that answers, and refuses for so long, will not take the run at all."""
CHUNK_BYTES = 8 * 1024**2
_GROWING = frozenset({".jsonl", ".log", ".times", ".msgpack"})
_WHOLE = frozenset({".json"})
MANIFEST = "manifest.json"


def _prefix(stack: str) -> str:
    return f"wotemu:{stack}:run:"


def _chunks(stack: str) -> str:
    """What the keys of chunks begin with; a file's name and the chunk's number follow."""
    return f"wotemu:{stack}:chunk:"


class BusMirror:
    """Keeps the bus's copy of `run_dir` up to date."""

    def __init__(self, client: Redis, stack: str, run_dir: Path) -> None:
        self._client = client
        self._prefix, self._chunks = _prefix(stack), _chunks(stack)
        self._run_dir = run_dir
        self._sent: dict[str, int] = {}
        self._whole: dict[str, bytes] = {}
        self.kept = Checkpoint(run="")
        """Of what is recorded, this much is on the bus."""

    def __repr__(self) -> str:
        return f"BusMirror({str(self._run_dir)!r}, {sum(self._sent.values())} bytes)"

    async def update(self) -> None:
        """Send what is new; the checkpoint goes last, so that all it speaks of is there."""
        checkpoint = Checkpoint.load(self._run_dir)
        for path in sorted(self._run_dir.rglob("*")):
            name = path.relative_to(self._run_dir).as_posix()
            if path.suffix in _GROWING:
                await self._append(path, name)
            elif path.suffix in _WHOLE and name != FILE:
                await self._replace(name, path.read_bytes())
        if checkpoint is not None:
            await self._replace(FILE, checkpoint.to_json())
            self.kept = checkpoint

    async def _replace(self, name: str, content: bytes) -> None:
        if self._whole.get(name) != content:
            await self._client.set(self._prefix + name, content)
            self._whole[name] = content

    async def _append(self, path: Path, name: str) -> None:
        with path.open("rb") as file:
            sent = self._sent.get(name, 0)
            file.seek(sent)
            while data := file.read(CHUNK_BYTES - sent % CHUNK_BYTES):
                number, offset = divmod(sent, CHUNK_BYTES)
                # Written at its place, so that sending it again after a lost answer changes nothing.
                await self._client.setrange(f"{self._chunks}{name}:{number}", offset, data)
                sent = self._sent[name] = sent + len(data)

    async def run(self) -> None:
        """Update once a second until cancelled; what fails while the bus is away is sent when it is back.

        Raises `EmulationError` where the bus is there and goes on refusing: the run would be lost at its end.
        """
        since_s = None
        while True:
            try:
                await self.update()
                since_s = None
            except (OSError, RedisError) as error:
                now_s = time.monotonic()
                since_s = None if _is_away(error) else since_s or now_s
                if since_s is not None and now_s - since_s >= FAILING_S:
                    raise _unkept(error) from error
            await asyncio.sleep(EVERY_S)

    async def finish(self) -> None:
        """Send all that is left; `EmulationError` where that can't be done in time."""
        last: Exception | None = None
        try:
            async with asyncio.timeout(LAST_TRY_S):
                while True:
                    try:
                        return await self.update()
                    except (OSError, RedisError) as error:
                        last = error
                        if not _is_away(error):
                            raise _unkept(error) from error
                        await asyncio.sleep(EVERY_S)
        except TimeoutError:
            raise _unkept(last or "it does not answer") from last


def _is_away(error: Exception) -> bool:
    """Whether the bus can't be reached now, as while it is started again."""
    return isinstance(
        error, RedisConnectionError | RedisTimeoutError | BusyLoadingError | ConnectionError | TimeoutError
    )


def _unkept(why: object) -> EmulationError:
    hint = "is its machine's memory or disk full?"
    return EmulationError(f"it can't hold the run's records: {why}", where="event bus", hint=hint)


@asynccontextmanager
async def mirrored(client: Redis, stack: str, run_dir: Path) -> AsyncIterator[BusMirror]:
    """While the block runs, what is written to `run_dir` is on the bus; after it, all of it is.

    Raises `EmulationError`, and cancels the block, where the bus refuses it.
    """
    mirror = BusMirror(client, stack, run_dir)
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(mirror.run(), name="mirror")
            try:
                yield mirror
            finally:
                running.cancel()
    except BaseExceptionGroup as errors:  # one error: the mirror's, or the block's own
        with contextlib.suppress(EmulationError):
            await mirror.finish()
        raise errors.exceptions[0] from errors.exceptions[0].__cause__
    except asyncio.CancelledError:
        with contextlib.suppress(EmulationError):
            await mirror.finish()
        raise
    await mirror.finish()


async def is_mirrored(client: Redis, stack: str) -> bool:
    """Whether a run of this stack has been recorded on the bus."""
    return bool(await client.exists(_prefix(stack) + MANIFEST))


async def mirrored_stacks(client: Redis) -> list[str]:
    """The stacks whose runs are on the bus."""
    found = [key async for key in client.scan_iter(match=_prefix("*") + MANIFEST)]
    return sorted(key.decode().split(":")[1] for key in found)


async def put_file(client: Redis, stack: str, name: str, content: bytes) -> None:
    """Add a file to a run that is on the bus."""
    await client.set(_prefix(stack) + name, content)


async def fetch(client: Redis, stack: str, run_dir: Path) -> None:
    """Write the run directory of `stack` to `run_dir`; InputError where the bus has none."""
    prefix, chunks = _prefix(stack), _chunks(stack)
    names = [key.decode().removeprefix(prefix) async for key in client.scan_iter(match=prefix + "*")]
    if MANIFEST not in names:
        raise InputError(
            f"the bus has no run of {stack!r}", where="--stack", hint="has its coordinator started?"
        )
    names.sort(key=lambda name: name != FILE)  # first: what came later than it is cut off
    for name in names:
        await _fetch(client, [prefix + name], _path(run_dir, name))
    numbers: dict[str, list[int]] = {}
    async for key in client.scan_iter(match=chunks + "*"):
        name, _, number = key.decode().removeprefix(chunks).rpartition(":")
        numbers.setdefault(name, []).append(int(number))
    for name, found in numbers.items():
        if sorted(found) != list(range(len(found))):
            raise EmulationError(f"a part of {name} is missing on it", where="event bus")
        await _fetch(client, [f"{chunks}{name}:{number}" for number in sorted(found)], _path(run_dir, name))
    if (checkpoint := Checkpoint.load(run_dir)) is not None:
        checkpoint.cut(run_dir)
    (run_dir / "tables").mkdir(exist_ok=True)


def _path(run_dir: Path, name: str) -> Path:
    """Where a file of the run goes; `InputError` where that would be outside of it."""
    if ".." in PurePosixPath(name).parts or name.startswith("/"):
        raise InputError(f"{name!r} is no file of a run", where="event bus")
    path = run_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


async def _fetch(client: Redis, keys: Iterable[str], path: Path) -> None:
    """Write the values of the keys to a file, one after the other."""
    with path.open("wb") as file:
        for key in keys:
            content: Any = await client.get(key)
            file.write(content or b"")
