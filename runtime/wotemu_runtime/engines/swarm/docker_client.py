"""Connects to a Docker daemon: which one, whether it can be used, and what to do about its errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiodocker

from wotemu.errors import HostError

OLDEST_API = (1, 41)
"""Engine 20.10: the first that gives services capabilities (``CapabilityAdd``)."""
NEWEST_API = (1, 50)
"""The newest that was tested; newer daemons speak it, too."""
_START_INTERVAL_API = (1, 44)
_NOT_REACHED = 900
"""The status that aiodocker gives an error for a daemon that does not answer at all."""

Json = dict[str, Any]


def connect_docker() -> aiodocker.Docker:
    """A client of the daemon that DOCKER_HOST names, or else of this machine's.

    Raises:
        HostError: There is no such socket, or DOCKER_HOST is no address.
    """
    try:
        return aiodocker.Docker()
    except (ValueError, AssertionError, aiodocker.DockerError) as error:
        # Where there is neither a socket nor DOCKER_HOST, aiodocker 0.27 fails in an assertion without text.
        raise HostError(
            f"no daemon: {str(error) or 'there is no socket of one'}",
            where="Docker",
            hint="start it, or name another one in DOCKER_HOST",
        ) from error


@contextmanager
def asking_docker() -> Iterator[None]:
    """Turn a refusal of the daemon, or its silence, in the block into a `HostError`."""
    try:
        yield
    except (aiodocker.DockerError, OSError) as error:
        if isinstance(error, aiodocker.DockerError) and error.status != _NOT_REACHED:
            raise HostError(error.message, where="Docker", hint="name a manager in DOCKER_HOST") from error
        hint = "start it, or name another one in DOCKER_HOST"
        raise HostError(f"no answer: {error}", where="Docker", hint=hint) from error


def negotiated(version: Mapping[str, Any]) -> str:
    """The API version to use with a daemon.

    Args:
        version: The daemon's answer to ``GET /version``.

    Raises:
        HostError: The daemon is too old.
    """
    offered, least = _number(version["ApiVersion"]), _number(version.get("MinAPIVersion") or "1.12")
    engine = f"Docker Engine {version.get('Version', '')}".strip()
    if offered < OLDEST_API:
        raise HostError(
            f"its API {_text(offered)} is too old",
            where=engine,
            hint=f"update it to Engine 20.10 or later, which have API {_text(OLDEST_API)}",
        )
    # An old client may speak an old API with a new daemon, as long as that is not below its minimum.
    return f"v{_text(max(least, min(offered, NEWEST_API)))}"


def has_start_interval(api_version: str) -> bool:
    """Whether containers may have a ``StartInterval`` of health checks, by the version that is spoken."""
    return _number(api_version.removeprefix("v")) >= _START_INTERVAL_API


def check_daemon(info: Mapping[str, Any]) -> Json:
    """The swarm of a daemon that can run an emulation: one that is a manager and not rootless.

    Args:
        info: The daemon's answer to ``GET /info``.

    Raises:
        HostError: The daemon can't be used.
    """
    where = f"Docker on {info['Name']}"
    if any("name=rootless" in option for option in info.get("SecurityOptions") or ()):
        raise HostError(
            "it is rootless: it has neither overlay networks between machines nor the devices of gateways",
            where=where,
            hint="name a daemon that runs as root in DOCKER_HOST; the local engine needs no root",
        )
    return managed_swarm(info)


def managed_swarm(info: Mapping[str, Any]) -> Json:
    """The swarm that a daemon manages.

    Args:
        info: The daemon's answer to ``GET /info``.

    Raises:
        HostError: It manages none.
    """
    swarm: Json = info["Swarm"]
    if not swarm.get("ControlAvailable"):
        hint = "make it one: docker swarm init; or name a manager in DOCKER_HOST"
        raise HostError("it is no manager of a swarm", where=f"Docker on {info['Name']}", hint=hint)
    return swarm


def _number(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor)


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
