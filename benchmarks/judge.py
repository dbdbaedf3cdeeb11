"""CPU time of judging a long run of many nodes, from synthetic records.

    python -m benchmarks.judge [--nodes 100] [--hours 1] [--changes 600] [--check] [--slack 1] [--json FILE]

The nodes are on one network with a rate, whose conditions change; each hop has a record and each node a probe
a second. Half of the hops are busy all the time. Prints the CPU time of reading the records, which happens
during a run, and of judging them, for which its end waits. `--check` exits with 1 where reading takes more
than 20 ms for a second of the run, or judging more than 1 s; `--slack 2` doubles these goals.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from wotemu.records import Change, Event, Hop, ProbeArrived, ProbeSent, Record
from wotemu.scenario.timeline import Change as Planned
from wotemu.scenario.timeline import Direction, HopKey, Timeline
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Rate, Seconds
from wotemu_gateways.conditions.network_state import NetworkSetup
from wotemu_gateways.packets.probe import SIZE
from wotemu_runtime.fidelity import Certificate, Witness, judge

GOAL_READING_MS = 20.0
GOAL_JUDGING_S = 1.0
T0 = 1_750_000_000.0
NETWORK = "field"
WAYS: tuple[Direction, Direction] = ("up", "down")


def conditions(number: int) -> NetworkConditions:
    """Conditions number `number`, which differ from those before."""
    return NetworkConditions(latency=Seconds(0.02 + number % 10 / 1000), rate=Rate(1e6 + 1e4 * (number % 50)))


def planned(changes: int, lasts_s: float) -> tuple[Planned, ...]:
    """Changes of the network's conditions, evenly spread."""
    return tuple(
        Planned(
            number,
            number * lasts_s / changes,
            "conditions",
            NETWORK,
            None,
            "up",
            None,
            conditions(number).to_dict(),
        )
        for number in range(changes)
    )


def place(names: list[str]) -> NetworkSetup:
    """The network at T0."""
    hops: dict[HopKey, NetworkConditions] = {
        (NETWORK, None, "up"): conditions(0),
        (NETWORK, None, "down"): NetworkConditions(rate=Rate(2e6)),
    }
    hops |= {(NETWORK, name, way): NetworkConditions() for name in names for way in WAYS}
    return NetworkSetup(name=NETWORK, shared=False, nodes={name: name for name in names}, hops=hops)


def records(names: list[str], second: int, now: NetworkConditions) -> Iterator[Record]:
    """What the gateway and the agents report of one second in which `now` held."""
    t, rate = T0 + second, float(now.rate or 0)
    for number, name in enumerate(names):
        busy = number % 2 == 0  # the goodput of hops that are always busy is judged, too
        for way in WAYS:
            size = int((rate if way == "up" else 2e6) / 8) if busy else 9_000
            yield Hop(
                t, NETWORK, name, way, "tun", 80, size, 0, 0, 0, 0, 0.001,
                late_bins=[90, 100, 110], late_counts=[50, 20, 10],
                busy=1.0 if busy else 0.07, served_bytes=size,
            )  # fmt: skip
        peer = names[(number + 1 + second % (len(names) - 1)) % len(names)]
        yield ProbeSent(t - 0.5, NETWORK, name, peer, second << 32 | number, 0.0)
        arrived = t - 0.5 + float(now.latency) + SIZE * 8 / rate + SIZE * 8 / 2e6
        yield ProbeArrived(arrived, NETWORK, peer, second << 32 | number)


def witness_of(names: list[str], lasts_s: int, changes: tuple[Planned, ...]) -> Witness:
    """A witness that has read the records of a whole run."""
    timeline = Timeline(0, lasts_s, (), changes)
    witness = Witness([place(names)], lambda: timeline)
    witness.begin(T0)
    for name in names:
        ready = Event(T0 - 1, "role.ready", f"agent:{name}", "", {"offset_error_s": 0.0})
        witness.take([ready])
    for change in changes:
        due = T0 + change.at_s
        answer = Change(
            change.id, due, due, change.action, change.target, "", json.dumps(change.after), True, ""
        )
        witness.take([answer])
    for second in range(1, lasts_s):
        for record in records(names, second, conditions(int((second - 0.5) * len(changes) / lasts_s))):
            witness.take([record])
        witness.settle(T0 + second)
    witness.end(T0 + lasts_s)
    return witness


def certify(witness: Witness) -> Certificate:
    """The certificate, for which the end of a run waits."""
    witness.finish()
    return judge(witness.evidence())


def main() -> None:
    """Read the records, judge them, and print the CPU time of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--changes", type=int, default=600)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--slack", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    lasts_s = int(3600 * given.hours)
    names = [f"n{number}" for number in range(given.nodes)]
    begun = time.process_time()
    witness = witness_of(names, lasts_s, planned(given.changes, lasts_s))
    took = time.process_time()
    certificate = certify(witness)
    ended = time.process_time()
    print(f"{given.nodes} nodes, {lasts_s} s, {given.changes} changes: {certificate}")
    reading_ms, judging_s = (took - begun) / lasts_s * 1e3, ended - took
    print(f"reading the records {took - begun:8.2f} s of CPU, {reading_ms:.2f} ms a second")
    print(f"judging             {judging_s:8.2f} s of CPU")
    if given.json:
        given.json.write_text(json.dumps({"reading_ms_a_second": reading_ms, "judging_s": judging_s}))
    if given.check and (
        reading_ms > GOAL_READING_MS * given.slack or judging_s > GOAL_JUDGING_S * given.slack
    ):
        sys.exit("goals missed: 20 ms to read a second's records, 1 s to judge them")


if __name__ == "__main__":
    main()
