"""Fails after a while, to see what a crash and the restart after it look like."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from wotemu.app import Conf
from wotemu_runtime.apps._consumer import seeded

_logger = logging.getLogger(__name__)


class DeliberateError(Exception):
    """The error that this app raises."""


async def app(
    wot: Any,
    conf: Conf,
    loop: asyncio.AbstractEventLoop,
    mean_time: float = 300.0,
    after: float | None = None,
) -> None:
    """Raise `after` so many seconds, or after an exponentially distributed time of mean `mean_time`.

    The time is drawn anew at each start, so failures are a Poisson process, pauses before restarts apart.
    """
    wait_s = seeded(conf).expovariate(1.0 / mean_time) if after is None else after
    _logger.info("will raise an error in %.1f s", wait_s)
    await asyncio.sleep(wait_s)
    raise DeliberateError(f"raised on purpose after {wait_s:.1f} s")
