"""How a broker's settings reach its process and its agent: in an environment variable, as JSON.

The broker's process takes it out of its environment before anything else runs.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, MutableMapping

import attrs

VARIABLE = "WOTEMU_BROKER"
MONITOR = "wotemu-monitor"
"""The user of the broker's agent, which reads figures under ``$SYS``. Its password is new in each run."""


@attrs.frozen
class BrokerSettings:
    """What a broker is started with.

    Attributes:
        users: The password of each user; without any, everybody may connect.
        store: The folder in which it stores sessions and retained messages; "" for none.
        store_every_s: How often it does so.
        certificate: For TLS: its certificate, as PEM; "" without TLS.
        key: The key of that, as PEM.
    """

    users: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    store: str = ""
    store_every_s: int = 1
    certificate: str = ""
    key: str = attrs.field(default="", repr=False)


def environment(settings: BrokerSettings) -> dict[str, str]:
    """The variables that a broker is started with; none for one without any settings."""
    if settings == BrokerSettings():
        return {}
    users = {**settings.users, MONITOR: secrets.token_urlsafe()} if settings.users else {}
    return {VARIABLE: json.dumps(attrs.asdict(attrs.evolve(settings, users=users)))}


def monitor_login(env: Mapping[str, str]) -> tuple[str, str] | None:
    """The monitor's user name and password; None where everybody may connect."""
    users = _read(env.get(VARIABLE)).users
    return (MONITOR, users[MONITOR]) if users else None


def uses_tls(env: Mapping[str, str]) -> bool:
    """Whether the broker speaks TLS."""
    return bool(_read(env.get(VARIABLE)).certificate)


def take(env: MutableMapping[str, str]) -> BrokerSettings:
    """The settings, taken out of the environment."""
    return _read(env.pop(VARIABLE, None))


def _read(text: str | None) -> BrokerSettings:
    return BrokerSettings() if text is None else BrokerSettings(**json.loads(text))
