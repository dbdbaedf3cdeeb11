"""The share of a machine that is as fast as a device. Pure."""

from __future__ import annotations

import attrs

from wotemu.topology.devices import Device
from wotemu_runtime.calibration.rating import Rating


@attrs.frozen
class Share:
    """A limit of cores that stands for a device.

    Attributes:
        cores: The limit of CPU.
        says: The share and how it came about, in one sentence.
        missing: What it can't give, one phrase each.
    """

    cores: float
    says: str
    missing: tuple[str, ...] = ()


def share_of(device: Device, threads: int, rating: Rating, cores: int) -> Share:
    """The share with which a node has a device's speed.

    A quota is of all threads of a node together, so it is exact for as many busy threads as are asked for.
    With one it never exceeds a core, and no thread is faster than the device's.

    Args:
        device: The device.
        threads: For how many busy threads.
        rating: One core of the machine.
        cores: How many cores the machine has.
    """
    wanted = device.mips_of(threads) / rating.mips
    most = min(threads, cores)
    given = min(wanted, float(most))
    missing = []
    if device.single_mips > rating.mips:
        missing.append(
            f"device {device}: a core of this machine has {rating.mips / device.single_mips:.0%} of its speed"
        )
    elif wanted > most:
        missing.append(
            f"device {device}: {threads} threads have {given / wanted:.0%} of its speed on {most} cores here"
        )
    if threads > 1 and (alone := min(1.0, given) * rating.mips / device.single_mips) > 1.01:
        missing.append(f"device {device}: one busy thread alone is {alone:.1f} times as fast as the device's")
    of_threads = "one thread" if threads == 1 else f"{threads} threads"
    says = (
        f"{of_threads} as fast as of {device.title} ({device.mips_of(threads):,.0f} MIPS): {given:.3f} of"
        f" a core of this machine ({rating})"
    )
    return Share(given, says, tuple(missing))
