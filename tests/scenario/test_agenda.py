"""A role's agenda gives its changes in time's order, whatever is added, replaced or taken back meanwhile."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wotemu.scenario.timeline import Change
from wotemu_runtime.roles.pending_changes import Agenda


def change(number: int, at_s: float, after: object = True) -> Change:
    return Change(number, at_s, "cut", "field", "reader", None, False, after)


def everything(agenda: Agenda) -> list[Change]:
    return [popped for popped in iter(agenda.pop, None) if popped is not None]


@given(st.lists(st.floats(0, 100)))
def test_changes_come_in_the_order_of_their_times(times: list[float]) -> None:
    agenda = Agenda(change(number, at_s) for number, at_s in enumerate(times))
    assert [popped.at_s for popped in everything(agenda)] == sorted(times)


def test_changes_of_one_time_keep_their_order() -> None:
    agenda = Agenda([change(5, 1.0), change(2, 1.0), change(9, 1.0)])
    assert [popped.id for popped in everything(agenda)] == [5, 2, 9]


def test_a_change_is_replaced_by_its_id() -> None:
    agenda = Agenda([change(1, 1.0), change(2, 2.0)])
    agenda.put([change(1, 3.0, False)])
    assert everything(agenda) == [change(2, 2.0), change(1, 3.0, False)]


def test_what_was_applied_already_may_come_again() -> None:
    agenda = Agenda([change(1, 1.0)])
    agenda.pop()
    agenda.put([change(1, 1.0, False)])
    assert everything(agenda) == [change(1, 1.0, False)]


def test_a_change_is_taken_back() -> None:
    agenda = Agenda([change(1, 1.0), change(2, 2.0)])
    agenda.drop([1, 7])
    assert agenda.next == change(2, 2.0)
    assert everything(agenda) == [change(2, 2.0)]
    assert agenda.next is None
