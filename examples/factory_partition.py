"""After a factory's cell was cut off, how long until everything works again, and does the guard help?

wotemu run examples/factory_partition.py

Two cells have machines that a controller reads and commands. One cell is cut off for ten seconds. A guard
restarts the controller's caller if too many of its calls have failed.
"""

from __future__ import annotations

from wotemu import Network, NetworkConditions, Node, NodeApp, Phase, Scenario, Topology, at, metric, when
from wotemu.scenario import errors, expect, node, p95

floor = Network("floor", NetworkConditions(latency="2ms", jitter="1ms", loss="0.1%"))


def machines(cell: str) -> list[Node]:
    """The machines of a cell."""
    return [
        Node(f"machine-{cell}-{n}", NodeApp("sensor", http=True, coap=True), networks=[floor]) for n in (1, 2)
    ]


def using(app: str, machine: Node, **params: object) -> Node:
    """A part of the controller that uses one machine."""
    target = {"servient_host": machine.name, "thing_id": "urn:wotemu:sensor", **params}
    return Node(
        f"{app}-{machine.name.removeprefix('machine-')}", NodeApp(app, params=target), networks=[floor]
    )


press, paint = machines("press"), machines("paint")
readers = [using("reader", each, interval=0.5, timeout=2) for each in (*press, *paint)]
caller = using("caller", paint[0], actions=["calibrate"], params={"calibrate": {"offset": 1}}, timeout=2)


def topology() -> Topology:
    """Two cells, and what reads and commands their machines."""
    return Topology([*press, *paint, *readers, caller])


def scenario() -> Scenario:
    """The paint shop is cut off from 20 s to 30 s."""
    return Scenario(
        duration="60s",
        phases=[Phase("together", 0), Phase("apart", "20s"), Phase("together again", "30s")],
        events=[
            at("20s").partition([*readers, caller], paint, name="paint shop"),
            at("30s").heal("paint shop"),
            when(metric(f"{caller.name}.call_failures") > 2).do(at(0).restart(caller)),
        ],
        expect=[
            expect(p95("readproperty", node=readers[0]) < "200ms"),
            expect(errors("readproperty", node=readers[3])).recovers(within="10s").after("together again"),
            expect(errors("readproperty")).below("1%").during("together"),
            expect(node(press[0]).restarts == 0),
        ],
    )
