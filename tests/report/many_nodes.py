"""A run of many nodes in which one group of them is cut off for a while."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from wotemu.records import Flow, Hop, Interaction, Record, System

from .synthetic import DURATION_S, T0, write_json, write_run, write_table

GROUPS = {"sensor": ("field", 120), "phone": ("mobile", 80)}
CUT = range(20, 32)


def many_nodes_run(folder: Path) -> Path:
    """200 nodes in two groups; the phones are cut off from 20 s to 32 s."""
    write_run(folder)
    chance = Random(3)
    names = {f"{group}-{number}": (group, network) for group, (network, count) in GROUPS.items()
             for number in range(count)}  # fmt: skip
    interactions: list[Record] = []
    flows: list[Record] = []
    hops: list[Record] = []
    system: list[Record] = []
    for second in range(0, int(DURATION_S), 4):
        for name, (group, network) in names.items():
            is_cut = group == "phone" and second in CUT
            took_s = 5.0 if is_cut else chance.uniform(0.04, 0.09)
            interactions.append(
                Interaction(T0 + second + 0.5, name, "consumer", f"urn:{group}", "property", "status",
                            "readproperty", "request", "http", took_s, 40, "failed" if is_cut else "ok",
                            "TimeoutError: no answer" if is_cut else "")
            )  # fmt: skip
            flows.append(
                Flow(T0 + second, name, network, "up", "tcp", "http", name, "server", 40_000, 9393, 3, 900)
            )
            hops += [
                Hop(T0 + second, network, name, way, "tun", 10, 1000, 0, 0, 4 if is_cut else 0, 0, 0.001,
                    late_bins=[90], late_counts=[10])
                for way in ("up", "down")
            ]  # fmt: skip
            system.append(System(T0 + second, name, chance.uniform(0, 9), None, 30_000_000, None, 2))
    for table, rows in {"interactions": interactions, "flows": flows, "hops": hops, "system": system}.items():
        write_table(folder, table, rows)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["replicas"] = {
        name: {"node": name, "kind": "node", "app": "app.py:main",
               "addresses": {network: f"10.{place // 250}.{place % 250}.2"}}
        for place, (name, (_, network)) in enumerate(names.items())
    }  # fmt: skip
    write_json(folder / "manifest.json", manifest)
    return folder
