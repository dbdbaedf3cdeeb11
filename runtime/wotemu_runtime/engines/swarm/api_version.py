"""Which Docker daemons will do, and the version of the Engine API that is spoken with one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wotemu.errors import HostError

OLDEST_API = (1, 41)
"""Engine 20.10: the first whose services may be given capabilities."""
NEWEST_API = (1, 50)
"""What was tested last; newer daemons speak it, too."""

Json = dict[str, Any]


def negotiated(version: Mapping[str, Any]) -> str:
    """The API to speak with the daemon of this ``GET /version``; `HostError` where there is none."""
    offered, least = _number(version["ApiVersion"]), _number(version.get("MinAPIVersion") or "1.12")
    engine = f"Docker Engine {version.get('Version', '')}".strip()
    if offered < OLDEST_API:
        raise HostError(
            f"its API {_text(offered)} is too old",
            where=engine,
            hint=f"update it to Engine 20.10 or later, which have API {_text(OLDEST_API)}",
        )
    return f"v{_text(max(least, min(offered, NEWEST_API)))}"


def check_daemon(info: Mapping[str, Any]) -> Json:
    """The swarm of the daemon of this ``GET /info``; `HostError` where it can't be used."""
    where = f"Docker on {info['Name']}"
    if any("name=rootless" in option for option in info.get("SecurityOptions") or ()):
        raise HostError(
            "it is rootless: it has neither overlay networks between machines nor the devices of gateways",
            where=where,
            hint="name a daemon that runs as root in DOCKER_HOST; the local engine needs no root",
        )
    swarm: Json = info["Swarm"]
    if not swarm.get("ControlAvailable"):
        raise HostError("it is no manager of a swarm", where=where, hint="docker swarm init")
    return swarm


def _number(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor)


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
