"""An app's process: what it tells its agent, in which order, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from wotemu.app import Conf, Ports
from wotemu_runtime.agent.supervision.app_connection import AppConnection
from wotemu_runtime.app_process.app_run import EXIT_FAILED
from wotemu_runtime.app_process.loading.spec import AppSpec
from wotemu_runtime.app_process.main import EXIT_UNUSABLE
from wotemu_runtime.app_process.messages import AppError, Claim, Failed, Message, Ready, Rows, Up
from wotemu_runtime.app_process.record_sockets import socket_pair

from .lamp import HOST

DEADLINE_S = 20.0


@attrs.define
class Running:
    """An app's process, and the agent's end of its channel."""

    process: asyncio.subprocess.Process
    channel: AppConnection

    async def next(self) -> Message:
        """The next message that claims no socket: claims come whenever a binding opens one."""
        async with asyncio.timeout(DEADLINE_S):
            while isinstance(message := await anext(self.channel), Claim):
                pass
            return message

    async def until(self, kind: type[Message]) -> list[Message]:
        """Everything up to and with the first message of a kind."""
        messages = [await self.next()]
        while not isinstance(messages[-1], kind):
            messages.append(await self.next())
        return messages

    async def rest(self) -> list[Message]:
        """Everything until the process is gone."""
        async with asyncio.timeout(DEADLINE_S):
            return [message async for message in self.channel]

    async def go(self) -> None:
        assert await self.next() == Ready()
        self.channel.go()

    async def ended(self) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        async with asyncio.timeout(DEADLINE_S):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(tmp_path: Path, ports: Ports) -> AsyncIterator[Start]:
    """Starts the process of an app whose text is given."""
    started: list[Running] = []

    async def start(text: str, **kwargs: Any) -> Running:
        (tmp_path / "thing.py").write_text(text)
        conf = Conf(node="thing", replica="thing-1", hostname=HOST, ports=ports)
        spec = AppSpec(target="thing.py", root=str(tmp_path), conf=conf, **kwargs)
        agent, app = socket_pair()
        with app:
            process = await asyncio.create_subprocess_exec(
                *(
                    sys.executable,
                    "-m",
                    "wotemu_runtime.app_process.main",
                    str(app.fileno()),
                    json.dumps(spec.to_dict()),
                ),
                pass_fds=[app.fileno()],
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        started.append(Running(process, AppConnection(agent)))
        return started[-1]

    yield start
    for running in started:
        if running.process.returncode is None:
            running.process.kill()
            await running.process.communicate()
        running.channel.close()


async def test_an_app_that_returns_is_up_and_serves_on(start: Start) -> None:
    app = await start("async def app(wot, conf, loop):\n    print('hello from', conf.replica)\n")
    await app.go()
    assert await app.next() == Up(returned=True)
    app.process.send_signal(signal.SIGTERM)
    code, out, _ = await app.ended()
    assert (code, out) == (0, "hello from thing-1\n")


async def test_an_app_that_goes_on_is_up_after_a_second(start: Start) -> None:
    app = await start("async def app(wot, conf, loop):\n    await loop.create_future()\n")
    await app.go()
    assert await app.next() == Up(returned=False)


async def test_nothing_of_the_app_runs_before_its_agent_says_go(start: Start) -> None:
    app = await start("print('loaded')\nasync def app(wot, conf, loop):\n    print('ran')\n", http=True)
    assert await app.next() == Ready()
    app.process.send_signal(signal.SIGTERM)
    assert (await app.ended())[:2] == (0, "loaded\n")


async def test_an_app_sees_no_arguments_of_ours(start: Start) -> None:
    app = await start("import sys\nprint(sys.argv)\nasync def app(wot, conf, loop):\n    sys.exit()\n")
    await app.go()
    assert (await app.ended())[:2] == (0, "['thing.py']\n")


async def test_an_app_that_raises_tells_why_and_exits(start: Start) -> None:
    app = await start("async def app(wot, conf, loop):\n    raise RuntimeError('no bulb')\n")
    await app.go()
    told = await app.next()
    assert isinstance(told, Failed)
    assert str(told.failure) == "thing.py:2: RuntimeError: no bulb"
    assert told.failure.stage == "run"
    code, _, err = await app.ended()
    assert code == EXIT_FAILED
    assert "RuntimeError: no bulb" in err


async def test_an_app_that_raises_later_was_up_first(start: Start) -> None:
    text = """
import asyncio

async def app(wot, conf, loop):
    await asyncio.sleep(1.2)
    raise KeyError(1)
