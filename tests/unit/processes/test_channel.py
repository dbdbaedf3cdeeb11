"""Messages between processes: whole or not at all, whatever their size and whenever the other end reads."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from wotemu_runtime.processes.channel import MAX_MESSAGE, AsyncChannel, Channel

BIG = {"data": bytes(4 * 1024 * 1024)}
"""More than a Unix socket's buffer holds."""


async def test_a_message_larger_than_the_buffer_waits_for_a_slow_reader() -> None:
    ours, theirs = await AsyncChannel.pair()
    received = []
    sending = asyncio.create_task(ours.send(BIG))
    await asyncio.sleep(0)
    assert not sending.done(), "the other end has read nothing yet"
    reader = threading.Thread(target=lambda: received.append(theirs.receive()))
    reader.start()
    await sending
    await asyncio.to_thread(reader.join)
    assert received == [(BIG, [])]
    ours.close()
    theirs.close()


async def test_messages_come_whole_and_in_order_however_they_are_cut() -> None:
    ours, theirs = await AsyncChannel.pair()
    messages = [{"n": n, "text": "x" * (n * 977 % 90_000)} for n in range(200)]

    def send() -> None:
        for message in messages:
            theirs.send(message)
        theirs.close()

    sender = threading.Thread(target=send)
    sender.start()
    assert [await ours.receive() for _ in messages] == messages
    assert await ours.receive() is None
    await asyncio.to_thread(sender.join)
    ours.close()


async def test_a_message_that_broke_off_is_the_end() -> None:
    ours, theirs = await AsyncChannel.pair()
    theirs.sock.sendall((100).to_bytes(4, "big") + b"half")
    theirs.close()
    assert await ours.receive() is None
    ours.close()


async def test_sending_to_an_end_that_is_gone_is_an_error() -> None:
    ours, theirs = await AsyncChannel.pair()
    theirs.close()
    with pytest.raises(ConnectionError):
        await ours.send(BIG)
    ours.close()


async def test_more_than_a_channel_takes_is_refused() -> None:
    ours, theirs = await AsyncChannel.pair()
    with pytest.raises(ValueError, match="over the limit"):
        await ours.send({"data": bytes(MAX_MESSAGE)})
    ours.close()
    theirs.close()


def test_what_came_for_a_process_that_is_gone_is_dropped_with_its_descriptors() -> None:
    ours, theirs = Channel.pair()
    read, write = os.pipe()
    ours.send({"op": "started"}, [write])
    ours.sock.sendall((100).to_bytes(4, "big") + b"half")
    os.close(write)
    theirs.discard()
    assert os.read(read, 1) == b"", "nobody has the other end any more"
    ours.send({"op": "new"})
    assert theirs.receive() == ({"op": "new"}, [])
    ours.close()
    theirs.discard()
    theirs.close()
    os.close(read)


def test_an_end_that_others_have_open_ends_for_all() -> None:
    ours, theirs = Channel.pair()
    another = Channel(ours.sock.dup())
    ours.end()
    assert theirs.receive() is None
    theirs.close()
    another.end()
