"""Packets a second that `--pcap` stores of a flood, its drops and CPU time a packet, beside tcpdump.

    python -m benchmarks.capture [--rates 50000 100000 ...] [--bytes 200] [--seconds 2] [--rounds 3] [--check]
                                 [--slack 1] [--json FILE]

Two namespaces are joined by a pair of interfaces, and one floods the other with UDP. A process captures what
the receiver's interface passes, by the code and with the ring of a run with `--pcap`, and then, of the same
flood in the same two namespaces, ``tcpdump -i eth0 -w`` with a buffer of the same size. They take turns; the
median of the rounds is printed: packets a second that came, the share that was stored, and microseconds of
CPU time of the capturing process for each packet that it stored. What the kernel does to hand a packet over
is in none: it is the sender's. ``plain`` is the flood that nobody captures. Rates are what is offered.

Of each file of the former, tshark (``-z io,stat,0``) and capinfos say how many packets it has. Unless this
is root, it enters a user namespace of its own. What is not installed is left out, and the reason is printed.

`--check` exits with 1 where a packet is neither stored nor counted as dropped, where tshark or capinfos count
others than were stored, or where at a rate up to 200,000 packets a second, more than gateways carry, more
than one in a thousand is not stored.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NoReturn

import attrs
import uvloop

from benchmarks.namespace import UNSHARE, Namespace
from benchmarks.wire_requests import ADDRESSES, joined
from wotemu_runtime.capture.bounded_file import CaptureFile
from wotemu_runtime.capture.node_packets import NodePackets
from wotemu_runtime.capture.role import MAX_RING_BYTES

PORT = 9000
UDP_SEGMENT = 103
"""Socket option of linux/udp.h that Python has no name for: the kernel cuts sends into such packets."""
SEGMENTS = 32
"""Packets in one send: the sender is to leave the CPU to the capture."""
GOAL_LOST, GOAL_UP_TO = 0.001, 200_000
SETTLED_S = 1.5
"""After a flood, so long until its last packets are in the file: tcpdump may wait a second for them."""
_INSIDE = "--inside"
_TCPDUMP = re.compile(r"(\d+) packets? (captured|dropped by kernel)")
_TSHARK = re.compile(r"<>[^|]*\|\s*(\d+)\s*\|")
_CAPINFOS = re.compile(r"Number of packets:?\s*=?\s*(\d+)")


@attrs.frozen
class Captured:
    """What one round showed; `passed` is what the interface says that it sent and received."""

    passed: int
    per_second: float
    stored: int
    dropped: int
    cpu_us: float

    @property
    def share(self) -> float:
        """The share of packets that was stored."""
        return self.stored / self.passed

    @property
    def uncounted(self) -> int:
        """Packets that are in neither count."""
        return self.passed - self.stored - self.dropped


class Plain:
    """Captures nothing."""

    def __init__(self, node: Namespace, path: Path) -> None:
        pass

    def cpu_s(self) -> float:
        """None is used."""
        return 0.0

    def end(self) -> tuple[int, int]:
        """Nothing is stored."""
        return 0, 0


class Ours:
    """Captures as the role of a run does, in a process of its own."""

    def __init__(self, node: Namespace, path: Path) -> None:
        self._said, other = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            try:
                _capture(node, path, other)
            finally:
                os._exit(1)
        os.close(other)
        os.read(self._said, 1)

    def cpu_s(self) -> float:
        """CPU time so far."""
        return cpu_s(self._pid)

    def end(self) -> tuple[int, int]:
        """Stop; packets stored and dropped."""
        os.kill(self._pid, signal.SIGTERM)
        with open(self._said, "rb") as said:  # noqa: PTH123
            stored, dropped = map(int, said.read().split())
        os.waitpid(self._pid, 0)
        return stored, dropped


def _capture(node: Namespace, path: Path, said: int) -> NoReturn:
    """Capture until SIGTERM, then write how many packets were stored and dropped."""
    with node.entered():
        packets = NodePackets("receiver", {"eth0": "lab"}, ring_bytes=MAX_RING_BYTES)
    folder = os.open(path.parent, os.O_RDONLY)
    file = CaptureFile(path.name, folder, packets)
    loop = uvloop.new_event_loop()
    loop.add_reader(packets.fileno(), file.store)
    loop.add_signal_handler(signal.SIGTERM, loop.stop)
    os.write(said, b" ")
    loop.run_forever()
    file.finish()
    if file.error is not None:
        print(f"{path} could not be written: {file.error}", file=sys.stderr)
    os.write(said, f"{file.stored} {packets.missed}".encode())
    os._exit(0)


class Tcpdump:
    """tcpdump's capture."""

    def __init__(self, node: Namespace, path: Path) -> None:
        options = ["-i", "eth0", "-n", "-B", str(MAX_RING_BYTES >> 10), "-w", str(path)]
        if os.geteuid() == 0:
            options += ["-Z", "root"]  # it can't become its own user in a user namespace
        command = node.command("tcpdump", *options)
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        said = ""
        while "listening on" not in said:
            said = self._process.stderr.readline()
            if not said:
                sys.exit("tcpdump did not begin to listen")

    def cpu_s(self) -> float:
        """CPU time so far."""
        return cpu_s(self._process.pid)

    def end(self) -> tuple[int, int]:
        """Stop; packets stored and dropped, as it says itself."""
        self._process.send_signal(signal.SIGINT)
        _, said = self._process.communicate()
        counts = {what: int(count) for count, what in _TCPDUMP.findall(said)}
        return counts["captured"], counts["dropped by kernel"]


