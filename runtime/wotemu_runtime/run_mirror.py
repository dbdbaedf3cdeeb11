"""A run directory on the bus: what a coordinator records where nobody can read its files, and how to get it.

Every file is one key. Files that only grow are appended to, so a mirror costs what is new; the others are
written whole. What is fetched is a run directory like any other, also of a run that did not end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu.errors import InputError
from wotemu_runtime.checkpoint import FILE, Checkpoint

EVERY_S = 1.0
LAST_TRY_S = 30.0
_MAX_WRITE = 8 * 1024**2
_GROWING = frozenset({".jsonl", ".log", ".msgpack"})
_WHOLE = frozenset({".json"})
MANIFEST = "manifest.json"


def _prefix(stack: str) -> str:
    return f"wotemu:{stack}:run:"


class Mirror:
    """Keeps the bus's copy of `run_dir` up to date."""

    def __init__(self, client: Redis, stack: str, run_dir: Path) -> None:
        self._client = client
        self._prefix = _prefix(stack)
        self._run_dir = run_dir
        self._sent: dict[str, int] = {}
        self._whole: dict[str, bytes] = {}
        self.kept = Checkpoint(run="")
        """Of what is recorded, this much is on the bus."""

    def __repr__(self) -> str:
        return f"Mirror({str(self._run_dir)!r}, {sum(self._sent.values())} bytes)"

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
            file.seek(self._sent.get(name, 0))
            while data := file.read(_MAX_WRITE):
                # Written at its place, so that sending it again after a lost answer changes nothing.
                await self._client.setrange(self._prefix + name, self._sent.get(name, 0), data)
                self._sent[name] = self._sent.get(name, 0) + len(data)

    async def run(self) -> None:
        """Update once a second until cancelled; what fails while the bus is away is sent when it is back."""
        while True:
            with contextlib.suppress(OSError, RedisError):
                await self.update()
            await asyncio.sleep(EVERY_S)


@asynccontextmanager
async def mirrored(client: Redis, stack: str, run_dir: Path) -> AsyncIterator[Mirror]:
    """While the block runs, what is written to `run_dir` is on the bus; after it, all of it is."""
    mirror = Mirror(client, stack, run_dir)
    running = asyncio.create_task(mirror.run(), name="mirror")
    try:
        yield mirror
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        async with asyncio.timeout(LAST_TRY_S):
            await mirror.update()


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
    prefix = _prefix(stack)
    names = [key.decode().removeprefix(prefix) async for key in client.scan_iter(match=prefix + "*")]
    if MANIFEST not in names:
        raise InputError(
            f"the bus has no run of {stack!r}", where="--stack", hint="has its coordinator started?"
        )
    names.sort(key=lambda name: name != FILE)  # first: what came later than it is cut off
    for name in names:
        parts = PurePosixPath(name).parts
        if ".." in parts or name.startswith("/"):
            raise InputError(f"{name!r} is no file of a run", where="event bus")
        path = run_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content: Any = await client.get(prefix + name)
        path.write_bytes(content or b"")
    if (checkpoint := Checkpoint.load(run_dir)) is not None:
        checkpoint.cut(run_dir)
    (run_dir / "tables").mkdir(exist_ok=True)