"""
    app = await start(text)
    await app.go()
    kinds = [type(message) for message in await app.until(Failed)]
    assert kinds == [Up, Failed]


async def test_an_app_that_leaves_its_process_has_failed(start: Start) -> None:
    app = await start("import sys\nasync def app(wot, conf, loop):\n    sys.exit(7)\n")
    await app.go()
    told = await app.next()
    assert isinstance(told, Failed)
    assert (told.failure.type, told.failure.where) == ("SystemExit", "thing.py:3")
    assert (await app.ended())[0] == 7


async def test_an_app_that_leaves_with_0_has_not_failed(start: Start) -> None:
    app = await start("import sys\nasync def app(wot, conf, loop):\n    print('done')\n    sys.exit(0)\n")
    await app.go()
    assert await app.rest() == []
    assert (await app.ended())[:2] == (0, "done\n")


async def test_an_app_that_can_never_run_says_so_before_it_is_ready(start: Start) -> None:
    app = await start("async def app(wot, conf, loop):\n    pass\n", params={"rate": 1})
    told = await app.next()
    assert isinstance(told, Failed)
    assert told.failure.stage == "prepare"
    assert (await app.ended())[0] == EXIT_UNUSABLE


async def test_a_taken_port_is_a_failure_of_the_start(start: Start, ports: Ports) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "0.0.0.0", ports.http)
    async with server:
        app = await start("async def app(wot, conf, loop):\n    pass\n", http=True)
        await app.go()
        told = await app.next()
    assert isinstance(told, Failed)
    assert (told.failure.stage, told.failure.type) == ("start", "OSError")
    assert "ports" in told.failure.hint


async def test_an_exception_that_nobody_takes_is_told_and_the_app_goes_on(start: Start) -> None:
    text = """
def fail():
    raise ValueError("in a callback")

async def app(wot, conf, loop):
    loop.call_soon(fail)
    await loop.create_future()
"""
    app = await start(text)
    await app.go()
    told, up = await app.next(), await app.next()
    assert isinstance(told, AppError)
    assert str(told.failure) == "thing.py:3: ValueError: in a callback"
    assert up == Up(returned=False)
    app.process.send_signal(signal.SIGTERM)
    code, _, err = await app.ended()
    assert code == 0
    assert "in a callback" in err


async def test_metrics_and_interactions_travel_as_rows(start: Start, ports: Ports) -> None:
    text = """
import threading
from wotemu.app import consume_from_catalogue, wait_node, write_metric
from wotemu_runtime.apps._producer import produce

async def app(wot, conf, loop):
    thing = produce(wot, "urn:t", "t", properties={"p": {"type": "number"}})
    await thing.write_property("p", 5)
    thing.expose()
    threading.Thread(target=write_metric, args=("heat", 451)).start()
    await wait_node(conf, "127.0.0.1", ["urn:t"])
    seen = await consume_from_catalogue(wot, servient_host="127.0.0.1", thing_id="t", conf=conf)
    assert await seen.properties["p"].read() == 5
"""
    app = await start(text, http=True, wotpy_fixes=["td-cost", "http-clients"])
    await app.go()
    rows: list[tuple[str, Any]] = []
    while len(rows) < 3:  # not until `Up`, which comes after a second at the latest
        message = await app.next()
        if isinstance(message, Rows):
            rows.append((message.table, message.rows[0]))
    assert [(table, row[1:]) for table, row in rows if table == "app"] == [
        ("app", ["thing-1", "heat", 451.0])
    ]
    interactions = [row for table, row in rows if table == "interactions"]
    assert [(row[1], row[2], row[3], row[6], row[8]) for row in interactions] == [
        ("thing-1", "producer", "urn:t", "readproperty", "http"),
        ("thing-1", "consumer", "urn:t", "readproperty", "http"),
    ]


async def test_sigterm_lets_the_app_and_its_servers_end(start: Start) -> None:
    text = """
async def app(wot, conf, loop):
    try:
        await loop.create_future()
    finally:
        print("bye")
"""
    app = await start(text, http=True, ws=True, coap=True)
    await app.go()
    await app.until(Up)
    app.process.send_signal(signal.SIGTERM)
    assert (await app.ended())[:2] == (0, "bye\n")


GRACEFUL = """
import asyncio, signal

async def app(wot, conf, loop):
    stop = asyncio.Event()
    {take}
    await stop.wait()
    await asyncio.sleep(0.2)
    print("closed cleanly")
"""
TAKES_SIGTERM = {
    "the loop's handler": GRACEFUL.format(take="loop.add_signal_handler(signal.SIGTERM, stop.set)"),
    "the process's handler": GRACEFUL.format(
        take="signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(stop.set))"
    ),
    "a handler of its module's": """
import asyncio, signal
stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))

async def app(wot, conf, loop):
    while not stopping:
        await asyncio.sleep(0.05)
    print("closed cleanly")
""",
    "its task's cancellation": """
import asyncio, signal

