"""Looks at this machine, and gives all checks."""

from __future__ import annotations

import asyncio
import ctypes
import os
import platform
import shutil
import socket
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wotemu.errors import HostError, InputError, WotemuError
from wotemu_gateways.netem.kernel_support import missing_in_new_namespace
from wotemu_gateways.userspace.scheduling import obtainable
from wotemu_runtime.bus.server import find_server
from wotemu_runtime.calibration import seven_zip, store
from wotemu_runtime.doctor import local_engine, surroundings
from wotemu_runtime.doctor.check import Check
from wotemu_runtime.engines.local.cgroups.trial import usable
from wotemu_runtime.engines.local.host_check import check_host
from wotemu_runtime.engines.local.machine_limits import read_limits
from wotemu_runtime.engines.local.nproc_limit import nproc_limit_holds
from wotemu_runtime.engines.local.sandbox_process import SandboxProcess
from wotemu_runtime.engines.swarm.services import bus_port
from wotemu_runtime.planning.clock_skew import find_library
from wotemu_runtime.planning.mosquitto import find_mosquitto
from wotemu_runtime.planning.uplink_programs import find_program
from wotemu_runtime.runs.run import RUNS
from wotemu_runtime.runs.swarm_access import docker_client

_DOCKER_DEADLINE_S = 5.0
_TIMEX = struct.Struct("@Illlli")
"""The head of adjtimex(2)'s struct timex: modes, offset, freq, maxerror, esterror (microseconds), status."""
_TIMEX_BYTES = 256
"""More than the whole struct, which the kernel fills."""
_STA_UNSYNC = 0x40


async def examine() -> list[Check]:
    """Look at everything. What is tried on the machine is removed again."""
    system, release = platform.system(), platform.release()
    kernel = local_engine.kernel(system, release)
    if system != "Linux":
        return [kernel]
    limits = read_limits()
    info, sandbox, lacking, groups = await asyncio.gather(
        _docker_info(),
        _sandbox_error(),
        asyncio.to_thread(missing_in_new_namespace),
        asyncio.to_thread(usable),
    )
    return [
        kernel,
        local_engine.tun_device(_host_error()),
        local_engine.sandbox(sandbox, is_root=os.geteuid() == 0),
        local_engine.event_bus(_server()),
        local_engine.netem(lacking),
        local_engine.control_groups(groups.version, groups.controllers, groups.refused),
        local_engine.process_limit(groups.controllers, by_rlimit=nproc_limit_holds()),
        _rating(),
        local_engine.real_time_class(await asyncio.to_thread(obtainable)),
        *local_engine.room(limits),
        local_engine.mosquitto(find_mosquitto()),
        local_engine.uplinks(find_program()),
        local_engine.wall_clocks(find_library()),
        _disk(RUNS),
        surroundings.clock(_clock_error_s()),
        _ports(),
        surroundings.docker(info),
        surroundings.swarm(info, None if isinstance(info, WotemuError) else _swarm_error(info)),
    ]


def _host_error() -> HostError | None:
    try:
        check_host()
    except HostError as error:
        return error
    return None


def _server() -> str | HostError:
    try:
        return find_server()
    except HostError as error:
        return error


async def _sandbox_error() -> WotemuError | None:
    """Why no sandbox can be made here, from a try."""
    with tempfile.TemporaryDirectory(prefix="wotemu-doctor-") as directory:
        sandbox = SandboxProcess(Path(directory, "log"))
        try:
            await sandbox.start()
            await sandbox.ready()
        except WotemuError as error:
            return error
        finally:
            await sandbox.remove()
    return None


def _rating() -> Check:
    model = store.cpu_model()
    return local_engine.calibration(model, store.load(model), has_seven_zip=seven_zip.find() is not None)


def _disk(runs: Path) -> Check:
    directory = runs if runs.is_dir() else Path()
    is_writable = os.access(directory, os.W_OK | os.X_OK)
    return surroundings.disk(directory.resolve(), shutil.disk_usage(directory).free, is_writable=is_writable)


def _clock_error_s() -> float | None:
    """The kernel's bound of the wall clock's error; None where no time service disciplines the clock."""
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    if ctypes.CDLL(None).adjtimex(timex) < 0:
        return None
    _, _, _, max_error_us, _, status = _TIMEX.unpack_from(timex.raw)
    return None if status & _STA_UNSYNC else max_error_us / 1e6


def _ports() -> Check:
    try:
        port = bus_port()
        if port is not None:
            with socket.create_server(("", port)):
                pass
    except InputError as error:
        return surroundings.ports(None, error.message)
    except OSError as error:
        return surroundings.ports(port, error.strerror or str(error))
    return surroundings.ports(port)


async def _docker_info() -> Mapping[str, Any] | WotemuError:
    """The answer of Docker's daemon, or why there is none."""
    try:
        async with asyncio.timeout(_DOCKER_DEADLINE_S), docker_client() as client:
            from wotemu_runtime.engines.swarm.docker_client import asking_docker

            with asking_docker():
                info: Mapping[str, Any] = await client.system.info()
                return info
    except TimeoutError:
        return HostError(
            f"no answer within {_DOCKER_DEADLINE_S:g} s", where="Docker", hint="look at its daemon's log"
        )
    except HostError as error:
        return error


def _swarm_error(info: Mapping[str, Any]) -> HostError | None:
    from wotemu_runtime.engines.swarm.docker_client import check_daemon

    try:
        check_daemon(info)
    except HostError as error:
        return error
    return None
