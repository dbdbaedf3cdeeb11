"""Combines partitions that hold at the same time into a single one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

Groups = tuple[tuple[str, ...], ...]
"""Sets of replicas that can't reach each other; a single one is kept from all others.

Replicas in none reach, and are reached by, all.
"""


@attrs.frozen
class Named:
    """The key of a partition with a name: another one of that name replaces it."""

    name: str


@attrs.frozen(eq=False)
class Unnamed:
    """The key of a partition without a name, equal only to itself."""


Sides = tuple[int | None, ...]
"""The group of a replica in each partition, by number; None where it is in none."""


class NotOnePartitionError(ValueError):
    """Partitions can't be combined: a replica reaches two others that do not reach each other."""

    def __init__(self, between: str, one: str, other: str) -> None:
        """Name the three.

        Args:
            between: The replica that reaches both others.
            one: One of the two.
            other: The other one.
        """
        super().__init__(between, one, other)
        self.between, self.one, self.other = between, one, other


def combined(partitions: Sequence[Groups], replicas: Iterable[str]) -> Groups:
    """The partition that separates two replicas where any of the given ones does.

    Raises:
        NotOnePartitionError: Groups can't say that, as a replica that is in no group of one partition is
            in a group of another.
    """
    if len(partitions) < 2:
        return partitions[0] if partitions else ()
    alike: dict[Sides, list[str]] = {}
    for replica in replicas:
        alike.setdefault(tuple(_side(groups, replica) for groups in partitions), []).append(replica)
    reached = {one: frozenset(other for other in alike if _meet(one, other)) for one in alike}
    bound = {one: others for one, others in reached.items() if len(others) < len(alike)}
    classes: dict[frozenset[Sides], list[str]] = {}
    for one, others in bound.items():
        inside = others & bound.keys()
        for other in inside:
            if bound[other] & bound.keys() != inside:
                raise NotOnePartitionError(*_three(alike, one, bound))
        classes.setdefault(frozenset(inside), []).extend(alike[one])
    return tuple(map(tuple, classes.values())) if len(classes) > 1 else ()


def _side(groups: Groups, replica: str) -> int | None:
    inside = next((number for number, names in enumerate(groups) if replica in names), None)
    return 1 if inside is None and len(groups) == 1 else inside


def _meet(one: Sides, other: Sides) -> bool:
    """Whether no partition separates them."""
    return all(a == b or None in (a, b) for a, b in zip(one, other, strict=True))


def _three(
    alike: dict[Sides, list[str]], one: Sides, bound: dict[Sides, frozenset[Sides]]
) -> tuple[str, str, str]:
    """A replica, and two others that it reaches and that do not reach each other."""
    for middle in (one, *(bound[one] & bound.keys())):
        for left in bound[middle] & bound.keys():
            for right in bound[middle] & bound.keys():
                if not _meet(left, right):
                    return alike[middle][0], alike[left][0], alike[right][0]
    raise AssertionError("each reaches what the others reach")