Capture = Plain | Ours | Tcpdump
CAPTURES: dict[str, Callable[[Namespace, Path], Capture]] = {
    "--pcap": Ours,
    "tcpdump": Tcpdump,
    "plain": Plain,
}


def cpu_s(pid: int) -> float:
    """CPU time of a process so far."""
    # The first field, in nanoseconds: stat's times have a grain of 10 ms.
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def passed(node: Namespace) -> int:
    """Packets that a node's interface has received and sent."""
    with node.entered(), open("/proc/thread-self/net/dev") as devices:  # noqa: PTH123
        line = next(line for line in devices if line.strip().startswith("eth0"))
    fields = line.partition(":")[2].split()
    return int(fields[1]) + int(fields[9])


@contextmanager
def flood(ends: list[Namespace], rate: int, size: int, seconds: float) -> Iterator[int]:
    """The process that sends `rate` packets a second from the first node to the second for `seconds`."""
    with ends[0].entered():
        source = socket.socket(type=socket.SOCK_DGRAM)
    with ends[1].entered():
        sink = socket.socket(type=socket.SOCK_DGRAM)  # nobody reads it, but no ICMP says that it is not there
    with source, sink:
        sink.bind((ADDRESSES[1], PORT))
        source.connect((ADDRESSES[1], PORT))
        source.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        pid = os.fork()
        if not pid:
            try:
                _send(source, rate, bytes(size * SEGMENTS), seconds)
                os._exit(0)
            finally:
                os._exit(1)
        yield pid


def _send(source: socket.socket, rate: int, burst: bytes, seconds: float) -> None:
    begun_s, sent = time.monotonic(), 0
    while (elapsed_s := time.monotonic() - begun_s) < seconds:
        while sent < elapsed_s * rate:
            source.send(burst)
            sent += SEGMENTS
        time.sleep(SEGMENTS / rate)


def measure(ends: list[Namespace], how: str, path: Path, rate: int, size: int, seconds: float) -> Captured:
    """Capture one flood."""
    capture = CAPTURES[how](ends[1], path)
    before, cpu_before_s, begun_s = passed(ends[1]), capture.cpu_s(), time.monotonic()
    with flood(ends, rate, size, seconds) as pid:
        _, status = os.waitpid(pid, 0)
        took_s = time.monotonic() - begun_s
    if status:
        sys.exit("the flood failed")
    time.sleep(SETTLED_S)
    count, used_s = passed(ends[1]) - before, capture.cpu_s() - cpu_before_s
    stored, dropped = capture.end()
    return Captured(count, count / took_s, stored, dropped, used_s / stored * 1e6 if stored else 0.0)


