"""7-zip's own benchmark of one thread."""

from __future__ import annotations

import re
import shutil
import subprocess

PROGRAMS = ("7zz", "7z", "7zr", "7za")
"""Names of 7-zip's program, of its own packages and of p7zip's."""
ERROR = 0.1
"""Other work slows a core down that shares its caches and units: by up to 14 % where it was measured."""
_DEADLINE_S = 900.0
_VERSION = re.compile(r"^7-Zip[^\n]*? (\d+\.\d+)", re.MULTILINE)
_TOTAL = re.compile(r"^Tot:\s+(\d+)\s+(\d+)\s+(\d+)\s*$", re.MULTILINE)


def find() -> str | None:
    """The path of 7-zip's program; None where it is not installed."""
    return next((path for each in PROGRAMS if (path := shutil.which(each))), None)


def measure(program: str) -> tuple[float, str]:
    """Run ``7z b`` with one thread, once: about a minute of CPU time.

    Returns:
        The rating for each second of CPU time (its column R/U), and the program's version.

    Raises:
        OSError: It can't be run, fails, or prints something else.
    """
    try:
        done = subprocess.run(
            [program, "b", "1", "-mmt1"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_DEADLINE_S,
            check=True,
        )
    except subprocess.SubprocessError as error:
        raise OSError(f"{program} b: {error}") from error
    return parse(done.stdout)


def parse(output: str) -> tuple[float, str]:
    """Read what ``7z b -mmt1`` prints.

    Returns:
        The rating of all it did, compressing and decompressing, by CPU time; and 7-zip's version.

    Raises:
        OSError: It is something else.
    """
    total, version = _TOTAL.search(output), _VERSION.search(output)
    if total is None:
        raise OSError("7-zip printed no total: is it another program of that name?")
    return float(total[2]), version[1] if version else "of an unknown version"
