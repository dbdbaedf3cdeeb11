"""What a run can be asked while it goes on, and what it answers: values that JSON can hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import attrs

from wotemu.errors import EmulationError, InputError
from wotemu.records import Event
from wotemu_runtime.control.live_changes import LiveChange

RunPhase = Literal["deploying", "running", "ending", "over"]
"""The state of a run: it places its nodes, follows its scenario, winds down, or is over."""


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(values)


def _pair(values: Iterable[int]) -> tuple[int, int]:
    first, second = values
    return first, second


class Request:
    """Anything that a run can be asked; `KIND` names it on the wire."""

    KIND: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"request": self.KIND, **_plain(self)}


@attrs.frozen
class MakeChange(Request):
    """Change something now. Answered by `Changed`, once it has taken hold."""

    KIND = "change"

    change: LiveChange

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"request": self.KIND, "change": self.change.to_dict()}


@attrs.frozen
class StopRun(Request):
    """End the run: cleanly, or (`at_once`) waiting for nothing but the removal. Answered by `Done`."""

    KIND = "stop_run"

    at_once: bool = False


@attrs.frozen
class GetStatus(Request):
    """What the run does now. Answered by `RunStatus`."""

    KIND = "status"


@attrs.frozen
class GetConditions(Request):
    """What holds on every hop now. Answered by `ConditionsNow`."""

    KIND = "conditions"


@attrs.frozen
class GetEvents(Request):
    """Events as they are recorded, until the run is over. Answered by any number of `LoggedEvent`.

    Attributes:
        kinds: Patterns of their kinds, such as ``app.*``; none means all.
        after: How many events of the run to skip; None for those from now on. The `number` of the last one
            that was received continues exactly behind it.
        follow: Whether to go on when all that are recorded have been sent.
    """

    KIND = "events"

    kinds: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    after: int | None = 0
    follow: bool = True


@attrs.frozen
class Execute(Request):
    """Run a command in a node. Answered by any number of `Printed` and `InputRead`, then `Exited`.

    Meanwhile it takes lines of ``data``, ``eof``, ``signal`` and ``size``: see `ControlClient.execute`. No
    more than `SEND_WINDOW` bytes of data may be sent that no `InputRead` has confirmed.

    Attributes:
        replica: The node's replica.
        argv: The program and its arguments.
        tty: Whether it gets a terminal.
        size: The terminal's rows and columns.
    """

    KIND = "exec"

    replica: str
    argv: tuple[str, ...] = attrs.field(converter=_texts)
    tty: bool = False
    size: tuple[int, int] = attrs.field(default=(24, 80), converter=_pair)


@attrs.frozen
class CapturePackets(Request):
    """Stream what passes a node's interfaces as pcapng. Answered as `Execute` is, by what is printed.

    Any signal ends it.
    """

    KIND = "capture"

    replica: str


@attrs.frozen
class Printed:
    """What a command in a node printed; `fd` is 2 for its standard error, else 1."""

    fd: int
    data: bytes


@attrs.frozen
class InputRead:
    """How many more bytes of its input a command has read, so that as many may follow."""

    read: int


@attrs.frozen
class Exited:
    """How a command in a node ended: its exit code, or minus the number of the signal that killed it."""

    returncode: int


@attrs.frozen
class Changed:
    """How a change went.

    Attributes:
        at_s: When it was due, in seconds after T0.
        text: What was changed, for people.
        changes: How many atomic changes it made; 0 where everything was so already.
        late_s: By how much the latest one took hold after `at_s`; None where there was none.
        failed: Why changes could not be applied, a sentence each.
        unanswered: How many changes no role has confirmed in time.
    """

    at_s: float
    text: str
    changes: int
    late_s: float | None
    failed: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    unanswered: int = 0

    def check(self) -> None:
        """Check that all of it took hold.

        Raises:
            EmulationError: Some of it did not, or was not confirmed.
        """
        if self.failed:
            raise EmulationError("; ".join(self.failed), where=self.text)
        if self.unanswered:
            raise EmulationError(
                f"{self.unanswered} of its {self.changes} changes were not confirmed in time",
                where=self.text,
                hint="the run's events say whether a role is lost",
            )


@attrs.frozen
class Done:
    """It is done; there is nothing more to say."""


@attrs.frozen(kw_only=True)
class RunStatus:
    """What a run does now.

    Attributes:
        name: Name of the run.
        pid: The process that coordinates it.
        engine: ``local`` or ``swarm``.
        doing: See `RunPhase`.
        now_s: Seconds since T0; None before it.
        duration_s: How long the scenario lasts.
        phase: The phase of the scenario; "" before T0.
        nodes: How many replicas there are.
        networks: How many networks.
        run_dir: The run directory.
        events: How many events have been recorded.
    """

    name: str
    pid: int
    engine: str
    doing: RunPhase
    now_s: float | None
    duration_s: float
    phase: str
    nodes: int
    networks: int
    run_dir: str
    events: int


@attrs.frozen
class HopNow:
    """One hop of a replica, and the conditions that it imposes, as `NetworkConditions.to_dict` has them."""

    network: str
    replica: str
    direction: str
    conditions: Mapping[str, Any]
    is_cut: bool


@attrs.frozen
class ConditionsNow:
    """What holds at a moment.

    Attributes:
        at_s: The moment, in seconds after T0.
        hops: Every hop.
        partition: The groups of replicas that are kept apart; empty where all reach all.
        apps: What runs where, by replica: ``running``, ``paused``, ``crashed`` or ``stopped``.
        blocks: The traffic that is dropped, by network, as `wotemu.scenario.blocks.Block.to_dict` has it.
        faults: What else holds of nodes, in words: ``phone: stressed by 0.5 cores``.
    """

    at_s: float
    hops: tuple[HopNow, ...]
    partition: tuple[tuple[str, ...], ...]
    apps: Mapping[str, str]
    blocks: Mapping[str, Sequence[Mapping[str, Any]]] = attrs.field(factory=dict)
    faults: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What `attrs.asdict` gave."""
        hops = tuple(HopNow(**hop) for hop in data["hops"])
        partition = tuple(map(tuple, data["partition"]))
        return cls(data["at_s"], hops, partition, data["apps"], data["blocks"], tuple(data["faults"]))


