"""The built-in apps do what their descriptions say, and get over a network that is cut."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from wotpy.protocols.http.client import HTTPClient
from wotpy.protocols.http.server import HTTPServer
from wotpy.wot.servient import Servient
from wotpy.wot.wot import WoT

from wotemu.app import Conf, Ports, consume_from_catalogue
from wotemu.app.metrics import connect_metrics
from wotemu.errors import InputError
from wotemu_runtime.apps import caller, clock, error, reader, sensor, subscriber, worker
from wotemu_runtime.apps._consumer import gaps

from .lamp import DEADLINE_S, HOST, LAMP, Expose, Recorder

pytestmark = pytest.mark.usefixtures("fast_clients")


class Relay:
    """A TCP way to a port that can be cut: then what is sent waits, as it does while TCP tries again."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def cut(self) -> None:
        self._open.clear()

    def heal(self) -> None:
        self._open.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Relay]:
        server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        yield self
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.CancelledError):
            await self._open.wait()
            far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
            with contextlib.closing(far_writer):
                await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


@pytest.fixture
def metrics() -> Iterator[dict[str, float]]:
    """The last number of each metric."""
    got: dict[str, float] = {}
    connect_metrics(got.__setitem__)
    yield got
    connect_metrics(None)


@pytest.fixture
def conf(ports: Ports) -> Conf:
    return Conf(node="n", replica="n-1", hostname=HOST, ports=ports, seed=7)


@pytest.fixture
def wot() -> Any:
    return WoT(Servient(hostname=HOST, catalogue_port=None, clients=[HTTPClient()]))


Run = Callable[..., "contextlib.AbstractAsyncContextManager[asyncio.Task[None]]"]


@pytest.fixture
def run(conf: Conf) -> Run:
    """Runs an app's coroutine for the time of a block; an error of its own fails the test."""

    @contextlib.asynccontextmanager
    async def running(app: Any, wot: Any, **params: Any) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(app(wot, conf, asyncio.get_running_loop(), **params))
        yield task
        assert not task.done() or task.exception() is None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    return running


@pytest.fixture
async def relayed(ports: Ports, recorder: Recorder, expose: Expose) -> AsyncIterator[tuple[Relay, Any]]:
    """The lamp over HTTP behind a relay."""
    async with Relay(ports.http).running() as relay:
        yield relay, await expose(HTTPServer(port=ports.http, form_port=relay.port))


@pytest.fixture
async def exposing(ports: Ports) -> AsyncIterator[Any]:
    """What an app that exposes a Thing over HTTP is given."""
    servient = Servient(hostname=HOST, catalogue_port=ports.catalogue)
    servient.add_server(HTTPServer(port=ports.http))
    yield await servient.start()
    await servient.shutdown()


