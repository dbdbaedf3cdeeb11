"""How much of a machine a node may use."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, Self

import attrs

from wotemu.topology._fields import (
    Checked,
    fail,
    kind_of,
    named_errors,
    optional_bytes,
    optional_cores,
)
from wotemu.topology.devices import DEVICES, Device, hint_for, to_device
from wotemu.units import Bytes, Hertz, QuantityLike

DEFAULT_PIDS = 1024
"""Processes and threads of a node where nothing else is said; a server on the JVM has a few hundred."""
LEAST_PIDS = 8


def _clock_rate(value: QuantityLike | None) -> Hertz | None:
    """The converter of a clock rate. A number without unit is not one: other versions had another scale."""
    if value is None or isinstance(value, Hertz):
        return value
    try:
        float(value)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return Hertz.of(value)
    raise ValueError(
        f"{value!r} has no unit. In WoTemu 0.6 it was events a second of sysbench, which are not measured"
        ' here: write device="RASPBERRY_PI_3B", cpu_limit=0.25 (of a core), or a clock rate ("1.2GHz")'
    )


def _is_device(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """A validator: a device, or None."""
    if value is not None and not isinstance(value, Device):
        raise fail(instance, attribute.name, f"{value!r} is no device", hint=hint_for(value))


class _Presets(type):
    """Has a hint for devices that there are not."""

    def __getattr__(cls, name: str) -> NoReturn:
        """Raise AttributeError, which says what may be meant."""
        hint = f": {hint_for(name)}" if name.isupper() else ""
        raise AttributeError(f"{cls.__name__} has no {name}{hint}", name=name, obj=cls)


@attrs.frozen(kw_only=True, field_transformer=named_errors)
class NodeResources(Checked, metaclass=_Presets):
    """How much of a machine each replica of a node may use.

    ``NodeResources.RASPBERRY_PI_4B`` makes a node as fast as that device, with as much memory at most;
    ``NodeResources(device="RASPBERRY_PI_4B", mem_limit="2G")`` is one with less.

    Attributes:
        device: A device, by its name, such as ``"RASPBERRY_PI_4B"``. One thread of the node is as fast as one
            of the device's, by 7-zip's benchmark on both; the machine is measured with ``wotemu calibrate``.
            It excludes `cpu_limit` and `target_cpu_speed`.
        device_cores: For how many busy threads the node has the device's speed, 1 by default. The limit is of
            all threads of a node together, so with more than 1 a single busy thread is too fast.
        cpu_limit: Cores, such as 0.5.
        mem_limit: Bytes, such as ``"150M"``; 4 MiB at least.
        pids_limit: Processes and threads together; 1024 where it is not given, so that an app that forks
            without end harms its own node alone.
        cpu_reservation: Cores that the swarm engine reserves.
        mem_reservation: Bytes that the swarm engine reserves.
        target_cpu_speed: A clock rate, such as ``"1.2GHz"``. It becomes a CPU limit by the clock rate of the
            machine that the node runs on, which may be wrong by half; `device` is by measurement. It and
            `cpu_limit` exclude each other.

    Raises:
        TopologyError: A value can't be read, or contradicts another one.
    """

    device: Device | None = attrs.field(default=None, converter=to_device, validator=_is_device)
    device_cores: int | None = None
    cpu_limit: float | None = attrs.field(default=None, converter=optional_cores)
    mem_limit: Bytes | None = attrs.field(default=None, converter=optional_bytes)
    pids_limit: int | None = None
    cpu_reservation: float | None = attrs.field(default=None, converter=optional_cores)
    mem_reservation: Bytes | None = attrs.field(default=None, converter=optional_bytes)
    target_cpu_speed: Hertz | None = attrs.field(default=None, converter=_clock_rate)

    RASPBERRY_PI_ZERO: ClassVar[Self]
    """Raspberry Pi Zero, 1.0 GHz.

    1 core; one thread 450 to 460 MIPS, all 450 to 460; 512 MB.
    Measured by sbc-bench (1niO, 3Njz).
    """
    RASPBERRY_PI_ZERO_2_W: ClassVar[Self]
    """Raspberry Pi Zero 2 W, 1.0 GHz.

    4 cores; one thread 838 MIPS, all 3030; 512 MB.
    Measured by sbc-bench (3E85).
    """
    RASPBERRY_PI_2B: ClassVar[Self]
    """Raspberry Pi 2B, 0.9 GHz.

    4 cores; one thread 592 to 620 MIPS, all 2070 to 2150; 1 GB.
    Measured by sbc-bench (1iFf, 3MGs).
    """
    RASPBERRY_PI_3B: ClassVar[Self]
    """Raspberry Pi 3B, 1.2 GHz.

    4 cores; one thread 977 MIPS, all 2970; 1 GB.
    Measured by sbc-bench (4hOP).
    """
    RASPBERRY_PI_3B_PLUS: ClassVar[Self]
    """Raspberry Pi 3B+, 1.4 GHz (with a fan).

    4 cores; one thread 1046 MIPS, all 3670; 1 GB.
    Measured by sbc-bench (1isD).
    """
    RASPBERRY_PI_3B_PLUS_HOT: ClassVar[Self]
    """Raspberry Pi 3B+, throttling (without a fan, slowed down by its heat).

    4 cores; one thread 856 to 914 MIPS, all 3040 to 3240; 1 GB.
    Measured by sbc-bench (1iGM, 1ism).
    """
    RASPBERRY_PI_4B: ClassVar[Self]
    """Raspberry Pi 4B, 1.8 GHz.

    4 cores; one thread 1738 to 1897 MIPS, all 5640 to 6550; 1 GB to 8 GB.
    Measured by sbc-bench (3Gia, 3N94, 3F9C, 3OBF, 3InF, 3VME).
    """
    RASPBERRY_PI_4B_1500MHZ: ClassVar[Self]
    """Raspberry Pi 4B, 1.5 GHz (as first sold).

    4 cores; one thread 1606 to 1661 MIPS, all 5500 to 5750; 1 GB to 8 GB.
    Measured by sbc-bench (1MFf, 3EgS).
    """
    RASPBERRY_PI_5: ClassVar[Self]
    """Raspberry Pi 5, 2.4 GHz.

    4 cores; one thread 3196 to 3305 MIPS, all 11010 to 11830; 2 GB to 16 GB.
    Measured by sbc-bench (Au3jaA, 8-NK).
    """
    JETSON_NANO: ClassVar[Self]
    """Jetson Nano, 1.48 GHz.

    4 cores; one thread 1578 MIPS, all 5260; 4 GB.
    Measured by sbc-bench (4rLX).
    """
    JETSON_ORIN_NANO: ClassVar[Self]
    """Jetson Orin Nano, 1.5 GHz.

    6 cores; one thread 2153 MIPS, all 13650; 8 GB.
    Measured by sbc-bench (4vy7).
    """
    BEAGLEBONE_AI_64: ClassVar[Self]
    """BeagleBone AI-64, 2.0 GHz.

    2 cores; one thread 1872 MIPS, all 3470; 4 GB.
    Measured by sbc-bench (4DLw).
    """
    HETZNER_CAX11: ClassVar[Self]
    """Hetzner CAX11, 2 cores of an Ampere Altra, 3.0 GHz (a virtual machine).

    2 cores; one thread 3842 MIPS, all 8060; 4 GB.
    Measured by sbc-bench (4HdL).
    """
    INTEL_N100: ClassVar[Self]
    """Intel N100, 3.4 GHz.

    4 cores; one thread 3910 MIPS, all 14090.
    Measured by sbc-bench (uHzXI7).
    """
    INTEL_I3_N305: ClassVar[Self]
    """Intel i3-N305, 3.8 GHz.

    8 cores; one thread 4398 MIPS, all 20000.
    Measured by sbc-bench (4qpr).
    """

    def __attrs_post_init__(self) -> None:
        self._check_device()
        if self.cpu_limit is not None and self.target_cpu_speed is not None:
            raise fail(
                self, "target_cpu_speed", "it and cpu_limit exclude each other", hint="keep one of the two"
            )
        if self.mem_limit is not None and self.mem_limit < 4 * 1024**2:
            raise fail(
                self,
                "mem_limit",
                f"{self.mem_limit} is too little for any process",
                hint='write "64M" or more',
            )
        if self.pids_limit is not None and (type(self.pids_limit) is not int or self.pids_limit < LEAST_PIDS):
            message = f"{self.pids_limit!r} is no number of processes and threads that an app can do with"
            raise fail(self, "pids_limit", message, hint=f"write a whole number, {LEAST_PIDS} or more")
        for what in ("cpu", "mem"):
            limit, reservation = getattr(self, f"{what}_limit"), getattr(self, f"{what}_reservation")
            if limit is not None and reservation is not None and reservation > limit:
                raise fail(self, f"{what}_reservation", f"{reservation} is more than {what}_limit {limit}")

    @property
    def most_pids(self) -> int:
        """How many processes and threads it may have."""
        return DEFAULT_PIDS if self.pids_limit is None else self.pids_limit

    def _check_device(self) -> None:
        for what in ("cpu_limit", "target_cpu_speed"):
            if self.device is not None and getattr(self, what) is not None:
                raise fail(self, "device", f"it and {what} exclude each other", hint="keep one of the two")
        if self.device_cores is None:
            return
        if self.device is None:
            raise fail(self, "device_cores", "it says nothing without a device", hint="give device, too")
        cores = self.device.cores
        if type(self.device_cores) is not int or not 1 <= self.device_cores <= cores:
            message = f"{self.device_cores!r} is not a number of cores of {self.device.title}"
            raise fail(self, "device_cores", message, hint=f"write a number from 1 to {cores}")

    @property
    def memory_limit(self) -> Bytes | None:
        """`mem_limit`, or else what the device has at most."""
        if self.mem_limit is not None or self.device is None or self.device.most_memory is None:
            return self.mem_limit
        return Bytes(self.device.most_memory)

    @classmethod
    def presets(cls) -> dict[str, Self]:
        """The devices, by name."""
        return {name: getattr(cls, name) for name in DEVICES}


for _name, _found in DEVICES.items():
    setattr(NodeResources, _name, NodeResources(device=_found))

is_resources_or_none = kind_of(NodeResources, "NodeResources", optional=True)
"""A validator."""
