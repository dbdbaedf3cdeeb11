"""What each check concludes of what was found on a machine."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from wotemu.errors import EmulationError, HostError
from wotemu_gateways.userspace.scheduling import Scheduling
from wotemu_runtime.doctor import examination, local_engine, surroundings
from wotemu_runtime.doctor.check import Check, State, can_run_locally
from wotemu_runtime.engines.local.machine_limits import Limit
from wotemu_runtime.engines.local.plan_demand import FILES, NAMESPACES, TASKS

LACKING = HostError("it is not there", where="TUN device", hint="load it")


def outcome(check: Check) -> tuple[State, bool]:
    """Its state, and whether the local engine can't run because of it."""
    if check.state == "OK":
        assert not check.remedy
    return check.state, check.blocks


@pytest.mark.parametrize(
    ("system", "release", "expected"),
    [
        ("Linux", "6.18.44-fc-v657", ("OK", False)),
        ("Linux", "5.3.0", ("OK", False)),
        ("Linux", "4.19.0-25-amd64", ("missing", True)),
        ("Darwin", "23.1.0", ("missing", True)),
    ],
)
def test_kernel(system: str, release: str, expected: tuple[State, bool]) -> None:
    check = local_engine.kernel(system, release)
    assert outcome(check) == expected
    assert check.found == f"{system} {release}"


def test_what_the_local_engine_can_not_do_without_blocks_it() -> None:
    for check in (
        local_engine.tun_device(LACKING),
        local_engine.sandbox(EmulationError("the sandbox ended"), is_root=False),
        local_engine.event_bus(HostError("there is no server", where="event bus", hint="install one")),
    ):
        assert outcome(check) == ("missing", True)
        assert not can_run_locally([check])
    assert local_engine.tun_device(LACKING).remedy == "load it"


def test_what_is_there_is_ok() -> None:
    checks = [
        local_engine.tun_device(None),
        local_engine.sandbox(None, is_root=False),
        local_engine.event_bus("/usr/bin/valkey-server"),
        local_engine.netem(""),
        local_engine.mosquitto("/usr/sbin/mosquitto"),
        local_engine.uplinks("/usr/bin/pasta"),
        local_engine.wall_clocks("/usr/lib/faketime/libfaketimeMT.so.1"),
    ]
    assert {outcome(check) for check in checks} == {("OK", False)}
    assert "ordinary user" in checks[1].found


def test_a_kernel_without_netem_is_limited_and_named_are_its_modules() -> None:
    check = local_engine.netem("qdisc netem: No such file")
    assert outcome(check) == ("limited", False)
    assert "No such file" in check.found and "modprobe -a sch_netem" in check.remedy


@pytest.mark.parametrize(
    ("version", "controllers", "state", "found"),
    [
        (2, {"cpu", "memory"}, "OK", "version 2, with CPU and memory"),
        (2, {"cpu"}, "limited", "version 2, without memory for this user"),
        (1, (), "limited", "version 1, without cpu and memory for this user (Permission denied)"),
    ],
)
def test_control_groups(version: int, controllers: set[str], state: State, found: str) -> None:
    check = local_engine.control_groups(version, controllers, "" if controllers else "Permission denied")
    assert (check.state, check.found) == (state, found)
    assert bool(check.remedy) == (state != "OK")


@pytest.mark.parametrize(
    ("scheduling", "state"), [("real-time", "OK"), ("short slices", "limited"), ("ordinary", "limited")]
)
def test_real_time_class(scheduling: Scheduling, state: State) -> None:
    check = local_engine.real_time_class(scheduling)
    assert outcome(check) == (state, False)
    assert ("rtprio 1" in check.remedy) == (state != "OK")


def test_brokers_do_without_mosquitto() -> None:
    check = local_engine.mosquitto(None)
    assert outcome(check) == ("limited", False)
    assert "amqtt" in check.found


def test_a_machine_without_a_program_for_uplinks_is_limited() -> None:
    check = local_engine.uplinks(None)
    assert outcome(check) == ("limited", False)
    assert "passt" in check.remedy