async def found(wot: Any, ports: Ports, thing_id: str) -> Any:
    """The Thing that an app exposes, as soon as it does."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with contextlib.suppress(LookupError):
                return await consume_from_catalogue(wot, ports.catalogue, HOST, thing_id)
            await asyncio.sleep(0.01)


def outcomes(recorder: Recorder, name: str) -> list[bool]:
    return [record.status == "ok" for record in recorder.of("consumer") if record.name == name]


async def until(condition: Callable[[], bool]) -> float:
    """Wait for what no event tells of; how long it took."""
    start = time.monotonic()
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # what is waited for is out of reach
            await asyncio.sleep(0.01)
    return time.monotonic() - start


async def test_a_reader_reads_all_properties_and_bears_those_that_fail(
    relayed: tuple[Relay, Any], wot: Any, run: Run, recorder: Recorder, metrics: dict[str, float]
) -> None:
    async with run(reader.app, wot, servient_host=HOST, thing_id=LAMP, rate=50):
        await until(lambda: metrics.get("read_failures", 0) >= 3)
        assert set(outcomes(recorder, "level")) == {True}
        assert set(outcomes(recorder, "broken")) == {False}


async def test_a_reader_fails_within_its_timeout_while_cut_and_reads_on_once_healed(
    relayed: tuple[Relay, Any], wot: Any, run: Run, recorder: Recorder
) -> None:
    relay, _ = relayed
    async with run(
        reader.app, wot, servient_host=HOST, thing_id=LAMP, properties=["level"], rate=50, timeout=0.3
    ):
        await until(lambda: True in outcomes(recorder, "level"))
        relay.cut()
        assert await until(lambda: False in outcomes(recorder, "level")) < 1.0
        relay.heal()
        seen = len(outcomes(recorder, "level"))
        assert await until(lambda: True in outcomes(recorder, "level")[seen:]) < 1.0
    failed = next(record for record in recorder.of("consumer") if record.status == "failed")
    assert failed.error.startswith("HTTPTimeoutError: Timeout")


async def test_a_caller_invokes_actions_with_their_inputs(
    relayed: tuple[Relay, Any], wot: Any, run: Run, recorder: Recorder, metrics: dict[str, float]
) -> None:
    params = {"double": {"it": 21}}
    async with run(caller.app, wot, servient_host=HOST, thing_id=LAMP, params=params, interval=0.02):
        await until(lambda: "call_failures" in metrics)
    doubled = next(record for record in recorder.of("producer") if record.name == "double")
    assert (doubled.status, doubled.bytes) == ("ok", len('{"it": 21}{"twice": 42}'))
    assert outcomes(recorder, "fail")[0] is False


async def test_a_subscriber_follows_events_and_observable_properties(
    relayed: tuple[Relay, Any], wot: Any, run: Run, recorder: Recorder
) -> None:
    _, lamp = relayed
    async with run(subscriber.app, wot, servient_host=HOST, thing_id=LAMP):
        await recorder.until("producer", "subscribe", 2)
        lamp.emit_event("flash", "hello")
        await lamp.write_property("level", 2)
        await recorder.until("consumer", "next", 2)
        await recorder.until("producer", "subscribe", 4)
        lamp.emit_event("flash", "again")
        await lamp.write_property("level", 3)
        await recorder.until("consumer", "next", 4)
    names = [(record.op, record.name) for record in recorder.of("consumer") if record.stage == "next"]
    assert set(names) == {("subscribeevent", "flash"), ("observeproperty", "level")}


async def test_a_subscriber_takes_long_silence_for_a_failure_and_subscribes_anew(
    relayed: tuple[Relay, Any], wot: Any, run: Run, recorder: Recorder, metrics: dict[str, float]
) -> None:
    relay, lamp = relayed
    async with run(subscriber.app, wot, servient_host=HOST, thing_id=LAMP, properties=[], silence=0.3):
        await recorder.until("producer", "subscribe")
        relay.cut()
        await until(lambda: metrics.get("subscription_failures", 0) >= 1)
        relay.heal()
        await recorder.until("consumer", "subscribe", 2)
        async with asyncio.timeout(DEADLINE_S):
            while not any(record.stage == "next" for record in recorder.of("consumer")):
                lamp.emit_event("flash", "back")
                await asyncio.sleep(0.05)


async def test_a_clock_tells_the_time_and_ticks(exposing: Any, wot: Any, run: Run, ports: Ports) -> None:
    ticks: list[int] = []
    async with run(clock.app, exposing, interval=0.05):
        thing = await found(wot, ports, clock.THING_ID)
        assert await thing.properties["time"].read() == pytest.approx(time.time() * 1000, abs=2000)
        subscription = thing.events["tick"].subscribe(on_next=lambda item: ticks.append(item.data))
        await until(lambda: len(ticks) >= 2)
        subscription.dispose()
    assert ticks == sorted(set(ticks))


async def test_a_sensor_can_be_read_written_and_calibrated(
    exposing: Any, wot: Any, run: Run, ports: Ports
) -> None:
    async with run(sensor.app, exposing, initial=10, jitter=0):
        thing = await found(wot, ports, sensor.THING_ID)
        assert await thing.properties["value"].read() == 10.0
        await thing.properties["value"].write(12)
        answer = await thing.actions["calibrate"].invoke({"offset": 0.5})
        assert answer == {"before": 12.0, "after": 12.5}
        assert await thing.properties["value"].read() == 12.5


async def test_a_sensors_value_wanders_the_same_way_for_the_same_seed(
    exposing: Any, wot: Any, run: Run, ports: Ports
) -> None:
    async with run(sensor.app, exposing, thing_id="urn:a", interval=1000):
        thing = await found(wot, ports, "urn:a")
        assert await thing.properties["value"].read() == 19.271


async def test_a_sensor_raises_alarms_above_its_threshold(
    exposing: Any, wot: Any, run: Run, ports: Ports
) -> None:
    alarms: list[float] = []
    async with run(sensor.app, exposing, initial=50, jitter=0, alarm_above=40, interval=0.05):
        thing = await found(wot, ports, sensor.THING_ID)
        subscription = thing.events["alarm"].subscribe(on_next=lambda item: alarms.append(item.data))
        await until(lambda: bool(alarms))
        subscription.dispose()
        await thing.properties["value"].write(50)
    assert alarms[0] == 50.0


async def test_a_worker_uses_its_share_and_works_on_request(
    exposing: Any, wot: Any, run: Run, ports: Ports
) -> None:
    before = time.process_time()
    async with run(worker.app, exposing, cpu=0.3, mem="1M"):
        thing = await found(wot, ports, worker.THING_ID)
        answer = await thing.actions["doWork"].invoke({"total": 0.05})
        # It goes on by itself, also on a busy machine, where its share is not to be had.
        await until(lambda: time.process_time() - before > answer["cpu_s"] + 0.25)
    assert answer["cpu_s"] >= 0.05
    assert answer["elapsed_s"] >= 0.05


async def test_a_worker_refuses_more_than_one_core(conf: Conf) -> None:
    with pytest.raises(InputError, match="share from 0 to 1"):
        await worker.app(None, conf, asyncio.get_running_loop(), cpu=2)


async def test_the_error_app_raises_when_it_is_told_to(conf: Conf) -> None:
    with pytest.raises(error.DeliberateError, match=r"after 0\.0 s"):
        await error.app(None, conf, asyncio.get_running_loop(), after=0.01)


async def test_names_that_a_thing_does_not_have_are_refused(
    relayed: tuple[Relay, Any], wot: Any, conf: Conf
) -> None:
    with pytest.raises(InputError, match="the Thing has no property 'lvl'; it has level, broken"):
        await reader.app(wot, conf, asyncio.get_running_loop(), HOST, LAMP, properties=["lvl"])


def test_a_pace_is_given_in_one_way(conf: Conf) -> None:
    assert next(gaps(conf, None, 4, None)) == 0.25
    assert next(gaps(conf, 3, None, None)) == 3
    assert next(gaps(conf, None, None, None)) == 1
    assert next(gaps(conf, None, None, 2.0)) == next(gaps(conf, None, None, 2.0))
    for wrong in ((1, 1, None), (0, None, None), (None, -1, None)):
        with pytest.raises(InputError, match="give one of interval, rate and lambd"):
            gaps(conf, *wrong)
