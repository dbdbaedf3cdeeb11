"""Finds Mosquitto."""

from __future__ import annotations

import os
import shutil

_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"
"""Distributions install mosquitto to /usr/sbin, which an ordinary user's PATH may lack."""


def find_mosquitto() -> str | None:
    """The path of Mosquitto; None where it is not installed."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")