def test_a_machine_without_libfaketime_is_limited() -> None:
    check = local_engine.wall_clocks(None)
    assert outcome(check) == ("limited", False)
    assert "apt install libfaketime" in check.remedy


def test_the_tightest_limit_of_a_kind_says_how_many_nodes_have_room() -> None:
    limits = [
        Limit(TASKS, "wide", 100_000, 0, "-"),
        Limit(TASKS, "tight", 80, 9, "raise to {}"),
        Limit(FILES, "enough", 100_000, 0, "-"),
        Limit(NAMESPACES["net"], "none", 0, 0, "allow {}"),
    ]
    by_name = {check.name: check for check in local_engine.room(limits)}
    assert by_name["memory"].found == "no limit"
    assert outcome(by_name["open files"]) == ("OK", False)
    assert outcome(by_name["processes"]) == ("limited", False)
    assert by_name["processes"].found == "room for 30 idle nodes: tight is 80, and 9 are in use"
    assert by_name["processes"].remedy == "for 100 nodes: raise to 220"
    assert outcome(by_name["number of namespaces"]) == ("missing", True)


@pytest.mark.parametrize(
    ("free_bytes", "is_writable", "state"),
    [(50e9, True, "OK"), (1e9, True, "limited"), (50e9, False, "limited")],
)
def test_disk(free_bytes: int, is_writable: bool, state: State) -> None:
    check = surroundings.disk(Path("/data/runs"), free_bytes, is_writable=is_writable)
    assert outcome(check) == (state, False)
    assert "/data/runs" in check.found


def test_clock() -> None:
    assert surroundings.clock(0.0123).found == "synchronised, to within 12.3 ms"
    assert outcome(surroundings.clock(None)) == ("limited", False)


@pytest.mark.parametrize(
    ("wanted", "refused", "state"),
    [(None, "", "OK"), (6379, "", "OK"), (6379, "Address already in use", "limited")],
)
def test_ports(wanted: int | None, refused: str, state: State) -> None:
    check = surroundings.ports(wanted, refused)
    assert outcome(check) == (state, False)
    assert refused in check.found


def test_docker_and_swarm() -> None:
    info = {"ServerVersion": "28.1", "Name": "roof", "Swarm": {"Nodes": 3}}
    gone = HostError("no answer", where="Docker", hint="start it")
    no_manager = HostError("it is no manager of a swarm", where="Docker on roof", hint="docker swarm init")
    assert surroundings.docker(info).found == "Engine 28.1 on roof"
    assert surroundings.swarm(info, None).found == "active, 3 machines"
    assert outcome(surroundings.docker(gone)) == ("missing", False)
    assert outcome(surroundings.swarm(gone, None)) == ("missing", False)
    assert surroundings.swarm(info, no_manager).remedy == "docker swarm init"


def test_a_port_that_another_program_has_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("", 0)) as server:
        monkeypatch.setenv("WOTEMU_BUS_PORT", str(server.getsockname()[1]))
        assert examination._ports().state == "limited"
    assert examination._ports().state == "OK"
    monkeypatch.setenv("WOTEMU_BUS_PORT", "70000")
    assert examination._ports().found == "WOTEMU_BUS_PORT: '70000' is no port"


def test_a_sandbox_that_stops_at_the_tun_device_has_its_namespaces() -> None:
    refused = HostError("this kernel refuses: [Errno 13] Permission denied: '/dev/net/tun'")
    assert outcome(local_engine.sandbox(refused, is_root=False)) == ("OK", False)


def test_what_limits_the_processes_of_nodes() -> None:
    found = [
        local_engine.process_limit(controllers, by_rlimit=by_rlimit)
        for controllers, by_rlimit in (({"cpu"}, True), ({"pids"}, False), ({"cpu"}, False))
    ]
    assert [each.state for each in found] == ["OK", "OK", "limited"]
    assert [each.found.split()[:2] for each in found[:2]] == [["by", "RLIMIT_NPROC"], ["by", "control"]]
