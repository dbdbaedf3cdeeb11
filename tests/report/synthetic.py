"""Writes a run directory as a run would leave it: a made-up quickstart, the same one for the same seed.

A thing on a wired network, three readers over 3G, two over WiFi, two subscribers to its event; in 60 s the
field
network fades at 15 s, is cut at 30 s and heals at 40 s. The broker and the readers' numbers are plausible,
no more.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import polars as pl

from wotemu import records
from wotemu.records import Record, fields, to_row

T0 = 1_750_000_000.0
DURATION_S = 60.0
PHASES = (("calm", 0.0), ("fade", 15.0), ("cut", 30.0), ("healed", 40.0))
NETWORKS: dict[str, dict[str, Any]] = {
    "wired": {
        "latency_s": 0.005,
        "jitter_s": 0.001,
        "distribution": "normal",
        "loss": 0.0,
        "rate_bps": 100e6,
    },
    "field": {"latency_s": 0.15, "jitter_s": 0.05, "distribution": "normal", "loss": 0.0, "rate_bps": 1.5e6},
    "wifi": {
        "latency_s": 0.005,
        "jitter_s": 0.003,
        "distribution": "normal",
        "loss": 0.002,
        "rate_bps": 50e6,
    },
}
READERS = {
    "reader-3g-1": "field",
    "reader-3g-2": "field",
    "reader-3g-3": "field",
    "reader-wifi-1": "wifi",
    "reader-wifi-2": "wifi",
}
THING = "urn:example:greenhouse"


@attrs.frozen
class Names:
    """What the people who wrote the emulated apps chose freely."""

    run: str = "quickstart"
    thing: str = THING
    prop: str = "temperature"
    action: str = "setTarget"
    event: str = "alarm"
    error: str = "TimeoutError: no answer within 5 s"
    log: str = "reading 21.4 °C"
    crash: str = "ConnectionResetError: peer went away"


def write_run(folder: Path, *, names: Names | None = None, seed: int = 7) -> Path:
    """Write the whole run into `folder`, which need not exist; returns it."""
    names, dice = names or Names(), random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, list[Record]] = {
        "interactions": list(interactions(names, dice)),
        "emissions": list(emissions(names)),
        "flows": list(flows(dice)),
        "hops": list(hops(dice)),
        "system": list(system(dice)),
        "host": list(host(dice)),
        "gateways": list(gateways()),
        "app": list(metrics(dice)),
        "broker": list(broker(dice)),
        "changes": list(changes(dice)),
    }
    for table, rows in tables.items():
        write_table(folder, table, rows)
    counts = {table: len(rows) for table, rows in tables.items()}
    write_json(folder / "manifest.json", manifest(names, counts))
    write_json(folder / "topology.json", topology())
    write_json(folder / "timeline.json", timeline())
    events = sorted(events_of(names, dice), key=lambda event: float(event["t"]))
    (folder / "events.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in events))
    write_logs(folder / "logs", names, dice)
    return folder


def request(
    at: float,
    took: float,
    error: str = "",
    node: str = "reader-3g-1",
    role: str = "consumer",
    status: str = "",
    binding: str = "http",
) -> Record:
    """One read of a lamp, `at` seconds after T0."""
    return records.Interaction(
        T0 + at, node, role, "urn:lamp", "property", "on", "readproperty", "request", binding,
        took, 4, status or ("failed" if error else "ok"), error,
    )  # fmt: skip


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def edit(path: Path, **changes: object) -> None:
    """Change some fields of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def write_table(folder: Path, table: str, rows: Sequence[Record]) -> None:
    kind = records.TABLES[table]
    (folder / "tables").mkdir(exist_ok=True)
    frame = pl.DataFrame(
        [to_row(row) for row in rows], schema=fields(kind), orient="row", infer_schema_length=None
    )
    frame.write_parquet(folder / "tables" / f"{table}.parquet")


def damage_spool(folder: Path) -> str:
    """Leave a run a spool that can't be read; returns how that is said."""
    path = folder / "spool" / "host.msgpack"
    path.parent.mkdir()
    path.write_bytes(b"\xc1" * 9)
    return "spool/host.msgpack: it is damaged after 0 rows"


