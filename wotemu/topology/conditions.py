"""What a network does to a packet: delay, jitter, loss, rate, as values, and the usual access networks."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import attrs

from wotemu.errors import TopologyError
from wotemu.topology.checks import Checked, fraction, optional_rate, seconds
from wotemu.units import Bytes, Fraction, Like, Rate, Seconds

DISTRIBUTIONS = ("normal",)
"""Shapes that jitter can have."""


def _distribution(value: str) -> str:
    if value not in DISTRIBUTIONS:
        raise ValueError(f"{value!r} is no known distribution: known are {', '.join(DISTRIBUTIONS)}")
    return value


def _queue(value: str | Seconds | Bytes | None) -> Seconds | Bytes | None:
    if value is None or isinstance(value, Seconds | Bytes):
        return value
    for kind in (Seconds, Bytes):
        try:
            parsed = kind.of(value) if isinstance(value, str) else None
        except ValueError:
            continue
        if parsed:
            return parsed
    raise ValueError(f'{value!r} is neither a duration nor a size: write "200ms" or "64K"')


@attrs.frozen(kw_only=True)
class NetworkConditions(Checked):
    """Conditions of one hop. Delays are one-way; what is not given does not happen.

    `latency` and `jitter` (its standard deviation) are durations, `loss` a share of packets, `rate` bits a
    second or None for no limit. `queue` bounds what waits for the rate: a duration ("200ms") or a size
    ("64K"); None takes a bound from the rate and the delay (see `queue_bytes`).
    """

    latency: Seconds = attrs.field(default=Seconds(0), converter=seconds)
    jitter: Seconds = attrs.field(default=Seconds(0), converter=seconds)
    distribution: str = attrs.field(default="normal", converter=_distribution)
    loss: Fraction = attrs.field(default=Fraction(0), converter=fraction)
    rate: Rate | None = attrs.field(default=None, converter=optional_rate)
    queue: Seconds | Bytes | None = attrs.field(default=None, converter=_queue)

    MIN_QUEUE_S: ClassVar[float] = 0.1
    MIN_QUEUE_BYTES: ClassVar[int] = 16 * 1514

    GPRS: ClassVar[Self]
    EDGE: ClassVar[Self]
    REGULAR_3G: ClassVar[Self]
    FAST_3G: ClassVar[Self]
    LTE: ClassVar[Self]
    WIFI: ClassVar[Self]
    CABLE: ClassVar[Self]

    @classmethod
    def of(cls, **values: Like | None) -> Self:
        """Conditions by name from what people write; an unknown name is a `TopologyError`."""
        known = [field.name for field in attrs.fields(cls)]
        for name in values:
            if name not in known:
                raise TopologyError(
                    "there is no such condition",
                    where=f"NetworkConditions, field {name!r}",
                    hint=f"known are {', '.join(known)}",
                )
        return cls(**values)  # type: ignore[arg-type]  # the fields parse themselves

    @property
    def queue_bytes(self) -> float:
        """Bytes that may wait for the rate; infinite without one.

        The default is twice the rate-delay product, which lets one TCP flow fill the link (RFC 3439 gives
        one product; the other covers the way back), and never below 100 ms or 16 full packets.
        """
        if self.rate is None:
            return float("inf")
        if isinstance(self.queue, Bytes):
            return float(self.queue)
        wait_s = self.queue if self.queue is not None else max(2 * self.latency, self.MIN_QUEUE_S)
        return max(float(self.rate) / 8 * wait_s, self.MIN_QUEUE_BYTES)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it: units in the names."""
        return {
            "latency_s": float(self.latency),
            "jitter_s": float(self.jitter),
            "distribution": self.distribution,
            "loss": float(self.loss),
            "rate_bps": None if self.rate is None else float(self.rate),
            "queue": None if self.queue is None else str(self.queue),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """What `to_dict` gave."""
        return cls(
            latency=Seconds(data["latency_s"]),
            jitter=Seconds(data["jitter_s"]),
            distribution=data["distribution"],
            loss=Fraction(data["loss"]),
            rate=None if data["rate_bps"] is None else Rate(data["rate_bps"]),
            queue=data["queue"],
        )

    def __str__(self) -> str:
        parts = [f"latency {self.latency}"] if self.latency else []
        parts += [f"jitter {self.jitter}"] if self.jitter else []
        parts += [f"loss {self.loss}"] if self.loss else []
        parts += [f"rate {self.rate}"] if self.rate is not None else []
        return ", ".join(parts) or "none"


def _preset(latency_ms: float, jitter_ms: float, rate: str) -> NetworkConditions:
    return NetworkConditions(
        latency=Seconds(latency_ms / 1e3), jitter=Seconds(jitter_ms / 1e3), rate=Rate.of(rate)
    )


# The values of the original WoTemu.
NetworkConditions.GPRS = _preset(700, 100, "50kbit")
NetworkConditions.EDGE = _preset(700, 100, "100kbit")
NetworkConditions.REGULAR_3G = _preset(300, 150, "1.5mbit")
NetworkConditions.FAST_3G = _preset(150, 50, "4mbit")
NetworkConditions.LTE = _preset(40, 10, "15mbit")
NetworkConditions.WIFI = _preset(25, 5, "50mbit")
NetworkConditions.CABLE = _preset(5, 5, "100mbit")
