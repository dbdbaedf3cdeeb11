"""The password file of Mosquitto."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping

_ITERATIONS = 1000
_SALT_BYTES = 12
_HASH = "sha512"
_MOSQUITTOS_TYPE = "7"
"""Mosquitto's number of PBKDF2 with SHA-512."""


def mosquitto_passwords(users: Mapping[str, str]) -> str:
    """The users as Mosquitto's password file."""
    return "".join(f"{name}:{_hashed(password)}\n" for name, password in users.items())


def _hashed(password: str) -> str:
    salt = os.urandom(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac(_HASH, password.encode(), salt, _ITERATIONS)
    parts = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"${_MOSQUITTOS_TYPE}${_ITERATIONS}${'$'.join(parts)}"