@attrs.frozen
class LoggedEvent:
    """An event, and its number in the run, from 1 on."""

    number: int
    event: Event

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What `attrs.asdict` gave."""
        return cls(data["number"], Event(**data["event"]))


_KINDS: dict[str, type[Request]] = {
    kind.KIND: kind for kind in (StopRun, GetStatus, GetConditions, GetEvents, Execute, CapturePackets)
}


def request_from_dict(data: Mapping[str, Any]) -> Request:
    """The request that `to_dict` was called of.

    Raises:
        InputError: It is none, or one of another version of WoTemu.
    """
    name = data.get("request")
    given = {key: value for key, value in data.items() if key not in ("request", "version")}
    if name == MakeChange.KIND:
        return MakeChange(LiveChange.from_dict(given.get("change") or {}))
    if name not in _KINDS:
        known = ", ".join((MakeChange.KIND, *_KINDS))
        raise InputError(f"there is no request {name!r}", hint=f"known are {known}")
    try:
        return _KINDS[str(name)](**given)
    except TypeError as error:
        raise InputError(f"request {name!r}: {error}") from error


def _plain(value: Any) -> dict[str, Any]:
    return attrs.asdict(value)


__all__ = [
    "CapturePackets",
    "Changed",
    "ConditionsNow",
    "Done",
    "Execute",
    "Exited",
    "GetConditions",
    "GetEvents",
    "GetStatus",
    "HopNow",
    "InputRead",
    "LoggedEvent",
    "MakeChange",
    "Printed",
    "Request",
    "RunPhase",
    "RunStatus",
    "StopRun",
    "request_from_dict",
]
