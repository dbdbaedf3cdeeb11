"""What an agent learns of the MQTT broker that is its node's app."""

from __future__ import annotations

import asyncio

import aiomqtt

from wotemu.records import Broker
from wotemu_runtime.roles.role import Role

_RETRY_S = 0.1


async def monitor(role: Role, port: int, up: asyncio.Event) -> None:
    """Say when the broker answers, then record its ``$SYS`` figures; connect again when it is back."""
    name = role.assignment.subject
    while True:
        try:
            async with aiomqtt.Client("127.0.0.1", port, identifier="wotemu-agent") as client:
                await client.subscribe("$SYS/#")
                if not up.is_set():
                    role.event("broker.ready", f"{name} answers")
                    up.set()
                async for message in client.messages:
                    value = _number(message.payload)
                    if value is not None:
                        role.publisher.put(Broker(role.now(), name, str(message.topic), value))
        except aiomqtt.MqttError:
            await asyncio.sleep(_RETRY_S)  # a broker that is not there tells nobody when it is


def _number(payload: object) -> float | None:
    """The number that a payload begins with, as in ``42 bytes``."""
    if not isinstance(payload, bytes | bytearray):
        return float(payload) if isinstance(payload, int | float) else None
    try:
        return float(payload.decode().split()[0])
    except (ValueError, IndexError):
        return None
