"""Errors of machines that can't run the local engine, each with what their owner can do."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping

from wotemu.errors import HostError
from wotemu_gateways.userspace import tap_device
from wotemu_gateways.userspace.tap_device import TUN_DEVICE
from wotemu_runtime.engines.local import machine_limits
from wotemu_runtime.engines.local.plan_demand import FILES, MEMORY, NAMESPACES, TASKS, Resource

_LIMITED_BY: Mapping[int, tuple[Resource, ...]] = {
    errno.EAGAIN: (TASKS,),
    errno.ENOMEM: (MEMORY, TASKS),
    errno.EMFILE: (FILES,),
    errno.ENOSPC: tuple(NAMESPACES.values()),
}
"""The limits that the kernel's errors are about."""


def check_host() -> None:
    """Check what can be checked before anything starts: the system, and the device that makes TAPs.

    Raises:
        HostError: This machine can't run the local engine.
    """
    if not sys.platform.startswith("linux"):
        raise HostError("the local engine needs Linux", where=sys.platform, hint="run it in a Linux machine")
    try:
        is_tun = tap_device.is_tun(TUN_DEVICE)
    except FileNotFoundError:
        raise HostError(
            "it is not there", where=TUN_DEVICE, hint="load the module: sudo modprobe tun"
        ) from None
    except PermissionError:
        raise HostError(
            "this user may not open it", where=TUN_DEVICE, hint=f"allow it: sudo chmod 666 {TUN_DEVICE}"
        ) from None
    except OSError as error:
        raise HostError(f"it can't be opened: {error.strerror}", where=TUN_DEVICE) from None
    if not is_tun:
        raise HostError(
            "it is no TUN device",
            where=TUN_DEVICE,
            hint=f"make it one: sudo sh -c 'rm {TUN_DEVICE}; mknod -m 666 {TUN_DEVICE} c 10 200'",
        )


def refusal(step: str, number: int) -> HostError:
    """The error of a step that the kernel refused.

    Args:
        step: What was tried, in words.
        number: The errno, or 0 where there is none.
    """
    reason = os.strerror(number) if number else "refused"
    if step == "user namespace" and number == errno.ENOSPC:
        hint = "allow some: sudo sysctl -w user.max_user_namespaces=10000"
    elif step == "user namespace":
        hint = (
            "allow unprivileged user namespaces (sudo sysctl -w kernel.unprivileged_userns_clone=1, on Ubuntu"
            " kernel.apparmor_restrict_unprivileged_userns=0), or run as root"
        )
    # EAGAIN of fork(2): RLIMIT_NPROC, pids.max or pid_max. ENOMEM also where a PID namespace's init is gone.
    elif number in (errno.EAGAIN, errno.ENOMEM):
        hint = (
            "this machine has no room for so many processes: use fewer nodes, or allow more (ulimit -u, the"
            " pids.max of this control group, kernel.pid_max, or memory)"
        )
    elif number in (errno.EMFILE, errno.ENFILE):
        hint = "allow more open files: ulimit -n 20000, or sysctl -w fs.file-max=1000000"
    elif number == errno.ENOSPC:  # unshare(2): a limit of user.max_*_namespaces
        kinds = " ".join(f"user.max_{kind}_namespaces=10000" for kind in ("net", "mnt", "pid", "uts", "ipc"))
        hint = f"allow more: sudo sysctl -w {kinds}"
    # Docker masks parts of /proc, and the kernel forbids a new mount where the old one is masked.
    elif "/proc" in step:
        hint = "in a container, run it with --privileged, or use the host"
    else:
        hint = "run as root, or on a machine whose kernel allows network namespaces"
    now = machine_limits.in_use(_LIMITED_BY.get(number, ()), machine_limits.read_limits())
    hint = f"{hint}; now {now}" if now else hint
    return HostError(f"this kernel refuses: {step} ({reason})", where="local engine", hint=hint)
