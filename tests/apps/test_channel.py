"""What an app tells its agent arrives in order, or is counted as lost; the app never waits for it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
import uvloop

from wotemu.records import App, to_row
from wotemu_runtime.agent.supervision.app_connection import AppConnection
from wotemu_runtime.app_process.agent_connection import AgentConnection
from wotemu_runtime.app_process.messages import (
    AppError,
    Failed,
    Failure,
    Go,
    Lost,
    Message,
    Ready,
    Rows,
    Up,
    decode,
    encode,
)
from wotemu_runtime.app_process.record_sockets import socket_pair

FAILURE = Failure("run", "ValueError", "wrong", "apps.py:3", "mend it", "Traceback ...")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    agent, app = socket_pair()
    with agent, app:
        yield agent, app


def metric(number: float) -> App:
    return App(t=1.0, node="n", key="k", value=number)


async def take(channel: AppConnection, count: int) -> list[Message]:
    async with asyncio.timeout(5):
        return [await anext(channel) for _ in range(count)]


@pytest.mark.parametrize(
    "message",
    [
        Ready(),
        Go(),
        Up(returned=True),
        Failed(FAILURE),
        AppError(FAILURE),
        Lost(3),
        Rows("app", [[1.0, "n", "k", 2.0]]),
    ],
)
def test_every_message_survives_the_way(message: Message) -> None:
    assert decode(encode(message)) == message


async def test_messages_arrive_in_order_until_the_app_is_gone(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    agent, app = pair
    channel = AgentConnection(app)
    channel.send(Ready())
    channel.record(metric(1))
    channel.send(Failed(FAILURE))
    app.close()
    assert [message async for message in AppConnection(agent)] == [
        Ready(),
        Rows("app", [to_row(metric(1))]),
        Failed(FAILURE),
    ]


def test_the_agents_end_works_on_uvloop(pair: tuple[socket.socket, socket.socket]) -> None:
    agent, app = pair

    async def talk() -> list[Message]:
        channel, taking = AgentConnection(app), asyncio.ensure_future(take(AppConnection(agent), 2))
        await asyncio.sleep(0)
        channel.send(Ready())
        channel.send(Up(returned=False))
        return await taking

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(talk()) == [Ready(), Up(returned=False)]


async def test_the_app_waits_for_the_agents_word(pair: tuple[socket.socket, socket.socket]) -> None:
    agent, app = pair
    waiting = asyncio.create_task(AgentConnection(app).wait_go())
    await asyncio.sleep(0)
    assert not waiting.done()
    AppConnection(agent).go()
    assert await waiting


async def test_the_app_learns_that_its_agent_hung_up(pair: tuple[socket.socket, socket.socket]) -> None:
    agent, app = pair
    waiting = asyncio.create_task(AgentConnection(app).wait_go())
    AppConnection(agent).close()
    assert not await waiting


async def test_a_full_socket_costs_rows_that_are_counted_but_no_time(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    agent, app = pair
    channel = AgentConnection(app, buffer_bytes=10_000)
    channel.attach(asyncio.get_running_loop())
    sent = 20_000
    for number in range(sent):
        channel.record(metric(number))
    assert channel.lost > 0
    channel.send(Up(returned=False))
    got: list[float] = []
    lost = 0
    async with asyncio.timeout(5):
        async for message in AppConnection(agent):
            if isinstance(message, Rows):
                got += [row[-1] for row in message.rows]
            elif isinstance(message, Lost):
                lost += message.count
            else:
                break
    channel.detach()
    assert isinstance(message, Up), "what must not be lost came through all the same"
    assert len(got) + lost == sent
    assert got == sorted(got)


async def test_losses_are_reported_even_if_nothing_follows(pair: tuple[socket.socket, socket.socket]) -> None:
    agent, app = pair
    channel = AgentConnection(app, buffer_bytes=0)
    channel.attach(asyncio.get_running_loop())
    while not channel.lost:
        channel.record(metric(1))
    channel.send(Ready())
    messages = AppConnection(agent)
    async with asyncio.timeout(5):
        while not isinstance(await anext(messages), Lost):
            pass
    channel.detach()


async def test_a_row_that_cannot_travel_is_counted(pair: tuple[socket.socket, socket.socket]) -> None:
    agent, app = pair
    channel = AgentConnection(app)
    channel.record(App(t=1.0, node="n", key="k" * 100_000, value=1.0))
    channel.record(App(t=1.0, node="n", key=object(), value=1.0))  # type: ignore[arg-type]
    channel.record(App(t=1.0, node="\udc80", key="k", value=2**70))
    channel.send(Ready())
    assert await take(AppConnection(agent), 2) == [Lost(3), Ready()]


async def test_what_a_lone_surrogate_is_in_still_travels(pair: tuple[socket.socket, socket.socket]) -> None:
    agent, app = pair
    AgentConnection(app).record(App(t=1.0, node="\udc80", key="k", value=1.0))
    assert await take(AppConnection(agent), 1) == [Rows("app", [[1.0, "?", "k", 1.0]])]


def test_without_an_agent_nothing_is_kept_and_nothing_raised(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    agent, app = pair
    channel = AgentConnection(app)
    agent.close()
    for number in range(100):
        channel.record(metric(number))
    channel.send(Failed(FAILURE))
    assert channel.flush(0.1)


def test_a_flush_waits_for_the_agent_but_not_forever(pair: tuple[socket.socket, socket.socket]) -> None:
    agent, app = pair
    channel = AgentConnection(app)
    for number in range(5_000):
        channel.record(metric(number))
    assert not channel.flush(0.05)
    reader = threading.Thread(target=lambda: [agent.recv(65536) for _ in range(5_000)])
    reader.start()
    assert channel.flush(5)
    reader.join()


async def test_long_texts_are_cut_where_they_matter_least(pair: tuple[socket.socket, socket.socket]) -> None:
    agent, app = pair
    AgentConnection(app).send(Failed(Failure("run", "E", "m" * 50_000, traceback="é" * 50_000 + "the end")))
    (message,) = await take(AppConnection(agent), 1)
    assert isinstance(message, Failed)
    assert message.failure.message == "m" * 1000
    assert message.failure.traceback.endswith("the end")


async def test_what_an_app_says_last_arrives_though_it_never_read_what_it_was_told() -> None:
    agent_end, app_end = socket_pair()
    agent, app = AppConnection(agent_end), AgentConnection(app_end)
    agent.go()
    app.send(Up(returned=True))
    app_end.close()
    assert [message async for message in agent] == [Up(returned=True)]
    agent.close()