def read_back(path: Path) -> dict[str, int]:
    """How many packets Wireshark's programs find in a file."""
    found = {}
    for name, command, pattern in (
        ("tshark", ["tshark", "-r", str(path), "-q", "-z", "io,stat,0"], _TSHARK),
        ("capinfos", ["capinfos", "-c", "-M", str(path)], _CAPINFOS),
    ):
        if shutil.which(name):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            count = pattern.search(done.stdout)
            if done.returncode or count is None:
                sys.exit(f"{name} can't read {path}: {done.stderr.strip() or done.stdout.strip()}")
            found[name] = int(count[1])
    return found


def main() -> None:
    """Measure, print the table, and check the goals."""
    if _INSIDE not in sys.argv:  # as root of namespaces of its own
        command = [*UNSHARE, sys.executable, "-m", "benchmarks.capture", *sys.argv[1:], _INSIDE]
        sys.exit(subprocess.run(command, check=False).returncode)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=int, nargs="+", default=[50_000, 100_000, 200_000, 400_000, 800_000])
    parser.add_argument("--bytes", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--slack", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument(_INSIDE, action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    for program in ("tcpdump", "tshark", "capinfos"):
        if shutil.which(program) is None:
            print(f"without {program}: it is not installed")
    hows = [how for how in CAPTURES if how != "tcpdump" or shutil.which("tcpdump")]
    found: dict[int, dict[str, list[Captured]]] = {rate: defaultdict(list) for rate in given.rates}
    problems, files = list[str](), 0
    with tempfile.TemporaryDirectory() as folder, joined() as ends:
        for end in ends:
            with end.entered():  # neighbour solicitations would come between two looks at the counters
                Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
        for number in range(given.rounds):
            for rate in given.rates:
                for how in hows if number % 2 else reversed(hows):
                    path = Path(folder) / how.strip("-")
                    done = measure(ends, how, path, rate, given.bytes, given.seconds)
                    found[rate][how].append(done)
                    if how == "--pcap":
                        files += 1
                        problems += check(done, rate, read_back(path))
                    path.unlink(missing_ok=True)
    print(f"packets of {given.bytes} bytes, {given.seconds:g} s; median of {given.rounds}")
    print(f"{'offered/s':>10} {'':<8} {'came/s':>10} {'stored/s':>10} {'stored':>8} {'CPU us':>7}")
    for rate, rounds in found.items():
        for how in hows:
            came, share = (
                median(each.per_second for each in rounds[how]),
                median(each.share for each in rounds[how]),
            )
            text = f"{rate:>10,} {how:<8} {came:>10,.0f}"
            if how != "plain":
                cpu_us = median(each.cpu_us for each in rounds[how])
                stored = median(each.per_second * each.share for each in rounds[how])
                text += f" {stored:>10,.0f} {share:>8.2%} {cpu_us:>7.2f}"
            print(text)
    print(f"{files} files read back: {'; '.join(problems) or 'all packets are stored or counted as dropped'}")
    if given.json:
        values = {
            rate: {how: [attrs.asdict(each) for each in rounds[how]] for how in hows}
            for rate, rounds in found.items()
        }
        given.json.write_text(json.dumps(values, indent=2))
    lost = {
        rate: 1 - median(each.share for each in rounds["--pcap"])
        for rate, rounds in found.items()
        if rate <= GOAL_UP_TO
    }
    problems += [
        f"{share:.2%} of packets are not stored at {rate:,}/s"
        for rate, share in lost.items()
        if share > GOAL_LOST * given.slack
    ]
    if given.check and problems:
        sys.exit(f"goals missed: {'; '.join(problems)}")


def check(captured: Captured, rate: int, counts: dict[str, int]) -> list[str]:
    """What is wrong with the numbers of one file."""
    wrong = [
        f"{name} counts {count} packets of {captured.stored} at {rate:,}/s"
        for name, count in counts.items()
        if count != captured.stored
    ]
    if captured.uncounted:
        wrong.append(f"{captured.uncounted} packets of {captured.passed} are uncounted at {rate:,}/s")
    return wrong


if __name__ == "__main__":
    main()
