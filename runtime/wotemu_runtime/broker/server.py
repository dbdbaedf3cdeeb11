"""The MQTT broker: Mosquitto if installed, else amqtt. ``python -m wotemu_runtime.broker.server PORT``."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

from wotemu_runtime.broker.mosquitto_passwords import mosquitto_passwords
from wotemu_runtime.planning.broker_settings import BrokerSettings, take
from wotemu_runtime.planning.mosquitto import find_mosquitto

SYS_INTERVAL_S = 2
"""Seconds between two publications of the broker's figures under ``$SYS``."""


def mosquitto_configuration(port: int, settings: BrokerSettings, file: Callable[[str, str], str]) -> str:
    """Mosquitto's configuration: without Nagle's delay, which costs 40 ms a request.

    Args:
        port: the TCP port, on all addresses.
        settings: the broker's settings.
        file: makes a file of a name and a text, and returns its path.
    """
    access = ["allow_anonymous true"]
    if settings.users:
        passwords = file("passwords", mosquitto_passwords(settings.users))
        access = ["allow_anonymous false", f"password_file {passwords}"]
    if settings.certificate:
        access += [f"certfile {file('certificate', settings.certificate)}"]
        access += [f"keyfile {file('key', settings.key)}"]
    storage = ["persistence false"]
    if settings.store:
        storage = ["persistence true", f"persistence_location {settings.store}/"]
        storage += [f"autosave_interval {settings.store_every_s}"]
    return "\n".join(
        (
            f"listener {port} 0.0.0.0",
            *access,
            "set_tcp_nodelay true",
            *storage,
            f"sys_interval {SYS_INTERVAL_S}",
            "log_dest stderr",
            "log_type error",
            "log_type warning",
            "log_type notice",
            "",
        )
    )


def amqtt_configuration(
    port: int, settings: BrokerSettings, file: Callable[[str, str], str]
) -> dict[str, Any]:
    """The same broker as amqtt's configuration; it stores nothing."""
    access: dict[str, Any] = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    if settings.users:
        access = {"wotemu_runtime.broker.amqtt_users.UsersPlugin": {"users": dict(settings.users)}}
    listener: dict[str, Any] = {"type": "tcp", "bind": f"0.0.0.0:{port}"}
    if settings.certificate:
        files = {
            "certfile": file("certificate", settings.certificate),
            "keyfile": file("key", settings.key),
        }
        listener |= {"ssl": True, **files}
    return {
        "listeners": {"default": listener},
        "plugins": {
            **access,
            "amqtt.plugins.sys.broker.BrokerSysPlugin": {"sys_interval": SYS_INTERVAL_S},
        },
    }


def main() -> None:
    """Replace this process by Mosquitto, or serve amqtt."""
    port = int(sys.argv[1])
    settings = take(os.environ)
    # Files in memory leave nothing behind; Mosquitto 2.0.21 takes no configuration from a pipe.
    if mosquitto := find_mosquitto():
        configuration = _in_memory("mosquitto.conf", mosquitto_configuration(port, settings, _in_memory))
        os.execv(mosquitto, [mosquitto, "-c", configuration])  # noqa: S606  # no shell
    asyncio.run(_amqtt(amqtt_configuration(port, settings, _in_memory)))


def _in_memory(name: str, text: str) -> str:
    """The path of a file in memory, for this process and what it executes."""
    file = os.memfd_create(name, flags=0)
    os.write(file, text.encode())
    return f"/proc/self/fd/{file}"


async def _amqtt(configuration: dict[str, Any]) -> None:
    from amqtt.broker import Broker

    broker = Broker(configuration)
    await broker.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
