"""CPU time of the `tun` shaper where packets come one by one, beside a bare loop that only delays.

    python -m benchmarks.tun_sparse [--rounds 5] [--packets 2000] [--check] [--json FILE]

A packet each 2 ms passes two replicas' hops, so each is read and written in wake-ups of its own. Variants:

- bare: read a frame, hold it for a constant delay, write it; no addresses, conditions or counters
- delay: the shaper, with the same delay
- all: the shaper, with latency, jitter, loss, rate and queue on the way up, rate and queue down

All gateways run at one time, and get their packets in turn: a machine that is busy is so for all of them. The
median of the rounds is printed, in microseconds of CPU a packet: all of the gateway process, with what the
kernel does in its name, as the receiver's part of the network stack.

`--check` exits with 1 where the shaper with all conditions takes more than 8 us and more than twice what the
bare loop takes: on a virtual machine the kernel's timers and wake-ups alone can take more than 8 us.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.namespace import UNSHARE
from benchmarks.tun_testbed import (
    ALL,
    DELAY,
    ENDS,
    PORT,
    WIDE,
    Gateway,
    Testbed,
    bare_gateway,
    with_conditions,
)
from wotemu.topology.conditions import NetworkConditions

EVERY_S = 0.002
GOAL_US = 8.0
GOAL_X_BARE = 2.0
PACKET = bytes(200)
VARIANTS: dict[str, Gateway] = {
    "bare": bare_gateway,
    "delay": with_conditions(DELAY, NetworkConditions()),
    "all": with_conditions(ALL, WIDE),
}


@contextmanager
def between(gateway: Gateway) -> Iterator[tuple[Testbed, socket.socket]]:
    """A gateway between two replicas, and a socket of one that is connected to the other."""
    bed = Testbed(gateway)
    sender, receiver = ENDS
    with ExitStack() as stack:
        stack.callback(bed.close)
        with bed.namespaces[receiver.replica].entered():
            sink = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sink.bind(("", PORT))
        with bed.namespaces[sender.replica].entered():
            source = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        source.connect((receiver.ipv4, PORT))
        yield bed, source


def cpu_us(beds: dict[str, tuple[Testbed, socket.socket]], packets: int) -> dict[str, float]:
    """Microseconds of CPU a packet of each gateway, over so many packets each."""
    receiver = ENDS[1]
    before = {name: (bed.cpu_s(), bed.delivered(receiver)) for name, (bed, _) in beds.items()}
    due_s = time.monotonic()
    for _ in range(packets):
        for _, source in beds.values():
            due_s += EVERY_S / len(beds)
            time.sleep(max(0.0, due_s - time.monotonic()))
            source.send(PACKET)
    time.sleep(0.1)  # the last ones are on their way
    took = {}
    for name, (bed, _) in beds.items():
        begun_s, begun = before[name]
        took[name] = (bed.cpu_s() - begun_s) / max(1, bed.delivered(receiver) - begun) * 1e6
    return took


def main() -> None:
    """Print the table; with ``--check`` also whether the shaper meets its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--packets", type=int, default=2000)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if os.geteuid() != 0:
        os.execvp(UNSHARE[0], [*UNSHARE, sys.executable, "-m", "benchmarks.tun_sparse", *sys.argv[1:]])
    with ExitStack() as stack:
        beds = {name: stack.enter_context(between(gateway)) for name, gateway in VARIANTS.items()}
        cpu_us(beds, 200)
        rounds = [cpu_us(beds, given.packets) for _ in range(given.rounds)]
    medians = {name: statistics.median(each[name] for each in rounds) for name in VARIANTS}
    bare_us = medians["bare"]
    print(f"{'':<8} {'us CPU/packet':>14} {'x bare':>8}")
    for name, took_us in medians.items():
        print(f"{name:<8} {took_us:>14.2f} {took_us / bare_us:>8.2f}")
    if given.json:
        given.json.write_text(json.dumps({"cpu_us": medians}))
    goal_us = max(GOAL_US, GOAL_X_BARE * bare_us)
    if given.check and medians["all"] > goal_us:
        sys.exit(f"goal missed: {goal_us:.1f} us of CPU a packet with all conditions")


if __name__ == "__main__":
    main()
