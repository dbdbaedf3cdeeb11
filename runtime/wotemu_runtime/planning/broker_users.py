"""How a broker's users reach its process and its agent: in an environment variable, as JSON.

The broker's process takes it out of its environment before anything else runs.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, MutableMapping

VARIABLE = "WOTEMU_BROKER_USERS"
MONITOR = "wotemu-monitor"
"""The user of the broker's agent, which reads figures under ``$SYS``. Its password is new in each run."""


def environment(users: Mapping[str, str]) -> dict[str, str]:
    """The variables that a broker with these users is started with; none where everybody may connect."""
    if not users:
        return {}
    return {VARIABLE: json.dumps({**users, MONITOR: secrets.token_urlsafe()})}


def monitor_login(env: Mapping[str, str]) -> tuple[str, str] | None:
    """The monitor's user name and password; None where everybody may connect."""
    return (MONITOR, json.loads(env[VARIABLE])[MONITOR]) if VARIABLE in env else None


def take(env: MutableMapping[str, str]) -> dict[str, str]:
    """The users, taken out of the environment; none where everybody may connect."""
    users: dict[str, str] = json.loads(env.pop(VARIABLE, "{}"))
    return users