def manifest(names: Names, counts: dict[str, int]) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": names.run,
        "wotemu_version": "1.0.0",
        "engine": "local",
        "shaper": "tun",
        "python": "3.11.7",
        "kernel": "6.1.0-18-amd64",
        "host": {"name": "bench", "cpus": 4, "mem_bytes": 8_000_000_000},
        "source": "examples/quickstart.py",
        "command": ["wotemu", "run", "examples/quickstart.py", "--follow"],
        "seed": 7,
        "timeline_hash": "3fa9c17be2d04c55a1c0",
        "started": T0 - 3.2,
        "t0": T0,
        "ended": T0 + DURATION_S + 0.4,
        "duration_s": DURATION_S,
        "status": "done",
        "error": "",
        "warnings": ["field: 3 nodes share 1.5 Mbit/s, which they filled for 4 s"],
        "replicas": replicas(),
        "wotpy_fixes": {"thing": ["td-cost"], "reader-3g": ["td-cost"], "reader-wifi": ["td-cost"]},
        "losses": [],
        "records": counts,
        "unenforced": ["reader-wifi: mem_limit 64M needs a cgroup that this user may write to"],
    }


def replicas() -> dict[str, Any]:
    found = {
        "thing": _replica("thing", "node", {"wired": "10.64.0.3"}, "greenhouse.py:thing"),
        "broker": _replica("broker", "broker", {"wired": "10.64.0.2"}, "command: mosquitto"),
        "gate": _replica("gate", "node", {"wired": "10.64.0.4", "field": "10.65.0.2"}, "builtin:mirror"),
    }
    for number, (name, network) in enumerate(READERS.items()):
        octet = 65 if network == "field" else 66
        found[name] = _replica(
            name.rpartition("-")[0], "node", {network: f"10.{octet}.0.{number + 3}"}, "builtin:reader"
        )
    return found


def _replica(node: str, kind: str, addresses: dict[str, str], app: str) -> dict[str, Any]:
    return {"node": node, "kind": kind, "addresses": addresses, "app": app}


def topology() -> dict[str, Any]:
    nodes = {"thing": ["wired"], "gate": ["wired", "field"], "reader-3g": ["field"], "reader-wifi": ["wifi"]}
    slow = {"latency_s": 0.02, "jitter_s": 0.0, "distribution": "normal", "loss": 0.0, "rate_bps": None}
    return {
        "nodes": [
            {
                "name": name,
                "scale": 3 if name == "reader-3g" else 2 if name == "reader-wifi" else 1,
                "app": {"path": name},
                "command": [],
                "networks": [
                    {"network": network, "up": slow if name == "reader-wifi" else {}, "down": {}}
                    for network in on
                ],
                "broker": "broker",
                "resources": {},
            }
            for name, on in nodes.items()
        ],
        "networks": [
            {"name": name, "conditions": what, "shared": name == "field"} for name, what in NETWORKS.items()
        ],
        "brokers": [{"name": "broker", "networks": ["wired"]}],
        "services": [],
        "ports": {"http": 8080, "ws": 8081, "coap": 5683, "mqtt": 1883, "catalogue": 9090},
    }


CALM = {"latency_s": 0.15, "jitter_s": 0.05, "distribution": "normal", "loss": 0.0, "rate_bps": 1.5e6}
FADED = CALM | {"latency_s": 0.4, "loss": 0.03}
WIFI = NETWORKS["wifi"]
APART = [["reader-3g-1", "reader-3g-2", "reader-3g-3"], ["thing"]]
_CHANGES: tuple[tuple[Any, ...], ...] = (
    (1, 15.0, "conditions", "field", None, CALM, FADED),
    (2, 20.0, "conditions", "wifi", "up", WIFI, WIFI | {"loss": 0.01}),
    (3, 30.0, "partition", "field", None, [], APART),
    (4, 34.0, "app", None, None, "running", "killed"),
    (5, 40.0, "partition", "field", None, APART, []),
    (6, 40.0, "conditions", "field", None, FADED, CALM),
    (7, 48.0, "conditions", "wifi", "up", WIFI | {"loss": 0.01}, WIFI),
)


def timeline() -> dict[str, Any]:
    keys = ("id", "at_s", "action", "network", "direction", "before", "after")
    return {
        "seed": 7,
        "duration_s": DURATION_S,
        "hash": "3fa9c17be2d04c55a1c0",
        "phases": [{"name": name, "start_s": start} for name, start in PHASES],
        "changes": [
            dict(zip(keys, change, strict=True)) | {"node": "reader-3g-1" if change[2] == "app" else None}
            for change in _CHANGES
        ],
    }


def changes(dice: random.Random) -> Iterator[records.Change]:
    for number, at, action, network, direction, before, after in _CHANGES:
        due = T0 + at
        target = " ".join(part for part in (network or "reader-3g-1", direction) if part)
        applied = due + dice.uniform(0.0002, 0.0035)
        told = json.dumps(before), json.dumps(after)
        yield records.Change(number, due, applied, action, target, *told, ok=True, error="")


