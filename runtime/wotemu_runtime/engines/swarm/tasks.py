"""Derives from successive lists of a stack's tasks what happened to its roles. Pure.

Swarm never changes a task's container: where one fails, or its machine is gone, the slot gets another task,
and the former's desired state is to be shut down. So the newest task of a slot is the role. The states of the
others, which may change long after, say nothing of the role.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from wotemu.errors import EmulationError
from wotemu_runtime.engines.engine import NotRunning, RoleEnded, RoleLost, Unplaced, in_words
from wotemu_runtime.engines.swarm.specs import ROLE_LABEL

BUS = "bus"
UNPLACED_AFTER_S = 4.0
"""While its scheduler is busy, Swarm reports "no suitable node" for a moment."""
MAX_FAILURES = 5
FAILURES_WITHIN_S = 60.0
"""A role that fails `MAX_FAILURES` times within this time is given up."""
MAX_FIRST_FAILURES = 3
"""So is one that was never seen running and has failed so often, however long each start took."""

_FAILED = frozenset({"failed", "orphaned"})
_BROKEN = _FAILED | {"rejected"}
_VERBS = {"failed": "failed", "orphaned": "was on a machine that is gone", "rejected": "was refused"}

Task = dict[str, Any]
Slot = tuple[str, int | str]
"""A service's role, and the number of one of its replicas, or the machine's id of a global service's task."""


@attrs.frozen
class BusTask:
    """The bus runs, and listens on this port of its host."""

    id: str
    port: int


@attrs.define
class _Slot:
    """One replica's tasks over time."""

    current: str = ""
    """The id of the task that ran last, until it is lost."""
    host: str = ""
    has_run: bool = False
    over: str = ""
    broken: set[str] = attrs.field(factory=set)
    """The ids of its tasks that are known to have failed or been refused."""
    complaint: str = ""
    why: str = ""
    """Why its container does not run, as last reported."""
    waits_since_s: float | None = None


TaskNews = RoleEnded | RoleLost | Unplaced | NotRunning | BusTask


