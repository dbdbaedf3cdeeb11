"""What a swarm's tasks mean for the roles, from what its API says."""

from __future__ import annotations

from typing import Any

import pytest

from wotemu_runtime.engines.engine import NotRunning, RoleEnded, RoleLost, Unplaced
from wotemu_runtime.engines.swarm.specs import ROLE_LABEL
from wotemu_runtime.engines.swarm.tasks import (
    MAX_FAILURES,
    MAX_FIRST_FAILURES,
    UNPLACED_AFTER_S,
    BusTask,
    TaskNews,
    Tasks,
)

HOSTS = {"n1": "one", "n2": "two"}
UP: frozenset[str] = frozenset()


def task(number: int, state: str, role: str = "agent:a", node: str = "n1", **more: Any) -> dict[str, Any]:
    status = {"State": state, "Err": more.pop("error", "")}
    if port := more.pop("port", None):
        status["PortStatus"] = {"Ports": [{"PublishedPort": port}]}
    return {
        "ID": f"t{number}",
        "CreatedAt": f"2026-01-01T00:00:{number:02}.5Z",
        "NodeID": node,
        "Slot": more.pop("slot", 1),
        "Spec": {"ContainerSpec": {"Labels": {ROLE_LABEL: role}}},
        "Status": status,
    }


class Final(Tasks):
    """Its news, but for why containers do not run yet."""

    def look(self, *given: Any) -> list[TaskNews]:
        return [news for news in super().look(*given) if not isinstance(news, NotRunning)]


REPLICAS = {"agent:a": ["a"], "agent:b": ["b-1", "b-2"]}


def roles() -> Tasks:
    return Final(REPLICAS)


def test_a_failed_task_is_a_lost_role_once() -> None:
    tasks = roles()
    assert tasks.look([task(1, "running")], HOSTS, UP, 0) == []
    failed = task(1, "failed", error="non-zero exit (137)")
    assert tasks.look([failed], HOSTS, UP, 1) == [RoleLost("agent:a", "non-zero exit (137)", "one")]
    assert tasks.look([failed, task(2, "starting", node="n2")], HOSTS, UP, 2) == []
    assert tasks.look([failed, task(2, "running", node="n2")], HOSTS, UP, 3) == []
    again = task(2, "failed", node="n2", error="oops")
    assert tasks.look([failed, again], HOSTS, UP, 4) == [RoleLost("agent:a", "oops", "two")]


def test_a_machine_that_is_down_loses_its_roles_though_their_tasks_are_said_to_run() -> None:
    tasks = roles()
    running = [task(1, "running", "agent:b", "n2", slot=2), task(2, "running", "agent:b", "n1", slot=1)]
    tasks.look(running, HOSTS, UP, 0)
    down = frozenset({"n2"})
    assert tasks.look(running, HOSTS, down, 15) == [RoleLost("agent:b-2", "its machine is gone", "two")]
    assert tasks.look([*running, task(3, "running", "agent:b", slot=2)], HOSTS, down, 18) == []


def test_what_becomes_of_a_task_after_another_has_its_place_is_nothing_of_the_roles() -> None:
    """A machine that was cut off ends its tasks when it is back: they complete, and the role goes on."""
    tasks = roles()
    tasks.look([task(1, "running", node="n2")], HOSTS, UP, 0)
    both = [task(2, "running"), task(1, "running", node="n2")]
    assert tasks.look(both, HOSTS, UP, 20) == [RoleLost("agent:a", "another task has its place", "two")]
    assert tasks.look([task(1, "complete", node="n2"), task(2, "running")], HOSTS, UP, 40) == []
    assert tasks.look([task(1, "failed", node="n2"), task(2, "running")], HOSTS, UP, 41) == []


def test_a_task_that_completes_ends_its_role_once() -> None:
    tasks = roles()
    tasks.look([task(1, "running")], HOSTS, UP, 0)
    assert tasks.look([task(1, "complete")], HOSTS, UP, 1) == [RoleEnded("agent:a", "complete")]
    assert tasks.look([task(1, "complete")], HOSTS, UP, 2) == []


def test_a_role_that_fails_over_and_over_is_over_and_one_that_fails_now_and_then_is_not() -> None:
    for seconds, ended in ((1, 1), (30, 0)):
        tasks, news, seen = roles(), [], []
        for number in range(MAX_FAILURES):
            seen.append(task(number, "running"))
            tasks.look(seen, HOSTS, UP, number * seconds)
            seen[-1] = task(number, "failed", error="exit 3")
            news += tasks.look(seen, HOSTS, UP, number * seconds)
        assert sum(isinstance(each, RoleEnded) for each in news) == ended


