"""What goes wrong when Docker is asked, as an error that says what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiodocker

from wotemu.errors import HostError

_NOT_REACHED = 900
"""The status that aiodocker has for a daemon that does not answer at all."""


@contextmanager
def asking_docker() -> Iterator[None]:
    """`HostError` where the daemon does not answer in the block, or refuses."""
    try:
        yield
    except (aiodocker.DockerError, OSError) as error:
        if isinstance(error, aiodocker.DockerError) and error.status != _NOT_REACHED:
            raise HostError(error.message, where="Docker", hint="name a manager in DOCKER_HOST") from error
        hint = "start it, or name another one in DOCKER_HOST"
        raise HostError(f"no answer: {error}", where="Docker", hint=hint) from error
