"""Sends requests to a remote Thing at times that do not depend on its answers: an open loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from wotemu.app import Conf, write_metric
from wotemu.errors import InputError
from wotemu_runtime.apps._consumer import GRACE_S, Failures, find_thing, seeded

Curve = Sequence[tuple[float, float]]
"""Points of seconds since the start and requests a second: linear between, constant after the last."""


async def app(
    wot: Any,
    conf: Conf,
    loop: asyncio.AbstractEventLoop,
    servient_host: str,
    thing_id: str,
    read: str | None = None,
    invoke: str | None = None,
    input: Any = None,  # as the field of a Thing's action is called
    rate: float | list[list] = 1.0,  # type: ignore[type-arg]  # read as an annotation at run time
    arrivals: str = "poisson",
    timeout: float = 10.0,
    max_in_flight: int = 1000,
) -> None:
    """Read the property `read`, or invoke the action `invoke` with `input`, of the Thing `thing_id`.

    Requests begin `rate` times a second, or by a curve of points ``[seconds, rate]`` that is linear between
    them and constant after the last; as a Poisson process, or at equal gaps where `arrivals` is ``regular``.
    A request begins at its time whether or not earlier ones were answered, so a slow server is not spared.
    Its latency (metric ``load_latency``, seconds) counts from the time at which it was due, so what waited
    counts as waiting. It fails after `timeout` seconds (metric ``load_failures``). With `max_in_flight`
    unanswered ones a request is not sent, and counted (metric ``load_not_sent``).
    """
    curve = checked_curve(rate)
    if (read is None) == (invoke is None):
        raise InputError("give either read, the name of a property, or invoke, the name of an action")
    if arrivals not in ("poisson", "regular"):
        raise InputError(f"arrivals={arrivals!r}: give 'poisson' or 'regular'")
    thing = await find_thing(wot, conf, servient_host, thing_id)
    name, known = (read, thing.properties) if read is not None else (invoke, thing.actions)
    if name not in known:
        raise InputError(f"the Thing has no {name!r}; it has {', '.join(known) or 'none'}")

    def request() -> Coroutine[Any, Any, Any]:
        if read is not None:
            made: Coroutine[Any, Any, Any] = thing.properties[read].read(timeout=timeout)
        else:
            made = thing.actions[invoke].invoke(input, timeout=timeout)
        return made

    numbers = seeded(conf)
    work = (lambda: numbers.expovariate(1.0)) if arrivals == "poisson" else (lambda: 1.0)
    await _Load(request, str(name), timeout, max_in_flight).send(arrival_times(curve, work))


def checked_curve(rate: Any) -> Curve:
    """The points of a rate; a number is one that holds from the start.

    Raises:
        InputError: It is neither a number above zero nor a list of points by time.
    """
    if isinstance(rate, int | float | str) and not isinstance(rate, bool):
        points: list[Any] = [(0.0, rate)]
    else:
        points = list(rate) if isinstance(rate, list | tuple) else []
    try:
        curve = [(float(at_s), float(per_s)) for at_s, per_s in points]
    except (TypeError, ValueError):
        curve = []
    times = [at_s for at_s, _ in curve]
    if not curve or times != sorted(set(times)) or times[0] < 0 or min(per_s for _, per_s in curve) < 0:
        raise InputError(
            f"rate={rate!r:.80} is neither a number nor points of seconds and requests a second",
            hint="write 5, or [[0, 1], [30, 20]]",
        )
    if curve[-1][1] == 0 and max(per_s for _, per_s in curve) == 0:
        raise InputError(f"rate={rate!r:.80}: no request would ever be sent")
    return curve


def arrival_times(curve: Curve, work: Callable[[], float]) -> Iterator[float]:
    """Seconds since the start of each request: where the integral of the rate has grown by ``work()``.

    With exponentially distributed work of mean 1 they are a Poisson process of that rate; see "time-scale
    transformation" in Lewis and Shedler, Simulation of nonhomogeneous Poisson processes by thinning, 1979.
    They end where the rate stays zero.
    """
    points = [*([(0.0, curve[0][1])] if curve[0][0] > 0 else []), *curve]
    pieces = iter(zip(points, [*points[1:], (float("inf"), points[-1][1])], strict=True))
    (start_s, from_rate), (end_s, to_rate) = next(pieces)
    now_s, needed = start_s, work()
    while True:
        slope = 0.0 if end_s == float("inf") else (to_rate - from_rate) / (end_s - start_s)
        rate = from_rate + slope * (now_s - start_s)
        left = (
            rate * (end_s - now_s) + slope * (end_s - now_s) ** 2 / 2
            if end_s < float("inf")
            else float("inf")
        )
        if end_s == float("inf") and rate == 0:
            return
        if needed <= left:
            # The root of rate*t + slope*t*t/2 = needed, in a form that also holds for a slope of zero.
            now_s += 2 * needed / (rate + max(rate * rate + 2 * slope * needed, 0.0) ** 0.5)
            yield now_s
            needed = work()
        else:
            needed -= left
            (start_s, from_rate), (end_s, to_rate) = next(pieces)
            now_s = start_s


class _Load:
    """Requests in flight, and what became of those that were due."""

    def __init__(
        self, request: Callable[[], Coroutine[Any, Any, Any]], what: str, timeout: float, max_in_flight: int
    ) -> None:
        self._request = request
        self._what = what
        self._timeout = timeout
        self._room = max_in_flight
        self._not_sent = 0
        self._failures = Failures("load_failures")

    async def send(self, times: Iterator[float]) -> None:
        """Begin a request at each of these seconds from now."""
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        async with asyncio.TaskGroup() as group:
            for at_s in times:
                due_s = start_s + at_s
                await asyncio.sleep(due_s - loop.time())
                if self._room > 0:
                    self._room -= 1
                    group.create_task(self._send(due_s))
                else:
                    self._not_sent += 1
                    write_metric("load_not_sent", self._not_sent)
            await asyncio.Event().wait()  # the app stays, as the others do

    async def _send(self, due_s: float) -> None:
        try:
            async with asyncio.timeout(self._timeout + GRACE_S):
                await self._request()
            write_metric("load_latency", asyncio.get_running_loop().time() - due_s)
        except Exception as error:  # WoTPy raises bare Exception for what a remote Thing answers
            self._failures.add(self._what, error)
        finally:
            self._room += 1
