"""Which replicas a partition keeps apart. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

Partition = tuple[frozenset[str], ...]
"""Sets of replicas that do not reach each other. Replicas in none of them reach, and are reached by, all."""


def partition_of(replicas: Collection[str], groups: Iterable[Collection[str]]) -> Partition:
    """The sets of one network's partition; the only place that says what a single group means.

    Args:
        replicas: Those on the network. A scenario's groups span networks, so others are left out.
        groups: As `Shaper.partition` takes them: a single one is kept from all other replicas; none at all
            heals the network.
    """
    present = frozenset(replicas)
    sets = tuple(present.intersection(group) for group in groups)
    return (*sets, present - sets[0]) if len(sets) == 1 else sets


def group_of(partition: Sequence[Collection[str]], replica: str) -> int | None:
    """The place in the partition of the replica's set; None where it is in no set."""
    return next((number for number, names in enumerate(partition) if replica in names), None)


def is_separated(group: int | None, other: int | None) -> bool:
    """Whether replicas with these sets' places do not reach each other."""
    return group is not None and other is not None and group != other


def reaches(partition: Sequence[Collection[str]], sender: str, receiver: str) -> bool:
    """Whether the partition lets packets from one replica to the other."""
    return not is_separated(group_of(partition, sender), group_of(partition, receiver))
