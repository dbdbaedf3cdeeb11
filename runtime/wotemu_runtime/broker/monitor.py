"""Monitors the MQTT broker that a node runs: when it answers, and its ``$SYS`` figures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from wotemu.records import Broker
from wotemu_runtime.roles.role import Role

if TYPE_CHECKING:
    import aiomqtt

_RETRY_S = 0.1


async def monitor(
    role: Role,
    new_client: Callable[[], AbstractAsyncContextManager[aiomqtt.Client]],
    answers: asyncio.Event,
) -> None:
    """Record the broker's figures until cancelled; reconnect when it is back after a crash.

    Args:
        role: the role of the broker's node.
        new_client: connects a client, which lives as long as the block.
        answers: set when the broker has answered for the first time.
    """
    from aiomqtt import MqttError  # agents of brokers alone need it

    name = role.assignment.subject
    while True:
        try:
            async with new_client() as client:
                await client.subscribe("$SYS/#")
                if not answers.is_set():
                    role.event("broker.ready", f"{name} answers")
                    answers.set()
                async for message in client.messages:
                    value = _number(message.payload)
                    if value is not None:
                        role.publisher.put(Broker(role.now(), name, str(message.topic), value))
        except (MqttError, OSError):
            await asyncio.sleep(_RETRY_S)  # nothing announces that the broker has started


def _number(payload: object) -> float | None:
    """The number that a payload begins with, as in ``42 bytes``."""
    if not isinstance(payload, bytes | bytearray):
        return float(payload) if isinstance(payload, int | float) else None
    try:
        return float(payload.decode().split()[0])
    except (ValueError, IndexError):
        return None
