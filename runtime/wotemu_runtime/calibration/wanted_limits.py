"""The limits that resources ask for on one machine: cores from a device, a clock rate or a number."""

from __future__ import annotations

from typing import Self

import attrs
import psutil

from wotemu.topology.resources import NodeResources
from wotemu.units import Bytes
from wotemu_runtime.calibration.rating import Rating
from wotemu_runtime.calibration.shares import Share, share_of

LEAST_CORES = 0.001
"""A quota of 1 ms each second: the kernel has no smaller quota and no longer period."""


@attrs.frozen
class Machine:
    """What limits follow from; None is unknown, and `rating` that of a core."""

    cpu_speed_hz: float | None
    cores: int
    mem_bytes: int
    rating: Rating | None = None

    @classmethod
    def here(cls, rating: Rating | None = None) -> Self:
        """This machine."""
        return cls(machine_cpu_speed_hz(), psutil.cpu_count() or 1, psutil.virtual_memory().total, rating)


@attrs.frozen
class WantedLimits:
    """The limits of each replica of a node.

    Attributes:
        cpu: Cores; None is no limit.
        mem_bytes: Memory; None is no limit.
        missing: What the machine can't give, one phrase each.
        share: What makes it as fast as a device.
    """

    cpu: float | None = None
    mem_bytes: int | None = None
    missing: tuple[str, ...] = ()
    share: Share | None = None


def wanted_limits(resources: NodeResources, machine: Machine) -> WantedLimits:
    """What `resources` ask for on a machine."""
    share = device_share(resources, machine)
    cpu, missing = _wanted_cores(resources, share, machine)
    if cpu is not None and cpu < LEAST_CORES:
        missing.append(f"{cpu:.2g} cores: the kernel's least is {LEAST_CORES:g}")
        cpu = LEAST_CORES
    memory = resources.memory_limit
    if memory is not None and memory > machine.mem_bytes:
        missing.append(f"memory limit {memory}: this machine has {Bytes(machine.mem_bytes)}")
    return WantedLimits(cpu, None if memory is None else int(memory), tuple(missing), share)


def device_share(resources: NodeResources, machine: Machine) -> Share | None:
    """The share of a machine that is as fast as the device; None without a device or a rating."""
    if resources.device is None or machine.rating is None:
        return None
    return share_of(resources.device, resources.device_cores or 1, machine.rating, machine.cores)


def _wanted_cores(
    resources: NodeResources, share: Share | None, machine: Machine
) -> tuple[float | None, list[str]]:
    """The limit in cores, and what of it can't be enforced."""
    if resources.device is not None:
        if share is None:
            return None, [f"device {resources.device}: this machine is not measured: run wotemu calibrate"]
        return share.cores, list(share.missing)
    if resources.target_cpu_speed is None:
        return resources.cpu_limit, []
    if not machine.cpu_speed_hz:
        return None, [f"target_cpu_speed {resources.target_cpu_speed}: this machine does not report its own"]
    cores = float(resources.target_cpu_speed) / machine.cpu_speed_hz
    return cores, [
        f"target_cpu_speed {resources.target_cpu_speed}: {cores:.3f} of a core by clock rates, which may be"
        " wrong by half; a device is by measurement"
    ]


def machine_cpu_speed_hz() -> float | None:
    """This machine's nominal CPU clock as the kernel reports it; None where it does not."""
    frequency = psutil.cpu_freq()
    # Virtual machines often report a current frequency alone, and 0 as the maximum.
    if frequency is None or not (frequency.max or frequency.current):
        return None
    return float(frequency.max or frequency.current) * 1e6


def oversubscribed(of_devices: float, cores: int) -> str | None:
    """What is to be said of devices that have more cores together than their machine; None otherwise."""
    if of_devices <= cores:
        return None
    return (
        f"devices: together they have {of_devices:.1f} cores, and this machine has {cores}: while"
        " more of them compute than there is room for, they are slower than devices"
    )
