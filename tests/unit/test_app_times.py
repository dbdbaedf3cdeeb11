"""Records of an app get the bus's time of when they were made, however its clock is corrected meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

from wotemu_runtime.agent.supervision.app_connection import AppConnection
from wotemu_runtime.agent.supervision.app_output import AppOutput, Life
from wotemu_runtime.app_process.messages import Rows
from wotemu_runtime.roles.role import Role


class FakeRole:
    """A role whose clock tests correct, and what it publishes."""

    def __init__(self) -> None:
        self.assignment = self.clock = self.publisher = self
        self.subject = "node"
        self.correction_s = 0.0
        self.rows: list[list[Any]] = []

    def at(self, monotonic_s: float) -> float:
        return 1000.0 + monotonic_s + self.correction_s

    def waiting_bytes(self, table: str) -> int:
        return 0

    def put_row(self, table: str, row: list[Any]) -> None:
        assert table == "app"
        self.rows.append(row)


class FakeConnection:
    """The rows of an app; between two of them the role's clock is corrected."""

    def __init__(self, role: FakeRole) -> None:
        self._role = role

    async def __aiter__(self) -> AsyncIterator[Rows]:
        yield Rows("app", [[1.0, "node", "key", 1.0]])
        self._role.correction_s = 0.25
        yield Rows("app", [[2.0, "node", "key", 1.0], [3.0, "node", "key", 1.0]])

    def close(self) -> None:
        pass


async def test_a_correction_of_the_clock_holds_for_the_rows_after_it() -> None:
    role = FakeRole()
    output = AppOutput(cast(Role, role), is_stopping=lambda: False, on_up=lambda returned: None)
    await output.read_messages(Life(1, cast(AppConnection, FakeConnection(role))))
    assert [row[0] for row in role.rows] == [1001.0, 1002.25, 1003.25]
