"""Real traffic: replicas in network namespaces of their own, their TAPs on a switch in this process.

Needs the right to make network namespaces. The tests of this package run as root as they are, and otherwise
in a child process inside a user namespace (see `conftest`).
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from wotemu.records import Flow, Hop
from wotemu_gateways.netlink.namespaces import entered
from wotemu_gateways.packets.ethernet import mac_text
from wotemu_gateways.shaper import Member
from wotemu_gateways.userspace.pump import Pump
from wotemu_gateways.userspace.switch import Switch
from wotemu_gateways.userspace.tap_device import TUN_DEVICE, open_tap

from .network import Hops, members

PORT = 5000

_HEADER = struct.Struct("!Id")


def missing() -> str:
    """What this machine lacks for the lab; "" if it has everything."""
    if not os.access(TUN_DEVICE, os.R_OK | os.W_OK):
        return f"{TUN_DEVICE} can't be opened"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"namespaces are not permitted: {tried.stderr.strip()}"


UNSHARE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]


class Namespace:
    """A network namespace, kept by a process that ends with this one."""

    def __init__(self) -> None:
        self._keeper = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._keeper.stdout is not None
        self._keeper.stdout.readline()
        self.fd = os.open(f"/proc/{self._keeper.pid}/ns/net", os.O_RDONLY)

    def command(self, *words: str) -> list[str]:
        """A command line that runs inside."""
        return ["nsenter", f"--net=/proc/{self._keeper.pid}/ns/net", *words]

    def run(self, line: str) -> str:
        """Run a command inside; its output."""
        return subprocess.run(self.command(*line.split()), capture_output=True, text=True, check=True).stdout

    def entered(self) -> AbstractContextManager[None]:
        """Have this thread inside for a while."""
        return entered(self.fd)

    def make_tap(self, member: Member, mtu: int = 1500) -> int:
        """Give it the interface of a replica, up and with its address; the gateway's end."""
        with self.entered():
            fd = open_tap("eth0")
            Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
        self.run("ip link set lo up")
        self.run(f"ip link set eth0 address {mac_text(member.mac)} mtu {mtu} txqueuelen 4096 up")
        self.run(f"ip addr add {member.ipv4}/24 broadcast + dev eth0")
        return fd

    def close(self) -> None:
        """Let it go."""
        os.close(self.fd)
        self._keeper.communicate()


class Lab(AbstractContextManager["Lab"]):
    """A network with real replicas. Use it inside a running event loop, which moves the packets."""

    def __init__(self, *replicas: str, hops: Hops | None = None, seed: int = 1) -> None:
        self.members = {member.replica: member for member in members(replicas)}
        self.switch = Switch("field", list(self.members.values()), hops=hops, seed=seed)
        self.namespaces: dict[str, Namespace] = {}
        self._pump = Pump(self.switch, asyncio.get_running_loop())
        for member in self.members.values():
            namespace = self.namespaces[member.replica] = Namespace()
            self._pump.attach(member.replica, namespace.make_tap(member))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pump.close()
        for namespace in self.namespaces.values():
            namespace.close()

    def udp(self, replica: str, port: int = 0) -> socket.socket:
        """A UDP socket of a replica."""
        with self.namespaces[replica].entered():
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        udp.setblocking(False)
        udp.bind(("", port))
        return udp

    def tcp(self, replica: str) -> socket.socket:
        """A TCP socket of a replica."""
        with self.namespaces[replica].entered():
            tcp = socket.socket()
        tcp.setblocking(False)
        return tcp

    async def run(self, replica: str, *words: str) -> str:
        """The output of a command that runs as a replica."""
        process = await asyncio.create_subprocess_exec(
            *self.namespaces[replica].command(*words), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        return output.decode()

    def drain(self) -> tuple[list[Flow], dict[tuple[str, str], Hop]]:
        """The flows, and the hops by node and direction."""
        rows = list(self.switch.drain(time.time()))
        hops = {(row.node, row.direction): row for row in rows if isinstance(row, Hop)}
        return [row for row in rows if isinstance(row, Flow)], hops


class Stream:
    """Numbered, timed UDP packets from one replica to others, and what arrived of them."""

    def __init__(self, lab: Lab, source: str, *targets: str, size: int = 100, port: int = PORT) -> None:
        self._loop = asyncio.get_running_loop()
        self._source = lab.udp(source)
        self._addresses = [(lab.members[target].ipv4, port) for target in targets]
        self._padding = bytes(size - _HEADER.size)
        self._sinks = {target: lab.udp(target, port) for target in targets}
        self._news = asyncio.Event()
        self.sent = 0
        self.arrived: dict[str, list[tuple[int, float]]] = {target: [] for target in targets}
        for target, sink in self._sinks.items():
            self._loop.add_reader(sink, self._take, target, sink)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for sink in self._sinks.values():
            self._loop.remove_reader(sink)
            sink.close()
        self._source.close()

    def send(self, address: tuple[str, int] | None = None) -> None:
        """Send the next packet to each target, or to one address."""
        packet = _HEADER.pack(self.sent, time.monotonic()) + self._padding
        for to in self._addresses if address is None else [address]:
            self._source.sendto(packet, to)
        self.sent += 1

    async def send_many(self, count: int, per_second: float) -> None:
        """Send packets at a steady rate."""
        begun_s, first = time.monotonic(), self.sent
        while self.sent < first + count:
            due = first + 1 + int((time.monotonic() - begun_s) * per_second)
            while self.sent < min(due, first + count):
                self.send()
            await asyncio.sleep(1 / per_second)

    async def settle(self, seconds: float) -> None:
        """Wait until everything sent has arrived, at most so long."""
        until_s = time.monotonic() + seconds
        while any(len(some) < self.sent for some in self.arrived.values()):
            self._news.clear()
            try:
                async with asyncio.timeout(until_s - time.monotonic()):
                    await self._news.wait()
            except TimeoutError:
                return

    def _take(self, target: str, sink: socket.socket) -> None:
        now_s = time.monotonic()
        arrived = self.arrived[target]
        self._news.set()
        while True:
            try:
                number, sent_s = _HEADER.unpack_from(sink.recv(2048))
            except BlockingIOError:
                return
            arrived.append((number, now_s - sent_s))

    def numbers(self, target: str) -> list[int]:
        """Which packets arrived, in their order."""
        return [number for number, _ in self.arrived[target]]

    def delays_s(self, target: str) -> Sequence[float]:
        """How long each was under way."""
        return [delay_s for _, delay_s in self.arrived[target]]