def one_way(network: str, at: float, dice: random.Random) -> float | None:
    """One packet's delay on the network at that second; None where it is cut."""
    if network == "field" and 30 <= at < 40:
        return None
    base = NETWORKS[network]
    slow = 0.25 if network == "field" and 15 <= at < 30 else 0.0
    return max(0.001, dice.gauss(float(base["latency_s"]) + slow, float(base["jitter_s"])))


def interactions(names: Names, dice: random.Random) -> Iterator[records.Interaction]:
    for reader, network in READERS.items():
        yield from _requests(reader, network, names, dice)
        yield from _subscription(reader, network, names, dice)


def _requests(reader: str, network: str, names: Names, dice: random.Random) -> Iterator[records.Interaction]:
    at = dice.uniform(0.05, 0.3)
    while at < DURATION_S:
        kind = dice.choices(("read", "write", "invoke"), (8, 1, 1))[0]
        there, back = one_way(network, at, dice), one_way(network, at, dice)
        lost = network == "field" and 15 <= at < 30 and dice.random() < 0.03
        served = dice.expovariate(1 / 0.002) + 0.001
        failed = there is None or back is None or lost
        took = dice.uniform(4.99, 5.02) if failed else float(there or 0) + float(back or 0) + served
        if not failed:
            yield _request(names, "thing", "producer", kind, at + float(there or 0), served, "")
        yield _request(names, reader, "consumer", kind, at, took, names.error if failed else "")
        at += min(took, 1.0) + dice.uniform(0.005, 0.05)


def _request(
    names: Names, node: str, role: str, kind: str, at: float, took: float, error: str
) -> records.Interaction:
    affordance, name, op = {
        "read": ("property", names.prop, "readproperty"),
        "write": ("property", names.prop, "writeproperty"),
        "invoke": ("action", names.action, "invokeaction"),
    }[kind]
    binding = "mqtt" if kind == "invoke" else "http"
    return records.Interaction(
        T0 + at,
        node,
        role,
        names.thing,
        affordance,
        name,
        op,
        "request",
        binding,
        took,
        42,
        "failed" if error else "ok",
        error,
    )


def _subscription(
    reader: str, network: str, names: Names, dice: random.Random
) -> Iterator[records.Interaction]:
    def record(
        at: float, stage: str, took: float | None, size: int | None, digest: int | None = None
    ) -> records.Interaction:
        return records.Interaction(
            T0 + at, reader, "consumer", names.thing, "event", names.event, "subscribeevent", stage, "ws",
            took, size, "ok", "", peer="thing", digest=digest,
        )  # fmt: skip

    yield record(0.4, "subscribe", None, None)
    for tick in range(2, int(DURATION_S * 4)):
        delay = one_way(network, tick / 4, dice)
        if delay is not None:
            yield record(tick / 4 + delay, "next", None, 64, tick)
    yield record(DURATION_S, "end", DURATION_S - 0.4, None)


def emissions(names: Names) -> Iterator[records.Emission]:
    for tick in range(2, int(DURATION_S * 4)):
        yield records.Emission(
            T0 + tick / 4, "thing", names.thing, "event", names.event, "subscribeevent", 64, tick
        )


def flows(dice: random.Random) -> Iterator[records.Flow]:
    for second in range(int(DURATION_S)):
        for reader, network in READERS.items():
            cut = network == "field" and 30 <= second < 40
            packets = 4 if cut else dice.randint(30, 60) if network == "wifi" else dice.randint(8, 20)
            protocol, port = dice.choice((("http", 8080), ("http", 8080), ("ws", 8081), ("mqtt", 1883)))
            yield from _crossing(second, reader, "thing", network, "wired", protocol, port, packets, cut)
            if not cut:
                yield from _crossing(second, "thing", reader, "wired", network, protocol, port, packets, cut)


def _crossing(
    second: int, src: str, dst: str, here: str, there: str, protocol: str, port: int, packets: int, cut: bool
) -> Iterator[records.Flow]:
    size = packets * (380 if src == "thing" else 140)

    def flow(node: str, network: str, direction: str) -> records.Flow:
        return records.Flow(
            T0 + second, node, network, direction, "tcp", protocol, src, dst, 40_000, port, packets, size
        )

    yield flow(src, here, "up")
    if not cut:
        yield flow(dst, there, "down")


