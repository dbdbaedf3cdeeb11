"""Coordination is tested without this machine's own load."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.unit.coordination.run import OPEN


@pytest.fixture(autouse=True)
def no_real_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No role looks at this machine's load, nor at its own process's."""

    async def nothing(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("wotemu_runtime.coordination.watches.report_host", nothing)
    monkeypatch.setattr("wotemu_runtime.gateway.role.record_stalls", nothing)
    monkeypatch.setattr("wotemu_runtime.gateway.role.report_interface_drops", lambda *_, **__: None)
    monkeypatch.setattr("wotemu_runtime.gateway.role.request_low_latency", lambda: "ordinary")


@pytest.fixture(autouse=True)
def no_open_run_directories() -> Iterator[None]:
    """Runs that were not run to their end are closed."""
    yield
    for run in list(OPEN):
        run.close()