async def app(wot, conf, loop):
    loop.add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    try:
        await loop.create_future()
    finally:
        await asyncio.sleep(0.2)
        print("closed cleanly")
""",
    "sys.exit": """
import asyncio, signal, sys

async def app(wot, conf, loop):
    signal.signal(signal.SIGTERM, lambda *_: (print("closed cleanly"), sys.exit(0)))
    await loop.create_future()
""",
}


@pytest.mark.parametrize("text", TAKES_SIGTERM.values(), ids=TAKES_SIGTERM.keys())
async def test_an_app_that_takes_sigterm_itself_ends_as_it_does_elsewhere(start: Start, text: str) -> None:
    app = await start(text, http=True, ws=True)
    await app.go()
    await app.until(Up)
    app.process.send_signal(signal.SIGTERM)
    assert not any(isinstance(message, Failed) for message in await app.rest())
    assert (await app.ended())[:2] == (0, "closed cleanly\n")


async def test_an_app_that_returned_ends_at_the_sigterm_that_it_took(start: Start) -> None:
    text = """
import signal

async def app(wot, conf, loop):
    loop.add_signal_handler(signal.SIGTERM, print, "asked")
"""
    app = await start(text, http=True)
    await app.go()
    assert await app.next() == Up(returned=True)
    app.process.send_signal(signal.SIGTERM)
    assert (await app.ended())[:2] == (0, "asked\n")


LOGS = """
import logging
{module}

async def app(wot, conf, loop):
    {app}
    for name in ("own", "tornado.access"):
        logging.getLogger(name).debug("a debug")
        logging.getLogger(name).info("an info")
        logging.getLogger(name).warning("a warning")
"""
BASIC = "logging.basicConfig(level=logging.DEBUG, format='%(name)s|%(message)s')"
PLAIN = "logging.basicConfig(format='%(name)s|%(message)s')"
DICT = (
    "import logging.config; logging.config.dictConfig({'version': 1, 'disable_existing_loggers': False, "
    "'formatters': {'f': {'format': '%(name)s|%(message)s'}}, "
    "'handlers': {'h': {'class': 'logging.StreamHandler', 'formatter': 'f'}}, "
    "'root': {'level': 'INFO', 'handlers': ['h']}})"
)


@pytest.mark.parametrize("place", ["module", "app"])
@pytest.mark.parametrize(
    ("configures", "levels"),
    [(BASIC, ["a debug", "an info", "a warning"]), (PLAIN, ["a warning"]), (DICT, ["an info", "a warning"])],
    ids=["basicConfig with a level", "basicConfig without", "dictConfig"],
)
async def test_an_app_that_configures_logging_gets_what_it_asked_for(
    start: Start, place: str, configures: str, levels: list[str]
) -> None:
    app = await start(LOGS.format(**{"module": "", "app": "pass", place: configures}))
    await app.go()
    await app.until(Up)
    app.process.send_signal(signal.SIGTERM)
    lines = (await app.ended())[2].splitlines()
    expected = [f"{name}|{level}" for name in ("own", "tornado.access") for level in levels]
    assert [line for line in lines if line.startswith(("own", "tornado.access"))] == expected


async def test_an_app_that_configures_no_logging_logs_from_info_on(start: Start) -> None:
    app = await start(LOGS.format(module="", app="pass"))
    await app.go()
    await app.until(Up)
    app.process.send_signal(signal.SIGTERM)
    lines = (await app.ended())[2].splitlines()
    assert lines == ["INFO own: an info", "WARNING own: a warning", "WARNING tornado.access: a warning"]


async def test_ctrl_c_is_not_the_apps_to_answer(start: Start) -> None:
    app = await start("async def app(wot, conf, loop):\n    await loop.create_future()\n")
    await app.go()
    app.process.send_signal(signal.SIGINT)
    assert await app.next() == Up(returned=False)


STUBBORN_TASK = """
import asyncio

async def app(wot, conf, loop):
    while True:
        try:
            await loop.create_future()
        except asyncio.CancelledError:
            pass
"""
STUBBORN_THREAD = """
import asyncio, time

async def app(wot, conf, loop):
    await asyncio.to_thread(time.sleep, 1000)
"""


@pytest.mark.parametrize("stubborn", [STUBBORN_TASK, STUBBORN_THREAD], ids=["task", "thread"])
async def test_what_refuses_to_end_is_ended(start: Start, stubborn: str) -> None:
    app = await start(stubborn)
    await app.go()
    await app.until(Up)
    app.process.send_signal(signal.SIGTERM)
    assert (await app.ended())[0] == 0


async def test_without_its_agent_an_app_ends(start: Start) -> None:
    app = await start("async def app(wot, conf, loop):\n    await loop.create_future()\n")
    await app.go()
    await app.until(Up)
    app.channel.close()
    assert (await app.ended())[0] == 0
