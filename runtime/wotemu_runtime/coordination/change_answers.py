"""Waits for the roles' answers to changes that somebody wants to know the outcome of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from wotemu.records import Change, Record


class ChangeAnswers:
    """Takes the records of changes, and hands on those that are expected."""

    def __init__(self) -> None:
        self._expected: dict[int, asyncio.Future[Change]] = {}

    def __repr__(self) -> str:
        return f"ChangeAnswers({len(self._expected)} expected)"

    def expect(self, ids: Iterable[int]) -> list[asyncio.Future[Change]]:
        """The answers to come, one for each change; to be called before the roles get the changes."""
        loop = asyncio.get_running_loop()
        found = []
        for number in ids:
            if number not in self._expected:
                self._expected[number] = loop.create_future()
            found.append(self._expected[number])
        return found

    tables = frozenset({Change.TABLE})
    """See `Sink`."""

    def take(self, records: Sequence[Record]) -> None:
        """Take records of any table into account."""
        for record in records if self._expected else ():
            if isinstance(record, Change):
                answer = self._expected.pop(record.id, None)
                if answer is not None and not answer.done():
                    answer.set_result(record)

    def forget(self, answers: Iterable[asyncio.Future[Change]]) -> None:
        """Wait for these no longer."""
        given_up = set(answers)
        self._expected = {number: each for number, each in self._expected.items() if each not in given_up}
