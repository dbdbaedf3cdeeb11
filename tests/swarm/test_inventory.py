"""What is on a swarm is worked out of Docker's lists in pure code."""

from __future__ import annotations

from typing import Any

from wotemu_runtime.engines.swarm.inventory import taken

HOSTS = [{"ID": f"n{number}", "Description": {"Hostname": f"worker-{number}"}} for number in (1, 2)]


def made(name: str, role: str, **spec: Any) -> dict[str, Any]:
    """An object as the engine labels it."""
    stack = name.partition("_")[0]
    labels = {
        "org.wotemu.stack": stack,
        "com.docker.stack.namespace": stack,
        "org.wotemu.role": role,
    }
    return {
        "ID": name,
        "CreatedAt": "2026-01-02T03:04:05.678901234Z",
        "Spec": {"Name": name, "Labels": labels, **spec},
    }


def service(name: str, role: str, replicas: int) -> dict[str, Any]:
    return made(name, role, Mode={"Replicated": {"Replicas": replicas}})


def task(service_name: str, state: str, node: str, at: int, error: str = "") -> dict[str, Any]:
    status = {"State": state, "Timestamp": f"2026-01-02T03:04:{at:02}Z", "Err": error}
    return {"ID": f"{service_name}-{at}", "ServiceID": service_name, "NodeID": node, "Status": status}


def test_tasks_are_counted_by_service_and_machine() -> None:
    found = {"services": [service("field_bus", "bus", 1), service("field_reader", "agent:reader", 3)]}
    tasks = [
        task("field_bus", "running", "n1", 1),
        task("field_reader", "running", "n1", 2),
        task("field_reader", "running", "n2", 3),
        task("field_reader", "failed", "n2", 4, "exit code 9"),
        task("somebody-elses", "running", "n2", 5),
    ]
    (field,) = taken(found, tasks, HOSTS)
    assert (field.name, field.made_by, field.running, field.desired) == ("field", "run", 3, 4)
    assert field.nodes == ("worker-1", "worker-2")
    bus, reader = field.services
    assert bus.is_whole
    assert not reader.is_whole
    assert reader.error == "exit code 9"
    assert int(field.created) == 1767323045


def test_a_service_of_all_machines_should_have_a_task_on_each() -> None:
    limiters = made("field_limits", "limits", Mode={"Global": {}})
    tasks = [task("field_limits", "running", "n1", 1), task("field_limits", "failed", "n2", 2)]
    (field,) = taken({"services": [limiters]}, tasks, HOSTS)
    assert (field.running, field.desired) == (1, 2)


def test_what_is_left_of_a_crash_is_found_by_its_labels() -> None:
    network = {
        "Id": "x", "Name": "b_field", "Created": "2026-01-02T03:04:05Z",
        "Labels": {"org.wotemu.stack": "b", "org.wotemu.role": "network:field"},
    }  # fmt: skip
    a, b = taken({"networks": [network], "secrets": [made("a_bus-password", "bus")]}, [], [])
    assert (a.name, dict(a.held)) == ("a", {"networks": 0, "configs": 0, "secrets": 1, "volumes": 0})
    assert (b.name, dict(b.held)) == ("b", {"networks": 1, "configs": 0, "secrets": 0, "volumes": 0})


def test_stacks_of_others_are_not_ours() -> None:
    other = service("shop_web", "", 1)
    other["Spec"]["Labels"] = {"com.docker.stack.namespace": "shop"}
    composed = service("field_coordinator", "coordinator", 1)
    del composed["Spec"]["Labels"]["org.wotemu.stack"]
    (field,) = taken({"services": [other, composed]}, [task("field_coordinator", "running", "n1", 1)], HOSTS)
    assert (field.name, field.made_by, field.has_own_coordinator) == ("field", "stack", True)
