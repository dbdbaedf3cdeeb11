"""Runs that go on, as tables: which there are, and what one of them does now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wotemu.cli.screen.tables import add_row, columns, table_console
from wotemu.cli.screen.terminal import harmless
from wotemu.scenario.change_text import blocks_text
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Seconds
from wotemu.wording import counted, shortened

if TYPE_CHECKING:
    from rich.table import Table

    from wotemu_runtime.control.requests import ConditionsNow, RunStatus


def runs_table(runs: Sequence[RunStatus]) -> Table:
    """A row for each run of this machine."""
    table = columns("NAME", "ENGINE", "STATE", "TIME", "PHASE", "NODES", "PROCESS", "RUN", ruled=False)
    for run in runs:
        add_row(
            table,
            *(run.name, run.engine, run.doing, time_text(run), run.phase or "-", str(run.nodes)),
            *(str(run.pid), run.run_dir),
        )
    return table


def time_text(run: RunStatus) -> str:
    """``12.3 s of 60s``; ``-`` before T0."""
    if run.now_s is None:
        return "-"
    return f"{min(max(0.0, run.now_s), run.duration_s):.1f} s of {Seconds(run.duration_s)}"


def show_run(status: RunStatus, now: ConditionsNow) -> None:
    """Print what a run does now."""
    from rich.text import Text

    out = table_console()
    out.print(Text.assemble((status.name, "bold"), harmless(_head(status))))
    out.print(Text(harmless(f"run directory {status.run_dir}"), style="dim"))
    if now.partition:
        groups = " | ".join(", ".join(group) for group in now.partition)
        out.print(Text(harmless(f"partition: {groups}"), style="yellow"))
    for network, blocks in now.blocks.items():
        out.print(Text(harmless(f"blocked on {network}: {blocks_text(blocks)}"), style="yellow"))
    for fault in now.faults:
        out.print(Text(harmless(fault), style="yellow"))
    out.print()
    states = columns("node state", "", "nodes")
    for state, replicas in _states(now).items():
        add_row(states, state, str(len(replicas)), shortened(replicas), style=_STATE_STYLES.get(state, ""))
    out.print(states)
    hops = columns("network", "nodes", "up, now", "down, now")
    previous = ""
    for network, names, up, down in alike_hops(now):
        is_cut = "cut off" in (up, down)
        add_row(
            hops, "" if network == previous else network, names, up, down, style="yellow" if is_cut else ""
        )
        previous = network
    out.print(hops)


_STATE_STYLES = {"crashed": "red", "paused": "yellow", "stopped": "yellow"}


def _head(status: RunStatus) -> str:
    size = f"{counted(status.nodes, 'node')}, {counted(status.networks, 'network')}"
    when = "before T0" if status.now_s is None else time_text(status)
    phase = f", phase {status.phase}" if status.phase else ""
    return f"  {status.doing}, {when}{phase}; {size}, {status.engine} engine, process {status.pid}"


def _states(now: ConditionsNow) -> dict[str, list[str]]:
    found = defaultdict[str, list[str]](list)
    for replica, state in now.apps.items():
        found[state].append(replica)
    return dict(found)


def alike_hops(now: ConditionsNow) -> Iterator[tuple[str, str, str, str]]:
    """Network, nodes, and their conditions up and down; nodes with the same ones together."""
    conditions: dict[tuple[str, str], dict[str, str]] = {}
    for hop in now.hops:
        text = "cut off" if hop.is_cut else str(NetworkConditions.from_dict(dict(hop.conditions)))
        conditions.setdefault((hop.network, hop.replica), {})[hop.direction] = text
    alike: dict[tuple[str, str, str], list[str]] = {}
    for (network, replica), ways in conditions.items():
        alike.setdefault((network, ways.get("up", "-"), ways.get("down", "-")), []).append(replica)
    order = list(dict.fromkeys(network for network, _ in conditions))
    for (network, up, down), replicas in sorted(alike.items(), key=lambda each: order.index(each[0][0])):
        yield network, shortened(replicas), up, down
