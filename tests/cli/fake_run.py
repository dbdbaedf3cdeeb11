"""A run that commands can watch and change, and its record."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from wotemu.errors import ScenarioError
from wotemu.records import Event
from wotemu.scenario.blocks import Block as Traffic
from wotemu_runtime.control.client import ControlClient
from wotemu_runtime.control.live_changes import (
    Crash,
    LiveChange,
    SetConditions,
)
from wotemu_runtime.control.requests import Changed, ConditionsNow, HopNow, LoggedEvent, RunStatus
from wotemu_runtime.control.server import control_server

CHANGE = SetConditions.of("net", latency="200ms")
EVENTS = [
    Event(100.0, "deploy.started", "coordinator", "deploying", {}),
    Event(101.0, "app.started", "agent:cam-1", "started", {}),
    Event(101.5, "run.t0", "coordinator", "T0: now", {"t0": 102.0}),
    Event(104.5, "control.change", "coordinator", "ann (process 7): set net latency=200ms",
          {"who": "ann (process 7)", "at_s": 2.5, "change": CHANGE.to_dict(), "source": CHANGE.source(2.5)}),
    Event(105.0, "app.crashed", "agent:cam-1", "\x1b[2Jboom", {"exit": 1}),
]  # fmt: skip


class FakeRun:
    """A run that has two replicas of a camera, and remembers what it was asked."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.changes: list[LiveChange] = []
        self.stops: list[bool] = []
        self.answer: dict[str, Any] = {}
        self.over = asyncio.Event()
        self.end: Callable[[], object] = self.over.set
        """Ends the run, from the test's thread."""

    async def change(self, change: LiveChange, who: str) -> Changed:
        if isinstance(change, Crash) and "nobody" in change.targets:
            raise ScenarioError("there is no node 'nobody'", where="crash nobody", hint="known are cam")
        self.changes.append(change)
        return attrs.evolve(Changed(2.5, change.text, 2, 0.0012), **self.answer)

    async def execute(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    async def capture(self, replica: str, who: str) -> Any:
        raise NotImplementedError

    def stop(self, *, at_once: bool, who: str) -> None:
        self.stops.append(at_once)
        self.over.set()

    def status(self) -> RunStatus:
        return RunStatus(
            name="yard", pid=7, engine="local", doing="running", now_s=12.34, duration_s=60.0, phase="calm",
            nodes=3, networks=1, run_dir=str(self.run_dir), events=len(EVENTS),
        )  # fmt: skip

    def conditions(self) -> ConditionsNow:
        slow, quick = {"latency_s": 0.2}, {"latency_s": 0.001}
        hops = [
            HopNow("net", name, way, slow if way == "up" else quick, name == "hub")
            for name in ("cam-1", "cam-2", "hub")
            for way in ("up", "down")
        ]
        apps = {"cam-1": "running", "cam-2": "crashed", "hub": "running"}
        blocks = {"net": [Traffic(("cam-1",), ("hub",), "tcp", 1883).to_dict()]}
        faults = ("hub: stressed by 0.5 cores",)
        return ConditionsNow(12.34, tuple(hops), (("cam-1",), ("hub",)), apps, blocks, faults)

    async def events(
        self, kinds: tuple[str, ...], *, after: int | None, follow: bool
    ) -> AsyncGenerator[LoggedEvent, None]:
        from fnmatch import fnmatchcase

        for number, event in enumerate(EVENTS if after is not None else [], 1):
            if not kinds or any(fnmatchcase(event.kind, kind) for kind in kinds):
                yield LoggedEvent(number, event)
        if follow:
            await self.over.wait()


@contextmanager
def fake_run(folder: Path) -> Iterator[FakeRun]:
    """A run named yard, whose socket is served on a thread."""
    loop, ready, ended = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    run_dir = folder / "records" / "yard"
    (run_dir / "logs").mkdir(parents=True)
    (run_dir / "manifest.json").write_text("{}")
    fake = FakeRun(run_dir)
    fake.end = lambda: loop.call_soon_threadsafe(fake.over.set)

    async def serve() -> None:
        async with control_server("yard", fake):
            ready.set()
            await ended.wait()
        for _ in range(5):  # closed connections are let go in the next rounds of the loop
            await asyncio.sleep(0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    yield fake
    # asyncio of Python 3.11 leaks a connection that it accepts while a server closes; they come in order.
    asyncio.run(ControlClient("yard").status())
    loop.call_soon_threadsafe(ended.set)
    thread.join(10)
    loop.close()


def record(folder: Path) -> Path:
    """The record of a run named yard, that is over."""
    run_dir = folder / "runs" / "yard"
    (run_dir / "logs").mkdir(parents=True)
    (run_dir / "manifest.json").write_text("{}")
    lines = [json.dumps(attrs.asdict(event)) for event in EVENTS]
    (run_dir / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return run_dir
