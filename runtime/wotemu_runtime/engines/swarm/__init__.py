"""The swarm engine: Docker Swarm places the roles; WoTemu never schedules containers itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wotemu.errors import HostError


@contextmanager
def needing_docker_client(where: str) -> Iterator[None]:
    """Turn the lack of the optional package aiodocker, while the block imports it, into a `HostError`.

    Args:
        where: What was asked for, such as ``--engine swarm``.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        # Not `pip install wotemu[swarm]`: the package index has the WoTemu of 2021 under that name.
        raise HostError(
            f"it needs the package {error.name}",
            where=where,
            hint=f"pip install {error.name}, into the environment that WoTemu runs in",
        ) from error
