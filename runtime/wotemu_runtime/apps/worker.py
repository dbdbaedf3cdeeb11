"""Uses CPU and memory, steadily or on request, to see what a node's limits do."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from wotemu.app import Conf
from wotemu.errors import InputError
from wotemu.units import Bytes
from wotemu_runtime.apps._producer import produce

THING_ID = "urn:wotemu:worker"
PERIOD_S = 0.1
"""The CPU share holds over periods of this length."""


async def app(
    wot: Any,
    conf: Conf,
    loop: asyncio.AbstractEventLoop,
    thing_id: str = THING_ID,
    cpu: float = 0.0,
    mem: str | int = 0,
) -> None:
    """Use the share `cpu` (0 to 1) of one core and `mem` bytes (or "50M") of memory, until the end.

    Exposes the Thing `thing_id`, titled "worker", whose action ``doWork`` uses one core for its input's
    ``total`` seconds of CPU time (else 1) and answers ``{"cpu_s": ..., "elapsed_s": ...}``.
    """
    if not 0 <= cpu <= 1:
        raise InputError(f"cpu={cpu!r} is not a share from 0 to 1")
    held = bytearray(b"\x01") * int(Bytes.of(mem))  # written, so that it is resident
    work = {"input": {"type": "object"}, "output": {"type": "object"}}
    thing = produce(wot, thing_id, "worker", actions={"doWork": work})
    thing.set_action_handler("doWork", _do_work)
    thing.expose()
    await _burn_steadily(cpu)
    del held


async def _do_work(wanted: dict[str, Any] | None) -> dict[str, float]:
    total = float((wanted or {}).get("total", 1.0))
    start = time.monotonic()
    used = await asyncio.to_thread(_burn, total)
    return {"cpu_s": round(used, 6), "elapsed_s": round(time.monotonic() - start, 6)}


async def _burn_steadily(share: float) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        if share:
            await asyncio.to_thread(_burn, share * PERIOD_S)
        due = max(due + PERIOD_S, loop.time())
        await asyncio.sleep(due - loop.time())


def _burn(cpu_s: float) -> float:
    """Use so much CPU time in this thread; the time that was used."""
    start = time.thread_time()
    while (used := time.thread_time() - start) < cpu_s:
        pass
    return used
