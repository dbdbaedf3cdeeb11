"""When changes are applied, and what is reported of each."""

from __future__ import annotations

import asyncio
import struct
from typing import cast

import pytest

from wotemu.records import Change as ChangeRecord
from wotemu.records import Record
from wotemu.scenario.timeline import Change
from wotemu_runtime.bus import BusClock
from wotemu_runtime.roles.change_schedule import ChangeSchedule


class _Clock:
    """A bus's clock that stands still."""

    def now(self) -> float:
        return 1000.0

    def left_s(self, at_s: float) -> float:
        return at_s - self.now()


def change(number: int) -> Change:
    return Change(number, 0.0, "conditions", "field", None, "up", {}, {})


@pytest.mark.parametrize(
    "failure", [struct.error("out of range"), OverflowError(), TypeError("bug"), OSError(22, "refused")]
)
async def test_a_change_that_cannot_be_imposed_is_answered_with_its_reason_and_the_role_goes_on(
    failure: Exception,
) -> None:
    records: list[Record] = []
    t0: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    schedule = ChangeSchedule(
        "gateway:field", cast(BusClock, _Clock()), t0, records.append, lambda *_, **__: None
    )
    applied = asyncio.Event()

    def apply(due: Change) -> None:
        if due.id == 1:
            raise failure
        applied.set()

    schedule.update([change(1), change(2)])
    t0.set_result(999.0)
    following = asyncio.create_task(schedule.follow(apply))
    waiting = asyncio.create_task(applied.wait())
    await asyncio.wait({following, waiting}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    assert applied.is_set(), following
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    answers = [(row.id, row.ok, row.error) for row in records if isinstance(row, ChangeRecord)]
    assert answers[0] == (1, False, f"{type(failure).__name__}: {failure}")
    assert answers[1:] == [(2, True, "")]
