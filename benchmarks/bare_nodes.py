"""The floor of starting nodes: namespaces, a TAP with an address, a hosts file, a process; no agent, no bus.

    setsid -w python -m benchmarks.bare_nodes 100       (as root)

Prints the seconds until the last node's TAP has come, and the memory of a node in MB.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from wotemu_gateways.netlink import namespaces
from wotemu_gateways.userspace.tap_device import open_tap
from wotemu_runtime.processes import syscalls

SIOCSIFADDR, SIOCSIFNETMASK = 0x8916, 0x891C
OPEN_FILES = 8192


def configure(name: str, address: str) -> None:
    """Give an interface an address with a prefix of 16 bits."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for request, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, "255.255.0.0")):
            payload = struct.pack("16sHH4s8x", name.encode(), socket.AF_INET, 0, socket.inet_aton(value))
            fcntl.ioctl(sock, request, payload)


def node(number: int, hosts: Path, channel: socket.socket) -> NoReturn:
    """Become a node, send its TAP, and wait to be killed."""
    flags = namespaces.CLONE_NEWNS | namespaces.CLONE_NEWUTS | namespaces.CLONE_NEWNET
    namespaces.unshare(flags | namespaces.CLONE_NEWPID)
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount(str(hosts), "/etc/hosts", flags=syscalls.MS_BIND)
    socket.sethostname(f"n{number}")
    tap = open_tap("eth0")
    configure("eth0", f"10.64.{number >> 8}.{number & 255}")
    syscalls.interface_up("lo")
    syscalls.interface_up("eth0")
    if not os.fork():  # the first process of the PID namespace
        if not os.fork():
            os.execv("/bin/sleep", ["sleep", "600"])
        socket.send_fds(channel, [b"up"], [tap])
        signal.pause()
    os._exit(0)


def start(count: int, hosts: Path) -> float:
    """Start nodes; the seconds until all are up."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard), hard))
    addresses = (f"10.64.{number >> 8}.{number & 255} n{number}\n" for number in range(2, count + 2))
    hosts.write_text("127.0.0.1 localhost\n" + "".join(addresses))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    began = time.perf_counter()
    for number in range(2, count + 2):
        if not os.fork():
            node(number, hosts, theirs)
    held = [socket.recv_fds(ours, 4, 1)[1] for _ in range(count)]
    assert len(held) == count
    return time.perf_counter() - began


def members() -> list[int]:
    """The processes of this process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(path.name)) == os.getpgid(0):
                found.append(int(path.name))
        except ProcessLookupError:
            continue
    return found


def pss_bytes(pid: int) -> int:
    """The proportional set size of a process; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def main() -> None:
    """Start nodes, print, and end them."""
    if os.getpgid(0) != os.getpid():
        sys.exit("start it in a process group of its own: setsid -w")
    count = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        seconds = start(count, Path(folder, "hosts"))
        memory = sum(map(pss_bytes, members()))
        print(f"{seconds:.3f} {memory / count / 1e6:.2f}")
        for pid in members():
            if pid != os.getpid():
                with contextlib.suppress(ProcessLookupError):  # it ended with the first of its namespace
                    os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
