"""The MQTT broker: Mosquitto if installed, else amqtt. ``python -m wotemu_runtime.broker.server PORT``."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from typing import Any

from wotemu_runtime.broker.mosquitto_passwords import mosquitto_passwords
from wotemu_runtime.planning.broker_users import take

_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"
"""Distributions install mosquitto to /usr/sbin, which an ordinary user's PATH may lack."""
SYS_INTERVAL_S = 2
"""Seconds between two publications of the broker's figures under ``$SYS``."""


def mosquitto_configuration(port: int, password_file: str = "") -> str:
    """Mosquitto's configuration: without Nagle's delay, which costs 40 ms a request.

    Args:
        port: the TCP port, on all addresses.
        password_file: the users' file; "" where everybody may connect.
    """
    access = ["allow_anonymous true"]
    if password_file:
        access = ["allow_anonymous false", f"password_file {password_file}"]
    return "\n".join(
        (
            f"listener {port} 0.0.0.0",
            *access,
            "set_tcp_nodelay true",
            "persistence false",
            f"sys_interval {SYS_INTERVAL_S}",
            "log_dest stderr",
            "log_type error",
            "log_type warning",
            "log_type notice",
            "",
        )
    )


def amqtt_configuration(port: int, users: Mapping[str, str]) -> dict[str, Any]:
    """The same broker as amqtt's configuration; without users, everybody may connect."""
    access: dict[str, Any] = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    if users:
        access = {"wotemu_runtime.broker.amqtt_users.UsersPlugin": {"users": dict(users)}}
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"0.0.0.0:{port}"}},
        "plugins": {
            **access,
            "amqtt.plugins.sys.broker.BrokerSysPlugin": {"sys_interval": SYS_INTERVAL_S},
        },
    }


def find_mosquitto() -> str | None:
    """The path of Mosquitto; None where it is not installed."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")


def main() -> None:
    """Replace this process by Mosquitto, or serve amqtt."""
    port = int(sys.argv[1])
    users = take(os.environ)
    if mosquitto := find_mosquitto():
        # A file in memory leaves nothing behind; Mosquitto 2.0.21 takes no configuration from a pipe.
        passwords = _in_memory("passwords", mosquitto_passwords(users)) if users else ""
        configuration = _in_memory("mosquitto.conf", mosquitto_configuration(port, passwords))
        os.execv(mosquitto, [mosquitto, "-c", configuration])  # noqa: S606  # no shell
    asyncio.run(_amqtt(port, users))


def _in_memory(name: str, text: str) -> str:
    """The path of a file in memory, for this process and what it executes."""
    file = os.memfd_create(name, flags=0)
    os.write(file, text.encode())
    return f"/proc/self/fd/{file}"


async def _amqtt(port: int, users: Mapping[str, str]) -> None:
    from amqtt.broker import Broker

    broker = Broker(amqtt_configuration(port, users))
    await broker.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
