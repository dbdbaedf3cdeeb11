"""The programs that lead out of an emulation without privileges, and how each is called.

Both make a TAP in a network namespace and pass on what connections it carries with sockets of their own, in
the network that they run in.
"""

from __future__ import annotations

import shutil
from pathlib import Path

PROGRAMS = ("pasta", "slirp4netns")
"""The programs, the preferred one first."""
INSTALL = "install one: sudo apt install passt, or slirp4netns"

TAP = "out0"
"""The uplink's interface to its program."""

# A block that is no network's (TEST-NET-1, RFC 5737). slirp4netns gives these host parts their meanings.
SUBNET, _PREFIX = "192.0.2.0/24", 24
_OWN, _GATEWAY, NAME_SERVER = "192.0.2.100", "192.0.2.2", "192.0.2.3"
_MTU = 1500
# By its path in /proc of a process that has more capabilities, the kernel would let the programs open none.
_NAMESPACE = "/proc/self/fd/0"


def find_program() -> str | None:
    """The path of the program that uplinks use; None where none is installed."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


def command_line(program: str) -> list[str]:
    """The arguments by which a program leads out, but not to this machine's loopback, and nothing in.

    Its standard input is to be the network namespace that it leads out of.

    Args:
        program: Its path.
    """
    if Path(program).name == "pasta":
        addresses = ["--address", _OWN, "--netmask", str(_PREFIX), "--gateway", _GATEWAY]
        closed = ["--no-map-gw", *(word for ports in ("-t", "-u", "-T", "-U") for word in (ports, "none"))]
        names = ["--dns-forward", NAME_SERVER]
        how = [
            "--foreground",
            "--quiet",
            "--no-netns-quit",
            "--config-net",
            "--ipv4-only",
            "--mtu",
            str(_MTU),
        ]
        return [program, *how, *addresses, *names, *closed, "--ns-ifname", TAP, "--netns", _NAMESPACE]
    closed = ["--disable-host-loopback"]
    how = ["--configure", f"--mtu={_MTU}", f"--cidr={SUBNET}", "--netns-type=path"]
    return [program, *how, *closed, _NAMESPACE, TAP]
