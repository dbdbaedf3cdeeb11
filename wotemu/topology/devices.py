"""Devices by what 7-zip's benchmark measured on them, so that a node can be made as fast as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from wotemu.suggestions import did_you_mean

_RESULTS = "https://github.com/ThomasKaiser/sbc-bench/blob/master/results/"
_MIB, _GIB = 1 << 20, 1 << 30


@attrs.frozen(kw_only=True, repr=False)
class Device:
    """A computer that nodes can be as fast as.

    The ratings are of ``7z b`` (p7zip 16.02), in its MIPS, measured by sbc-bench on that device. Where there
    are several results, both ends of their range are given, and the middle counts.

    Attributes:
        name: Its name in a deployment.
        title: Its name for people, and its clock.
        cores: Number of cores.
        single: The least and the greatest rating of one thread.
        multi: The least and the greatest rating of all cores together.
        memory: The least and the greatest size of memory that it is sold with, in bytes; None where the
            device is a processor, whose memory may be any. Nominal, not measured.
        sources: Where the ratings are published.
        note: What else there is to say about the figures.
    """

    name: str
    title: str
    cores: int
    single: tuple[float, float]
    multi: tuple[float, float]
    memory: tuple[int, int] | None
    sources: tuple[str, ...]
    note: str = ""

    @property
    def single_mips(self) -> float:
        """The rating of one thread."""
        return sum(self.single) / 2

    @property
    def multi_mips(self) -> float:
        """The rating of all cores."""
        return sum(self.multi) / 2

    @property
    def most_memory(self) -> int | None:
        """The greatest size of its memory, in bytes."""
        return None if self.memory is None else self.memory[1]

    def mips_of(self, threads: int) -> float:
        """The rating of some busy threads together: as measured of one and of all, else between the two."""
        if self.cores == 1:
            return self.single_mips
        return self.single_mips + (self.multi_mips - self.single_mips) * (threads - 1) / (self.cores - 1)

    def __repr__(self) -> str:
        return f"Device({self.name!r})"

    def __str__(self) -> str:
        return self.name


def _device(
    name: str,
    title: str,
    cores: int,
    single: float | tuple[float, float],
    multi: float | tuple[float, float],
    memory: tuple[int, int] | None,
    results: str,
    note: str = "",
) -> Device:
    return Device(
        name=name,
        title=title,
        cores=cores,
        single=single if isinstance(single, tuple) else (single, single),
        multi=multi if isinstance(multi, tuple) else (multi, multi),
        memory=memory,
        sources=tuple(f"{_RESULTS}{each}.txt" for each in results.split()),
        note=note,
    )


# Ratings: the table of results of sbc-bench, June 2026.
_ALL = (
    _device(
        "RASPBERRY_PI_ZERO", "Raspberry Pi Zero, 1.0 GHz", 1, (450, 460), (450, 460),
        (512 * _MIB, 512 * _MIB), "1niO 3Njz",
    ),
    _device(
        "RASPBERRY_PI_ZERO_2_W", "Raspberry Pi Zero 2 W, 1.0 GHz", 4, 838, 3030,
        (512 * _MIB, 512 * _MIB), "3E85",
    ),
    _device(
        "RASPBERRY_PI_2B", "Raspberry Pi 2B, 0.9 GHz", 4, (592, 620), (2070, 2150), (_GIB, _GIB), "1iFf 3MGs"
    ),
    _device("RASPBERRY_PI_3B", "Raspberry Pi 3B, 1.2 GHz", 4, 977, 2970, (_GIB, _GIB), "4hOP"),
    _device(
        "RASPBERRY_PI_3B_PLUS", "Raspberry Pi 3B+, 1.4 GHz", 4, 1046, 3670, (_GIB, _GIB), "1isD", "with a fan"
    ),
    _device(
        "RASPBERRY_PI_3B_PLUS_HOT", "Raspberry Pi 3B+, throttling", 4, (856, 914), (3040, 3240), (_GIB, _GIB),
        "1iGM 1ism", "without a fan, slowed down by its heat",
    ),
    _device(
        "RASPBERRY_PI_4B", "Raspberry Pi 4B, 1.8 GHz", 4, (1738, 1897), (5640, 6550), (_GIB, 8 * _GIB),
        "3Gia 3N94 3F9C 3OBF 3InF 3VME",
    ),
    _device(
        "RASPBERRY_PI_4B_1500MHZ", "Raspberry Pi 4B, 1.5 GHz", 4, (1606, 1661), (5500, 5750),
        (_GIB, 8 * _GIB), "1MFf 3EgS", "as first sold",
    ),
    _device(
        "RASPBERRY_PI_5", "Raspberry Pi 5, 2.4 GHz", 4, (3196, 3305), (11_010, 11_830), (2 * _GIB, 16 * _GIB),
        "Au3jaA 8-NK",
    ),
    _device("JETSON_NANO", "Jetson Nano, 1.48 GHz", 4, 1578, 5260, (4 * _GIB, 4 * _GIB), "4rLX"),
    _device(
        "JETSON_ORIN_NANO", "Jetson Orin Nano, 1.5 GHz", 6, 2153, 13_650, (8 * _GIB, 8 * _GIB), "4vy7"
    ),
    _device(
        "BEAGLEBONE_AI_64", "BeagleBone AI-64, 2.0 GHz", 2, 1872, 3470, (4 * _GIB, 4 * _GIB), "4DLw"
    ),
    _device(
        "HETZNER_CAX11", "Hetzner CAX11, 2 cores of an Ampere Altra, 3.0 GHz", 2, 3842, 8060,
        (4 * _GIB, 4 * _GIB), "4HdL", "a virtual machine",
    ),
    _device("INTEL_N100", "Intel N100, 3.4 GHz", 4, 3910, 14_090, None, "uHzXI7"),
    _device("INTEL_I3_N305", "Intel i3-N305, 3.8 GHz", 8, 4398, 20_000, None, "4qpr"),
)  # fmt: skip

DEVICES: Mapping[str, Device] = {device.name: device for device in _ALL}
"""The devices, by name."""

_ALIASES = {
    "pi0": "RASPBERRY_PI_ZERO",
    "pi_zero": "RASPBERRY_PI_ZERO",
    "pi_zero_2": "RASPBERRY_PI_ZERO_2_W",
    "pi2": "RASPBERRY_PI_2B",
    "pi3": "RASPBERRY_PI_3B",
    "pi3b+": "RASPBERRY_PI_3B_PLUS",
    "raspberry_pi_3b+": "RASPBERRY_PI_3B_PLUS",
    "pi4": "RASPBERRY_PI_4B",
    "pi_4": "RASPBERRY_PI_4B",
    "pi5": "RASPBERRY_PI_5",
    "pi_5": "RASPBERRY_PI_5",
    "n100": "INTEL_N100",
    "n305": "INTEL_I3_N305",
    "cax11": "HETZNER_CAX11",
    "orin": "JETSON_ORIN_NANO",
}
_UNRATED = {
    "esp32": "an ESP32 runs no Linux, so 7-zip has no rating of it: write cpu_limit",
    "beaglebone_black": "no rating of the BeagleBone Black by 7-zip is published: write cpu_limit",
}


def hint_for(name: object) -> str | None:
    """What may be meant by a name that no device has."""
    key = str(name).lower().replace("-", "_").replace(" ", "_")
    return _UNRATED.get(key) or did_you_mean(
        key.upper() if isinstance(name, str) else name, DEVICES, _ALIASES
    )


def device_hints() -> dict[str, str]:
    """Hints for the usual other names of devices, by those in lower case."""
    return {**_UNRATED, **{word: f"did you mean {name!r}?" for word, name in _ALIASES.items()}}


def to_device(value: Device | str | None) -> Any:
    """The converter of a device or its name; what is neither stays as it is, for the validator."""
    return DEVICES.get(value, value) if isinstance(value, str) else value
