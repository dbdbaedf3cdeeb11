"""The run directory of a run with millions of interactions that nobody had to start.

Rows are numbered, and every value of a row follows from its number by a hash, so that the same arguments give
the same rows. Half of the interactions are consumers', half producers'; of a hundred, five are items of
subscriptions, and the others requests: reads, writes and invocations of twenty things, over four bindings,
evenly spread over the run. Durations are log-normal around 40 ms (producers': 2 ms), four times that in every
third tenth of the run; one request of a hundred fails, one of a thousand is cancelled. Each node also has a
flow, a sample, a metric and counters of its two hops every `EVERY_S` seconds. Networks have 100 nodes each.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import attrs
import polars as pl

from wotemu.records.schemas import SCHEMAS
from wotemu.scenario.timeline import Change, Phase, Timeline

T0 = 1_750_000_000.0
EVERY_S = 10
NODES_A_NETWORK = 100
THINGS = 20
PHASES = 10
TROUBLED = (2, 5, 8)
"""Phases in which requests take four times as long."""
OPERATIONS = ("readproperty", "readproperty", "writeproperty", "invokeaction")
BINDINGS = ("http", "ws", "coap", "mqtt")
ERRORS = ("TimeoutError: no answer within 5 s", "ConnectionResetError: peer went away", "timeout")


@attrs.frozen
class GeneratedTables:
    """A run of `nodes` nodes over `lasts_s` seconds, with `rows` interactions and `changes` changes."""

    rows: int = 10_000_000
    nodes: int = 100
    lasts_s: int = 3600
    changes: int = 100

    def write(self, folder: Path) -> Path:
        """Write the run directory, in parts: it takes no more memory with more rows. Returns `folder`."""
        (folder / "tables").mkdir(parents=True)
        (folder / "logs").mkdir()
        tables = {
            "interactions": self._interactions(), "flows": self._flows(), "system": self._system(),
            "app": self._app(), "hops": self._hops(), "changes": self._answers().lazy(),
        }  # fmt: skip
        for name, frame in tables.items():
            made = frame.collect_schema().names()
            conformed = frame.select(
                (pl.col(column) if column in made else pl.lit(None)).cast(kind).alias(column)
                for column, kind in SCHEMAS[name].items()
            )
            conformed.sink_parquet(folder / "tables" / f"{name}.parquet", compression="zstd")
        _write_json(folder / "manifest.json", self._manifest())
        _write_json(folder / "topology.json", self._topology())
        _write_json(folder / "timeline.json", self.timeline.to_dict())
        event = {"t": T0, "kind": "run.t0", "source": "coordinator", "message": "T0", "data": {}}
        (folder / "events.jsonl").write_text(json.dumps(event) + "\n")
        return folder

    @property
    def node_names(self) -> list[str]:
        """The names of the nodes."""
        return [f"node-{number}" for number in range(self.nodes)]

    @property
    def networks(self) -> list[str]:
        """The names of the networks."""
        return [f"field-{number}" for number in range(math.ceil(self.nodes / NODES_A_NETWORK))]

    @property
    def timeline(self) -> Timeline:
        """Ten phases; the changes evenly spread over the run, each other one for the worse."""
        lasts = self.lasts_s / PHASES
        phases = tuple(Phase(f"phase {number}", number * lasts) for number in range(PHASES))
        changes = []
        for number in range(self.changes):
            before, after = ({"latency_s": each} for each in ((0.02, 0.03)[:: 1 - 2 * (number % 2)]))
            network = self.networks[number % len(self.networks)]
            at_s = round(number * self.lasts_s / max(1, self.changes), 3)
            changes.append(Change(number, at_s, "conditions", network, None, "up", before, after))
        return Timeline(0, self.lasts_s, phases, tuple(changes))

    def _numbered(self, rows: int) -> pl.LazyFrame:
        return pl.select(i=pl.int_range(rows, dtype=pl.Int64)).lazy() if rows else pl.LazyFrame({"i": []})

    def _interactions(self) -> pl.LazyFrame:
        phase = (pl.col("i") * PHASES / self.rows).floor()
        consumer = pl.col("i") % 2 == 0
        is_item = _hashed(2) % 20 == 0
        failed = _hashed(3) % 100 == 0
        median_s = pl.when(consumer).then(0.04).otherwise(0.002)
        factor = pl.when(phase.is_in([float(each) for each in TROUBLED])).then(4.0).otherwise(1.0)
        # The sum of four uniform numbers is nearly normal.
        normal = (sum((_uniform(seed) for seed in range(10, 14)), pl.lit(0.0)) - 2.0) * math.sqrt(3)
        status: Any = pl.when(failed).then(pl.lit("failed"))
        status = status.when(_hashed(4) % 1000 == 0).then(pl.lit("cancelled")).otherwise(pl.lit("ok"))
        operation = _hashed(5)
        return self._numbered(self.rows).select(
            t=T0 + pl.col("i") * (self.lasts_s / self.rows),
            node=_named("node-", _hashed(1) % self.nodes),
            role=pl.when(consumer).then(pl.lit("consumer")).otherwise(pl.lit("producer")),
            thing=_named("urn:thing-", _hashed(6) % THINGS),
            affordance=pl.when(is_item).then(pl.lit("event")).otherwise(pl.lit("property")),
            name=pl.when(is_item).then(pl.lit("alarm")).otherwise(pl.lit("status")),
            op=pl.when(is_item).then(pl.lit("subscribeevent")).otherwise(_one_of(OPERATIONS, operation)),
            stage=pl.when(is_item).then(pl.lit("next")).otherwise(pl.lit("request")),
            binding=_one_of(BINDINGS, _hashed(1) % self.nodes),
            duration=pl.when(~is_item).then(median_s * factor * (0.5 * normal).exp()),
            bytes=_hashed(7) % 300,
            status=pl.when(is_item).then(pl.lit("ok")).otherwise(status),
            error=pl.when(~is_item & failed).then(_one_of(ERRORS, _hashed(8))).otherwise(pl.lit("")),
            code=pl.when(is_item | failed).then(pl.lit("")).otherwise(pl.lit("200")),
            peer=_named("node-", _hashed(9) % self.nodes),
            origin=pl.lit("app"),
        )

    def _samples(self) -> pl.LazyFrame:
        """A row for each node and `EVERY_S` seconds: `i`, `t`, `number`, `node`, `network`."""
        number = pl.col("i") % self.nodes
        return self._numbered(self.nodes * (self.lasts_s // EVERY_S)).with_columns(
            t=T0 + (pl.col("i") // self.nodes) * EVERY_S,
            number=number,
            node=_named("node-", number),
            network=_named("field-", number // NODES_A_NETWORK),
        )

    def _flows(self) -> pl.LazyFrame:
        return self._samples().with_columns(
            direction=_one_of(("up", "down"), pl.col("i") // 7), transport=pl.lit("tcp"),
            protocol=_one_of(BINDINGS, pl.col("number")), src=pl.col("node"),
            dst=_named("node-", (pl.col("number") + 1) % self.nodes), sport=pl.lit(40_000),
            dport=pl.lit(8080), packets=_hashed(20) % 50, bytes=_hashed(21) % 20_000,
        )  # fmt: skip

    def _system(self) -> pl.LazyFrame:
        return self._samples().with_columns(
            cpu_percent=_uniform(22) * 9, cpu_limit_percent=None, mem_bytes=30_000_000 + _hashed(23) % 10**6,
            mem_limit_bytes=None, processes=pl.lit(2),
        )  # fmt: skip

    def _app(self) -> pl.LazyFrame:
        return self._samples().with_columns(key=pl.lit("temperature"), value=10 + 20 * _uniform(24))

    def _hops(self) -> pl.LazyFrame:
        count = {
            name: pl.lit(0) for name in ("dropped_loss", "dropped_queue", "dropped_cut", "dropped_memory")
        }
        histogram = {"late_bins": pl.lit([90, 100, 110]), "late_counts": pl.lit([50, 20, 10])}
        one = self._samples().with_columns(
            shaper=pl.lit("tun"), sent=_hashed(25) % 100, sent_bytes=_hashed(26) % 20_000, backlog=pl.lit(0),
            late_max=_uniform(27) / 1000, busy=pl.lit(0.0), served_bytes=pl.lit(0), **count, **histogram,
        )  # fmt: skip
        return pl.concat([one.with_columns(direction=pl.lit(way)) for way in ("up", "down")])

    def _answers(self) -> pl.DataFrame:
        rows = [
            (each.id, T0 + each.at_s, T0 + each.at_s + 0.0002, each.action, each.target,
             json.dumps(each.before), json.dumps(each.after), True, "")
            for each in self.timeline.changes
        ]  # fmt: skip
        return pl.DataFrame(rows, schema=SCHEMAS["changes"], orient="row")

    def _manifest(self) -> dict[str, Any]:
        replicas = {
            name: {
                "node": f"group-{number // 10}", "kind": "node", "app": "command: app",
                "addresses": {_named_network(number): f"10.0.{number // 250}.{number % 250}"},
            }
            for number, name in enumerate(self.node_names)
        }  # fmt: skip
        return {
            "schema": 1, "name": "generated", "wotemu_version": "1", "engine": "local", "shaper": "tun",
            "python": "3.11", "kernel": "6", "host": {"name": "bench", "cpus": 2, "mem_bytes": 8_000_000_000},
            "source": "generated.py", "command": ["wotemu", "run", "generated.py"], "seed": 0,
            "timeline_hash": self.timeline.hash, "started": T0 - 3, "t0": T0, "ended": T0 + self.lasts_s,
            "duration_s": self.lasts_s, "status": "done", "error": "", "warnings": [], "replicas": replicas,
            "losses": [], "records": {"interactions": self.rows}, "unenforced": [],
        }  # fmt: skip

    def _topology(self) -> dict[str, Any]:
        nodes = [
            {
                "name": f"group-{number // 10}", "scale": 10, "app": {"path": "app"}, "command": [],
                "networks": [{"network": self.networks[number // NODES_A_NETWORK], "up": {}, "down": {}}],
                "broker": None, "resources": {},
            }
            for number in range(0, self.nodes, 10)
        ]  # fmt: skip
        networks = [
            {"name": name, "conditions": {"latency_s": 0.02}, "shared": False} for name in self.networks
        ]
        return {"nodes": nodes, "networks": networks, "brokers": [], "services": [], "ports": {"http": 9393}}


def _hashed(seed: int) -> pl.Expr:
    """A number from 0 to 65535 for each row, evenly spread; another sequence for each seed (Weyl's)."""
    # Polars' own hash may differ between its versions.
    step = (2_654_435_769 + 2 * 104_729 * seed * seed) % 2**32 | 1
    return (pl.col("i") * step) % 2**32 // 2**16


def _uniform(seed: int) -> pl.Expr:
    return _hashed(seed) / 2**16


def _named(prefix: str, number: pl.Expr) -> pl.Expr:
    return pl.lit(prefix) + number.cast(pl.String)


def _one_of(names: tuple[str, ...], number: pl.Expr) -> pl.Expr:
    chosen = pl.lit(names[0])
    for place, name in enumerate(names[1:], 1):
        chosen = pl.when(number % len(names) == place).then(pl.lit(name)).otherwise(chosen)
    return chosen


def _named_network(number: int) -> str:
    return f"field-{number // NODES_A_NETWORK}"


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))
