"""Ratings in the user's cache directory, by CPU model."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

from wotemu_runtime.calibration.rating import Rating

_CPU_INFO = Path("/proc/cpuinfo")
_DEVICE_TREE = Path("/proc/device-tree/model")
_NAMES = ("model name", "cpu model", "Hardware", "Processor", "uarch")
"""Keys of the model in /proc/cpuinfo, of several architectures."""


def path() -> Path:
    """The file of the ratings."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "wotemu" / "calibration.json"


def cpu_model(cpu_info: Path = _CPU_INFO, device_tree: Path = _DEVICE_TREE) -> str:
    """This machine's CPU by the kernel's name of it; by its board or architecture where it has none."""
    try:
        lines = [line.split(":", 1) for line in cpu_info.read_text(errors="replace").splitlines()]
    except OSError:
        lines = []
    found = {line[0].strip(): line[1].strip() for line in reversed(lines) if len(line) > 1}
    for name in _NAMES:
        if found.get(name):
            return found[name]
    try:
        return device_tree.read_text(errors="replace").strip("\0 \n")
    except OSError:
        return platform.machine()


def load(model: str, file: Path | None = None) -> Rating | None:
    """The stored rating of a CPU model; None where there is none, or none that can be read."""
    try:
        return Rating.from_dict(_read(file or path())[model])
    except (KeyError, TypeError, ValueError):
        return None


def save(rating: Rating, file: Path | None = None) -> Path:
    """Store a rating in place of the one before; those of other models stay.

    Returns:
        The file.

    Raises:
        OSError: It can't be written.
    """
    file = file or path()
    file.parent.mkdir(parents=True, exist_ok=True)
    everything = {**_read(file), rating.cpu_model: rating.to_dict()}
    written = file.with_suffix(f".{os.getpid()}")
    written.write_text(json.dumps(everything, indent=1) + "\n")
    written.replace(file)  # a run that reads meanwhile finds the old one or the new one
    return file


def _read(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