class Tasks:
    """The tasks of one stack.

    Args:
        replicas: Each node's replicas in the order of their slots.
        adopted: Whether another coordinator created the stack: its bus has run.
    """

    def __init__(self, replicas: Mapping[str, Sequence[str]], *, adopted: bool = False) -> None:
        self._replicas = replicas
        self._slots: dict[Slot, _Slot] = {(BUS, 1): _Slot(has_run=True)} if adopted else {}
        self._failures: dict[str, list[float]] = {}
        self._bus: BusTask | None = None

    def __repr__(self) -> str:
        return f"Tasks({len(self._slots)} slots)"

    def look(
        self, tasks: Iterable[Task], hosts: Mapping[str, str], down: frozenset[str], now_s: float
    ) -> list[TaskNews]:
        """Compare with the lists before.

        Args:
            tasks: All tasks of the stack.
            hosts: The machines' names by id.
            down: The ids of the machines that do not answer.
            now_s: Any monotonic time.

        Returns:
            What happened since the last call.
        """
        slots: dict[Slot, list[Task]] = {}
        for task in tasks:
            slots.setdefault((_role_of(task), _slot_of(task)), []).append(task)
        return [
            news
            for place, each in slots.items()
            for news in self._look_at(place, sorted(each, key=_age), hosts, down, now_s)
        ]

    def _look_at(
        self, place: Slot, tasks: list[Task], hosts: Mapping[str, str], down: frozenset[str], now_s: float
    ) -> Iterator[TaskNews]:
        slot, role = self._slots.setdefault(place, _Slot()), self._name_of(*place, hosts)
        newest = tasks[-1]
        state = newest["Status"]["State"]
        # Swarm shows tasks of a machine that is gone as running until it has replaced them.
        runs = state == "running" and newest.get("NodeID") not in down
        # Before failures are judged: another task may run already in place of one that failed.
        slot.has_run = slot.has_run or runs
        ended = [
            task for task in tasks if task["Status"]["State"] in _BROKEN and task["ID"] not in slot.broken
        ]
        slot.broken.update(task["ID"] for task in ended)
        # The loss before its reasons: a coordinator then knows the role as lost when the failures arrive.
        if lost := self._lost(slot, tasks, down):
            slot.current = ""
            yield RoleLost(role, lost, slot.host)
        for task in ended:
            yield from self._broke(slot, role, task, hosts, now_s)
        # The slot keeps its complete task, which would else be reported once a second.
        if state == "complete" and slot.over != newest["ID"]:
            slot.over = newest["ID"]
            slot.current = ""
            yield RoleEnded(role, "complete")
        if runs:
            slot.current, slot.host = newest["ID"], hosts.get(newest.get("NodeID", ""), "")
            slot.complaint = ""
            if role == BUS:
                yield from self._bus_task(newest)
        yield from self._waits(slot, role, newest, now_s)
        if (why := _why_not_running(tasks)) != slot.why:
            slot.why = why
            yield NotRunning(role, why)

    @staticmethod
    def _lost(slot: _Slot, tasks: list[Task], down: frozenset[str]) -> str:
        """The reason for which the task that ran last is gone; "" while it is there."""
        newest = tasks[-1]
        current = next((task for task in tasks if task["ID"] == slot.current), None)
        if not slot.current or (current is newest and newest["Status"]["State"] == "complete"):
            return ""
        if current is None:
            return "its task was removed"
        status = current["Status"]
        if current.get("NodeID") in down:
            return "its machine is gone"
        if status["State"] in _FAILED:
            return str(status.get("Err") or f"its task {status['State']}")
        return "another task has its place" if current is not newest else ""

    def _broke(
        self, slot: _Slot, role: str, task: Task, hosts: Mapping[str, str], now_s: float
    ) -> Iterator[TaskNews]:
        """A machine refused the task, or it failed. A reason that will not go away is reported at once.

        So is the bus's first failure: all other roles wait for it, and a new bus fails the same way again.
        """
        error, host = str(task["Status"].get("Err", "")), hosts.get(task.get("NodeID", ""), "")
        is_hopeless = role == BUS or _hint(error) is not None or len(slot.broken) >= MAX_FIRST_FAILURES
        if task["Status"]["State"] == "rejected" or (not slot.has_run and is_hopeless):
            # Never counted as a failure: Swarm tries again elsewhere, and the user can act on the reason.
            yield from self._complain(slot, role, error, host)
            return
        failures = self._failures.setdefault(role, [])
        failures.append(now_s)
        late = [t for t in failures if t > now_s - FAILURES_WITHIN_S]
        if len(late) >= MAX_FAILURES:
            within = f"within {FAILURES_WITHIN_S:g} s"
            yield RoleEnded(role, f"its container failed {len(late)} times {within}: {error}")

    def _bus_task(self, task: Task) -> Iterator[TaskNews]:
        ports = task["Status"].get("PortStatus", {}).get("Ports", [])
        # A running task has no ports for a moment, until its machine has reported them.
        found = BusTask(task["ID"], int(ports[0]["PublishedPort"])) if ports else None
        if found is not None and found != self._bus:
            self._bus = found
            yield found

    def _waits(self, slot: _Slot, role: str, task: Task, now_s: float) -> Iterator[TaskNews]:
        """Report a task that no machine takes."""
        error = str(task["Status"].get("Err", ""))
        if task["Status"]["State"] != "pending" or not error:
            slot.waits_since_s = None
            return
        slot.waits_since_s = now_s if slot.waits_since_s is None else slot.waits_since_s
        if now_s - slot.waits_since_s >= UNPLACED_AFTER_S:
            yield from self._complain(slot, role, error, "")

    @staticmethod
    def _complain(slot: _Slot, role: str, error: str, host: str) -> Iterator[TaskNews]:
        """Report each reason once."""
        message = f"it can't run on {host}: {error}" if host else f"it can't be placed: {error}"
        if message != slot.complaint:
            slot.complaint = message
            where = in_words(role) if role.startswith("service:") else f"service {role}"
            yield Unplaced(role, EmulationError(message, where=where, hint=_hint(error)))

    def _name_of(self, role: str, slot: int | str, hosts: Mapping[str, str]) -> str:
        """The role of one task: ``agent:reader-2`` is the second of the service of ``agent:reader``.

        Of a global service's task it is the service's with its machine: ``limits:roof``.
        """
        if isinstance(slot, str):
            return f"{role}:{hosts.get(slot, slot)}"
        names = self._replicas.get(role)
        return f"agent:{names[slot - 1]}" if names else role


def _why_not_running(tasks: Sequence[Task]) -> str:
    """What Docker says of the last task that failed, else of the newest; "" where that runs or is over."""
    newest = tasks[-1]["Status"]
    if newest["State"] in ("running", "complete"):
        return ""
    broken = [task["Status"] for task in tasks if task["Status"]["State"] in _BROKEN]
    status = broken[-1] if broken else newest
    said = status.get("Err") or ("its image may be on its way" if status["State"] == "preparing" else "")
    verb = f"last task {_VERBS[status['State']]}" if broken else f"task is {status['State']}"
    return f"its {verb}" + (f": {said}" if said else "")


def _hint(error: str) -> str | None:
    """The remedy for an error of Swarm's, if one is known."""
    lower = error.lower()  # dockerd has texts, no codes
    if "no such image" in lower:
        return "every machine needs the image: push it to a registry that they reach, or load it on each"
    if "bind source path does not exist" in lower:
        return "name the path of Docker's socket on every machine in WOTEMU_DOCKER_SOCKET"
    if "port" in lower and ("in use" in lower or "allocated" in lower):
        return "free the port, or name another in WOTEMU_BUS_PORT"
    if "insufficient resources" in lower:
        return "lower the reservations, or add machines"
    if "constraints" in lower:
        return "docker node ls and docker node inspect show what the machines have"
    return None


def _role_of(task: Task) -> str:
    return str(task["Spec"]["ContainerSpec"]["Labels"][ROLE_LABEL])


def _slot_of(task: Task) -> int | str:
    return int(task["Slot"]) if task.get("Slot") else str(task.get("NodeID", ""))


def _age(task: Task) -> str:
    """Tasks sort in the order in which they were made: RFC 3339, always in UTC."""
    return str(task["CreatedAt"])
