"""A network namespace with the interface of one node in it, for benchmarks of what moves its packets."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wotemu_gateways.netlink import namespaces
from wotemu_gateways.packets.ethernet import mac_text
from wotemu_gateways.shaper import Member
from wotemu_gateways.userspace.tap_device import open_tap

UNSHARE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
"""The command that enters namespaces in which this user may make others."""


class Namespace:
    """A network namespace, held by a process that ends with this one."""

    def __init__(self) -> None:
        """Make it, and start the process that holds it."""
        # cat ends when its standard input is closed, which happens even if this process is killed.
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        self._holder.stdout.readline()  # the namespace is there once `echo` has run in it
        self._fd = os.open(f"/proc/{self._holder.pid}/ns/net", os.O_RDONLY)

    def command(self, *words: str) -> list[str]:
        """The command line that runs a command inside."""
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", *words]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have this thread inside; sockets that it makes stay there."""
        with namespaces.entered(self._fd):
            yield

    def make_tap(self, member: Member) -> int:
        """Make the interface ``eth0`` with a member's addresses; the file descriptor of the gateway's end."""
        with self.entered():
            fd = open_tap("eth0")
            # Neighbour and router solicitations would be packets that nobody counts on.
            Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
        self._run("ip link set lo up")
        self._run(f"ip link set eth0 address {mac_text(member.mac)} txqueuelen 4096 up")
        self._run(f"ip addr add {member.ipv4}/24 broadcast + dev eth0")
        return fd

    def _run(self, line: str) -> None:
        subprocess.run(self.command(*line.split()), capture_output=True, check=True)

    def close(self) -> None:
        """Let the kernel remove it."""
        os.close(self._fd)
        self._holder.communicate()
