"""What the kernel counts at this network namespace's interfaces."""

from __future__ import annotations

import psutil

from wotemu_runtime.roles.role import Role


def tell_drops(role: Role, *, prefix: str = "") -> None:
    """Tell how many frames the kernel dropped because a gateway did not take them in time.

    At interfaces whose names begin with `prefix`, all but ``lo``, since they were made.
    """
    for name, counters in psutil.net_io_counters(pernic=True).items():
        if name != "lo" and name.startswith(prefix) and counters.dropout:
            text = f"{counters.dropout} frames were dropped at {name} before a gateway took them"
            role.event("interface.dropped", text, count=counters.dropout, interface=name)