def hops(dice: random.Random) -> Iterator[records.Hop]:
    nodes = {"thing": "wired", "broker": "wired", **READERS}
    for second in range(int(DURATION_S)):
        for node, network in nodes.items():
            for direction in ("up", "down"):
                field = network == "field"
                cut = field and 30 <= second < 40
                sent = 0 if cut else dice.randint(8, 60)
                yield records.Hop(
                    T0 + second, network, node, direction, "tun", sent, sent * 220,
                    dice.randint(0, 2) if field and 15 <= second < 30 else 0,
                    dice.randint(0, 3) if field and 25 <= second < 29 else 0,
                    dice.randint(2, 6) if cut else 0,
                    dice.randint(0, 9),
                    None if cut else 0.0006 + dice.uniform(0, 0.0034),
                    [] if cut else [130, 160],
                    [] if cut else [19 * sent, sent],
                )  # fmt: skip


def system(dice: random.Random) -> Iterator[records.System]:
    for second in range(int(DURATION_S)):
        for node in ("thing", "gate", *READERS):
            down = node == "reader-3g-1" and 34 <= second < 37
            busy = 22 if node == "thing" else 6
            yield records.System(
                T0 + second + 0.1,
                node,
                0.0 if down else max(0.1, dice.gauss(busy, 2)),
                50.0 if node == "thing" else None,
                0 if down else int(dice.gauss(61e6 if node == "thing" else 46e6, 2e5) + second * 2e4),
                96_000_000 if node == "thing" else None,
                0 if down else 1,
                throttled=0.25 if node == "thing" else None,
                retransmitted=None if second % 5 else 2,
            )


def host(dice: random.Random) -> Iterator[records.Host]:
    for second in range(int(DURATION_S)):
        used = int(2.9e9 + dice.gauss(0, 2e7))
        yield records.Host(
            T0 + second, "bench", dice.gauss(34, 5), abs(dice.gauss(0.4, 0.4)), used, 8_000_000_000, 0.0, 0.0
        )


def gateways() -> Iterator[records.GatewayLoad]:
    for second in range(int(DURATION_S)):
        for network in NETWORKS:
            packets = 90 if network == "wifi" else 0 if network == "field" and 30 <= second < 40 else 45
            yield records.GatewayLoad(T0 + second + 1, network, "tun", 1.0, 0.004 + packets * 6e-6, packets)


def metrics(dice: random.Random) -> Iterator[records.App]:
    level = 21.0
    for second in range(int(DURATION_S)):
        level += dice.gauss(0, 0.15)
        yield records.App(T0 + second, "thing", "temperature (°C)", level)
        for reader in READERS:
            yield records.App(T0 + second, reader, "queue length", float(dice.randint(0, 6)))


def broker(dice: random.Random) -> Iterator[records.Broker]:
    received = 0
    for second in range(0, int(DURATION_S), 2):
        received += dice.randint(10, 30)
        yield records.Broker(T0 + second, "broker", "$SYS/broker/clients/connected", 7.0)
        yield records.Broker(T0 + second, "broker", "$SYS/broker/messages/received", float(received))


def events_of(names: Names, dice: random.Random) -> Iterator[dict[str, Any]]:
    def event(at: float, kind: str, source: str, message: str, **data: Any) -> dict[str, Any]:
        return {"t": T0 + at, "kind": kind, "source": source, "message": message, "data": data}

    yield event(-3.2, "deploy.started", "coordinator", "8 replicas on 3 networks")
    for number, replica in enumerate(replicas()):
        yield event(-2.5 + number / 10, "role.ready", f"agent:{replica}", f"{replica} is ready")
        yield event(0.01, "app.started", f"agent:{replica}", f"{replica} started")
        yield event(0.3 + number / 50, "app.ready", f"agent:{replica}", f"{replica} is up")
    yield event(0, "run.t0", "coordinator", "everything is ready: T0")
    for name, start in PHASES:
        yield event(start, "run.phase", "coordinator", f"phase {name}", phase=name)
    for number, at, _action, network, _direction, _before, after in _CHANGES:
        late = dice.uniform(0.0002, 0.0035)
        yield event(
            at + late, "change.applied", f"gateway:{network}", json.dumps(after), id=number, late_s=late
        )
    yield event(34.0, "app.crashed", "agent:reader-3g-1", names.crash, exit=1, attempt=1, error=names.crash)
    yield event(37.0, "app.restarted", "agent:reader-3g-1", "reader-3g-1 restarted", attempt=2)
    yield event(60.0, "run.stopping", "coordinator", "60 s are over")
    yield event(60.4, "run.done", "coordinator", "done")


def write_logs(folder: Path, names: Names, dice: random.Random) -> None:
    folder.mkdir(exist_ok=True)
    for replica in replicas():
        lines = [f"INFO  {names.log} ({dice.randint(1, 99)})" for _ in range(80)]
        if replica == "reader-3g-1":
            lines += ["\x1b[31mTraceback (most recent call last):\x1b[0m", names.crash]
        (folder / f"{replica}.log").write_text("\n".join(lines) + "\n")
