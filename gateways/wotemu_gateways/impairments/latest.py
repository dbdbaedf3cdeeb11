"""Remembers what was derived from the latest conditions, for changes that many hops share. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from wotemu.topology.conditions import NetworkConditions

Derived = TypeVar("Derived")


def remember_latest(derive: Callable[[NetworkConditions], Derived]) -> Callable[[NetworkConditions], Derived]:
    """Derive once for calls in a row with the same object, as in a change of a whole network.

    By identity: hashing conditions costs more than what is derived. Conditions are immutable, and the latest
    ones are held, so no other object gets their identity.
    """
    latest: NetworkConditions | None = None
    derived: Derived

    def of(conditions: NetworkConditions) -> Derived:
        nonlocal latest, derived
        if conditions is not latest:
            derived = derive(conditions)
            latest = conditions
        return derived

    return of
