"""The MQTT broker: Mosquitto if installed, else amqtt. ``python -m wotemu_runtime.broker.server PORT``."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from typing import Any

_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"
"""Distributions install mosquitto to /usr/sbin, which an ordinary user's PATH may lack."""
SYS_INTERVAL_S = 2
"""Seconds between two publications of the broker's figures under ``$SYS``."""


def mosquitto_configuration(port: int) -> str:
    """Mosquitto's configuration: open to all nodes; without Nagle's delay, which costs 40 ms a request."""
    return "\n".join(
        (
            f"listener {port} 0.0.0.0",
            "allow_anonymous true",
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


def amqtt_configuration(port: int) -> dict[str, Any]:
    """The same broker as amqtt's configuration."""
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"0.0.0.0:{port}"}},
        "plugins": {
            "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
            "amqtt.plugins.sys.broker.BrokerSysPlugin": {"sys_interval": SYS_INTERVAL_S},
        },
    }


def find_mosquitto() -> str | None:
    """The path of Mosquitto; None where it is not installed."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")


def main() -> None:
    """Replace this process by Mosquitto, or serve amqtt."""
    port = int(sys.argv[1])
    if mosquitto := find_mosquitto():
        # A file in memory leaves nothing behind; Mosquitto 2.0.21 takes no configuration from a pipe.
        file = os.memfd_create("mosquitto.conf", flags=0)
        os.write(file, mosquitto_configuration(port).encode())
        os.execv(mosquitto, [mosquitto, "-c", f"/proc/self/fd/{file}"])  # noqa: S606  # no shell
    asyncio.run(_amqtt(port))


async def _amqtt(port: int) -> None:
    from amqtt.broker import Broker

    broker = Broker(amqtt_configuration(port))
    await broker.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
