"""The TUN device in a container: Docker's device rules allow it, but its /dev has none."""

from __future__ import annotations

import os
import stat
from pathlib import Path

TUN = Path("/dev/net/tun")
_MAJOR, _MINOR = 10, 200


def make_tun_device() -> None:
    """Make /dev/net/tun where it is not there; needs CAP_MKNOD."""
    if not TUN.exists():
        TUN.parent.mkdir(parents=True, exist_ok=True)
        os.mknod(TUN, stat.S_IFCHR | 0o600, os.makedev(_MAJOR, _MINOR))
