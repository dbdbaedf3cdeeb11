"""Pending changes are popped in the order of their times, whatever is added, replaced or discarded."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.scenario.timeline import Change
from wotemu_runtime.roles.pending_changes import PendingChanges


def change(number: int, at_s: float, after: object = True) -> Change:
    return Change(number, at_s, "cut", "field", "reader", None, False, after)


def everything(pending: PendingChanges) -> list[Change]:
    return [popped for popped in iter(pending.pop, None) if popped is not None]


@given(st.lists(st.floats(0, 100)))
def test_changes_come_in_the_order_of_their_times(times: list[float]) -> None:
    pending = PendingChanges(change(number, at_s) for number, at_s in enumerate(times))
    assert [popped.at_s for popped in everything(pending)] == sorted(times)


def test_changes_of_one_time_keep_their_order() -> None:
    pending = PendingChanges([change(5, 1.0), change(2, 1.0), change(9, 1.0)])
    assert [popped.id for popped in everything(pending)] == [5, 2, 9]


def test_a_change_is_replaced_by_its_id() -> None:
    pending = PendingChanges([change(1, 1.0), change(2, 2.0)])
    pending.add([change(1, 3.0, False)])
    assert everything(pending) == [change(2, 2.0), change(1, 3.0, False)]


def test_a_change_that_was_popped_may_be_added_again() -> None:
    pending = PendingChanges([change(1, 1.0)])
    pending.pop()
    pending.add([change(1, 1.0, False)])
    assert everything(pending) == [change(1, 1.0, False)]


def test_a_change_is_discarded() -> None:
    pending = PendingChanges([change(1, 1.0), change(2, 2.0)])
    pending.discard([1, 7])
    assert pending.next == change(2, 2.0)
    assert everything(pending) == [change(2, 2.0)]
    assert pending.next is None


def ids(pending: PendingChanges) -> list[int]:
    found = []
    while (due := pending.pop()) is not None:
        found.append(due.id)
    return found


@pytest.mark.parametrize(
    ("added", "discarded", "order"),
    [
        ([change(1, 3), change(2, 1), change(3, 2)], [], [2, 3, 1]),
        ([change(5, 1), change(4, 1), change(3, 1)], [], [5, 4, 3]),
        ([change(1, 1), change(2, 2), change(1, 3)], [], [2, 1]),
        ([change(1, 3), change(2, 2), change(1, 1)], [], [1, 2]),
        ([change(1, 1), change(2, 2)], [1, 7], [2]),
        ([], [1], []),
    ],
)
def test_pending_changes_are_hands_out_by_time_then_by_arrival_each_id_once(
    added: Iterable[Change], discarded: list[int], order: list[int]
) -> None:
    pending = PendingChanges()
    for each in added:
        pending.add([each])
    pending.discard(discarded)
    assert ids(pending) == order
    assert pending.next is None
