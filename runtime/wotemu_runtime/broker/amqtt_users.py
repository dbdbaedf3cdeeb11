"""A plugin of amqtt that lets users in with their passwords, and nobody else."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session


class UsersPlugin(BaseAuthPlugin):  # type: ignore[misc]  # amqtt has no types
    """Compares a client's name and password with those that the configuration has."""

    async def authenticate(self, *, session: Session) -> bool:
        """Whether the session's user is known and has given its password."""
        users: dict[str, str] = self._get_config_option("users", {})
        wanted = users.get(session.username or "")
        return wanted is not None and hmac.compare_digest(wanted.encode(), (session.password or "").encode())

    @dataclass
    class Config:
        """`users`: the password of each."""

        users: dict[str, str] = field(default_factory=dict, repr=False)
