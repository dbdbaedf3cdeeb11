"""Groups of nodes: what figures of many nodes are folded by."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import polars as pl

from wotemu_report.recorded.manifest import RecordedReplica
from wotemu_report.recorded.run_data import RunData

MANY = 100
"""From so many replicas on, figures by node are folded by group."""
_FEW_NODES = 24
"""So many nodes of the topology are groups of their own, however many replicas each has."""
_NUMBER = re.compile(r"\d+")


def has_many_nodes(run: RunData) -> bool:
    """Whether figures by node are folded by group."""
    return len(run.manifest.replicas) >= MANY


@lru_cache(maxsize=1)  # every section of one report reads it
def group_of(run: RunData) -> dict[str, str]:
    """The group of each replica and of each node of the topology, by its name.

    A node of the topology is a group, with its replicas. In a topology of many nodes those are one group
    whose names differ only in numbers and that are on the same networks: ``sensor-*``, or ``sensor-* on
    field-0``.
    """
    replicas = run.manifest.replicas
    nodes = {replica.node for replica in replicas}
    if len(replicas) < MANY or len(nodes) <= _FEW_NODES:
        names = {replica.name: replica.node for replica in replicas}
    else:
        names = _by_pattern(replicas)
    return names | {replica.node: names[replica.name] for replica in replicas}


def _by_pattern(replicas: Sequence[RecordedReplica]) -> dict[str, str]:
    places: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for replica in replicas:
        places[_pattern(replica.node)].add(tuple(sorted(replica.addresses)))
    return {replica.name: _name(replica, len(places[_pattern(replica.node)]) > 1) for replica in replicas}


def _pattern(name: str) -> str:
    return _NUMBER.sub("*", name)


def _name(replica: RecordedReplica, is_on_several: bool) -> str:
    pattern, networks = _pattern(replica.node), ", ".join(sorted(replica.addresses))
    return f"{pattern} on {networks}" if is_on_several and networks else pattern


def group(run: RunData, column: str = "node") -> pl.Expr:
    """The group of a column's replicas or nodes; names that are neither stay as they are."""
    return pl.col(column).replace(group_of(run))


def row_groups(run: RunData, rows: pl.DataFrame, column: str = "node") -> list[str]:
    """`group` of each row, for tables that are folded by it."""
    return rows.select(group(run, column)).to_series().to_list()