def test_the_bus_is_told_when_it_runs_and_when_it_has_moved() -> None:
    tasks = roles()
    assert tasks.look([task(1, "starting", "bus")], HOSTS, UP, 0) == []
    first = task(1, "running", "bus", port=40001)
    assert tasks.look([first], HOSTS, UP, 1) == [BusTask("t1", 40001)]
    assert tasks.look([first], HOSTS, UP, 2) == []
    moved = [task(1, "failed", "bus", error="137"), task(2, "running", "bus", port=40002)]
    assert tasks.look(moved, HOSTS, UP, 3) == [RoleLost("bus", "137", "one"), BusTask("t2", 40002)]


def test_a_bus_that_fails_before_it_runs_is_reported_at_once_with_its_tasks_error() -> None:
    tasks = roles()
    assert tasks.look([task(1, "starting", "bus")], HOSTS, UP, 0) == []
    failed = [task(1, "failed", "bus", error="task: non-zero exit (1)"), task(2, "ready", "bus")]
    (news,) = tasks.look(failed, HOSTS, UP, 1)
    assert isinstance(news, Unplaced)
    assert news.role == "bus"
    assert "can't run on one: task: non-zero exit (1)" in str(news.error)
    assert tasks.look(failed, HOSTS, UP, 2) == []


def test_a_bus_that_failed_before_its_emulation_was_adopted_is_no_error() -> None:
    tasks = Final({}, adopted=True)
    failed = task(1, "failed", "bus", error="137")
    assert tasks.look([failed, task(2, "starting", "bus")], HOSTS, UP, 0) == []
    assert tasks.look([failed, task(2, "running", "bus", port=40002)], HOSTS, UP, 1) == [BusTask("t2", 40002)]


def test_what_no_machine_takes_is_told_with_the_reason_and_what_to_do() -> None:
    tasks = roles()
    waiting = [task(1, "pending", node="", error="no suitable node (insufficient resources on 2 nodes)")]
    assert tasks.look(waiting, HOSTS, UP, 0) == [], "it may be for a moment"
    (news,) = tasks.look(waiting, HOSTS, UP, LATER)
    assert isinstance(news, Unplaced)
    assert "insufficient resources" in str(news.error)
    assert "reservations" in (news.error.hint or "")
    assert tasks.look(waiting, HOSTS, UP, LATER + 1) == []


def test_an_image_that_a_machine_lacks_is_told_at_once_with_the_machines_name() -> None:
    rejected = task(1, "rejected", node="n2", error="No such image: mine:1")
    (news,) = roles().look([rejected], HOSTS, UP, 0)
    assert isinstance(news, Unplaced)
    assert "two" in str(news.error)
    assert "mine:1" in str(news.error)
    assert "registry" in (news.error.hint or "")


def test_a_service_whose_first_tasks_all_fail_is_reported_however_long_that_takes() -> None:
    """Each start may take longer than the window in which failures are counted."""
    tasks, seen, news = roles(), [], []
    for number in range(MAX_FIRST_FAILURES):
        seen.append(task(number, "failed", "service:db", error="task: non-zero exit (1)"))
        news += tasks.look(seen, HOSTS, UP, number * 100)
    (only,) = news
    assert isinstance(only, Unplaced)
    assert str(only.error) == "service db: it can't run on one: task: non-zero exit (1)"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ([task(1, "preparing", "service:db")], "its task is preparing: its image may be on its way"),
        ([task(1, "starting", "service:db")], "its task is starting"),
        (
            [task(1, "pending", "service:db", error="no suitable node")],
            "its task is pending: no suitable node",
        ),
        (
            [task(1, "failed", "service:db", error="exit (1)"), task(2, "ready", "service:db")],
            "its last task failed: exit (1)",
        ),
        (
            [task(1, "rejected", "service:db", error="No such image: x")],
            "its last task was refused: No such image: x",
        ),
    ],
)
def test_why_a_container_does_not_run_is_dockers_word_of_its_last_task(found: Any, why: str) -> None:
    tasks = Tasks(REPLICAS)
    assert NotRunning("service:db", why) in tasks.look(found, HOSTS, UP, 0)
    assert NotRunning("service:db", why) not in tasks.look(found, HOSTS, UP, 1), "once"
    running = [*found, task(3, "running", "service:db")]
    assert NotRunning("service:db", "") in tasks.look(running, HOSTS, UP, 2)


LATER = UNPLACED_AFTER_S + 0.1


def test_the_tasks_of_a_global_service_are_one_a_machine() -> None:
    """Each is a role of its own: one that fails is not lost to the other's."""
    tasks = Final(REPLICAS)

    def on(machine: str, number: int, state: str) -> dict[str, Any]:
        made = task(number, state, role="limits", node=machine)
        del made["Slot"]  # as Docker has it
        return made

    both = [on("n1", 1, "running"), on("n2", 2, "running")]
    assert tasks.look(both, HOSTS, UP, 0.0) == []
    again = [on("n1", 1, "running"), on("n2", 2, "failed"), on("n2", 3, "running")]
    assert tasks.look(again, HOSTS, UP, 1.0) == [RoleLost("limits:two", "its task failed", "two")]
