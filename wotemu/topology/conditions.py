"""What a network does to a packet: delay, jitter, loss, rate, as values, and the usual access networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import attrs

from wotemu.errors import TopologyError
from wotemu.topology import distributions
from wotemu.topology.checks import (
    Checked,
    flag,
    fraction,
    optional_bytes,
    optional_rate,
    seconds,
    whole,
    whole_bytes,
)
from wotemu.topology.distributions import DISTRIBUTIONS, Distribution, DistributionTable
from wotemu.topology.loss_models import GilbertElliott, LossModel, MarkovLoss, loss_model
from wotemu.units import Bytes, Fraction, Packets, Rate, Seconds, unit_of

Queue = Seconds | Bytes | Packets
"""What bounds a queue: how long a packet may wait, or how much may wait."""

FULL_PACKET_BYTES = 1514
"""An Ethernet frame with 1500 bytes in it."""

RATE_FIELDS = frozenset({"rate", "burst", "overhead", "cell_size", "cell_overhead", "queue"})
"""The conditions that limit each way of a network by itself; all others happen once per crossing."""


def _queue(value: str | Queue | None) -> Queue | None:
    queue = _parse_queue(value) if isinstance(value, str) else value
    if queue is None or (isinstance(queue, Seconds | Bytes | Packets) and queue > 0):
        return queue
    raise ValueError(f'{value!r} is no room to wait in: write "200ms", "64K" or "100p"')


def _parse_queue(text: str) -> Queue:
    unit = unit_of(text)
    for kind in (Seconds, Packets, Bytes):
        if unit and (unit in kind.UNITS or (kind is not Seconds and unit.lower() in kind.UNITS)):
            return kind.of(text)
    raise ValueError(f'{text!r} is no duration, size or number of packets: write "200ms", "64K" or "100p"')


def _exact(queue: Queue) -> str:
    """A queue's bound as a string that reads back as the same."""
    return f"{float(queue)!r}s" if isinstance(queue, Seconds) else f"{int(queue)}{_SUFFIX[type(queue)]}"


def _told(value: Any) -> str:
    return "none" if value is None else str(value)


_SUFFIX: dict[type, str] = {Bytes: "B", Packets: "p"}


@attrs.frozen(kw_only=True)
class NetworkConditions(Checked):
    """Conditions of one hop, as tc-netem(8) has them. Delays are one-way; what isn't given doesn't happen.

    - `latency`, and `jitter` around it: a standard deviation, or half the width of the ``uniform``
      `distribution`; the others are ``normal``, ``pareto``, ``paretonormal``, a `DistributionTable` or the
      path of a ``.dist`` file. `jitter_correlation` ties each packet's to the one before.
    - `loss` is a share of packets, `loss_correlation` ties each to the one before. `loss_model` loses in
      bursts (`GilbertElliott`, `MarkovLoss`), independently of `loss`. With `ecn`, packets that can be are
      marked instead.
    - `duplicate`, `corrupt` (one bit) and `reorder` are shares of packets, each with its correlation. A
      reordered packet overtakes the delay; `reorder_gap` lets only every n-th do so.
    - `rate` is bits a second or None for no limit. `burst` may pass at once after a pause. A packet counts
      `overhead` bytes more than it has, in whole cells of `cell_size` with `cell_overhead` each.
    - `queue` bounds what waits for the rate: a duration ("200ms"), a size ("64K") or packets ("100p");
      None takes a bound from the rate and the delay (see `queue_bytes`).
    """

    latency: Seconds = attrs.field(default=Seconds(0), converter=seconds)
    jitter: Seconds = attrs.field(default=Seconds(0), converter=seconds)
    jitter_correlation: Fraction = attrs.field(default=Fraction(0), converter=fraction)
    distribution: Distribution = attrs.field(default="normal", converter=distributions.distribution)
    loss: Fraction = attrs.field(default=Fraction(0), converter=fraction)
    loss_correlation: Fraction = attrs.field(default=Fraction(0), converter=fraction)
    loss_model: LossModel | None = attrs.field(default=None, converter=loss_model)
    ecn: bool = attrs.field(default=False, converter=flag)
    duplicate: Fraction = attrs.field(default=Fraction(0), converter=fraction)
    duplicate_correlation: Fraction = attrs.field(default=Fraction(0), converter=fraction)
    corrupt: Fraction = attrs.field(default=Fraction(0), converter=fraction)
    corrupt_correlation: Fraction = attrs.field(default=Fraction(0), converter=fraction)
    reorder: Fraction = attrs.field(default=Fraction(0), converter=fraction)
    reorder_correlation: Fraction = attrs.field(default=Fraction(0), converter=fraction)
    reorder_gap: int = attrs.field(default=1, validator=whole)
    rate: Rate | None = attrs.field(default=None, converter=optional_rate)
    burst: Bytes | None = attrs.field(default=None, converter=optional_bytes)
    overhead: int = attrs.field(default=0, converter=whole_bytes)
    cell_size: int = attrs.field(default=0, converter=whole_bytes)
    cell_overhead: int = attrs.field(default=0, converter=whole_bytes)
    queue: Queue | None = attrs.field(default=None, converter=_queue)

    MIN_QUEUE_S: ClassVar[float] = 0.1
    MIN_QUEUE_BYTES: ClassVar[int] = 16 * FULL_PACKET_BYTES

    GPRS: ClassVar[Self]
    EDGE: ClassVar[Self]
    REGULAR_3G: ClassVar[Self]
    FAST_3G: ClassVar[Self]
    LTE: ClassVar[Self]
    WIFI: ClassVar[Self]
    CABLE: ClassVar[Self]

    def __attrs_post_init__(self) -> None:
        if self.cell_size < 0:
            raise TopologyError(
                f"{self.cell_size} is less than none", where="NetworkConditions, field 'cell_size'"
            )

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Conditions by name from what people write; an unknown name is a `TopologyError`."""
        known = [field.name for field in attrs.fields(cls)]
        for name in values:
            if name not in known:
                raise TopologyError(
                    "there is no such condition",
                    where=f"NetworkConditions, field {name!r}",
                    hint=f"known are {', '.join(known)}",
                )
        return cls(**values)

    def replaced(self, values: Mapping[str, Any]) -> Self:
        """The same but for fields whose values come from other conditions.

        Unlike `attrs.evolve` it parses and checks nothing, which a ramp of thousands of steps would pay for.
        """
        made = object.__new__(type(self))
        for name in _NAMES:
            object.__setattr__(made, name, values[name] if name in values else getattr(self, name))
        return made

    def differences(self, other: NetworkConditions) -> list[tuple[str, str, str]]:
        """What `other` has otherwise, for people: each field's name, its value here and there."""
        return [
            (name, _told(getattr(self, name)), _told(getattr(other, name)))
            for name in _NAMES
            if getattr(self, name) != getattr(other, name)
        ]

    @property
    def queue_bytes(self) -> float:
        """Bytes that may wait for the rate; infinite without one. A packet counts as a full one.

        The default is twice the rate-delay product, which lets one TCP flow fill the link (RFC 3439 gives
        one product; the other covers the way back), and never below 100 ms or 16 full packets.
        """
        if self.rate is None:
            return float("inf")
        if isinstance(self.queue, Bytes):
            return float(self.queue)
        if isinstance(self.queue, Packets):
            return float(self.queue) * FULL_PACKET_BYTES
        if self.queue is not None:
            return self.rate / 8 * self.queue
        return max(self.rate / 8 * max(2 * self.latency, self.MIN_QUEUE_S), self.MIN_QUEUE_BYTES)

    @property
    def mean_loss(self) -> float:
        """The share of packets lost in the long run, by `loss` and `loss_model` together."""
        model = self.loss_model.mean_loss if self.loss_model is not None else 0.0
        return 1 - (1 - float(self.loss)) * (1 - model)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it: units in the names. What is rare is there only where it is in use."""
        data = {
            "latency_s": float(self.latency),
            "jitter_s": float(self.jitter),
            "distribution": distributions.to_json(self.distribution),
            "loss": float(self.loss),
            "rate_bps": None if self.rate is None else float(self.rate),
            "queue": None if self.queue is None else _exact(self.queue),
        }
        for name, default in _RARE.items():
            value = getattr(self, name)
            if value != default:
                data[name] = value.to_dict() if isinstance(value, GilbertElliott | MarkovLoss) else value
        if self.burst is not None:
            data["burst_bytes"] = int(self.burst)
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> NetworkConditions:
        """What `to_dict` gave."""
        values = {name: value for name, value in data.items() if name in _RARE}
        values |= {
            "latency": Seconds(data["latency_s"]),
            "jitter": Seconds(data["jitter_s"]),
            "distribution": data["distribution"],
            "loss": Fraction(data["loss"]),
            "rate": None if data["rate_bps"] is None else Rate(data["rate_bps"]),
            "queue": data["queue"],
            "burst": data.get("burst_bytes"),
        }
        return _NOTHING.replaced({name: _CONVERTERS[name](value) for name, value in values.items()})

    def __str__(self) -> str:
        parts = [f"latency {self.latency}"] if self.latency else []
        parts += [f"jitter {self.jitter}"] if self.jitter else []
        parts += [str(self.distribution)] if self.jitter and self.distribution != "normal" else []
        parts += [f"loss {self.loss}"] if self.loss else []
        parts += [str(self.loss_model)] if self.loss_model is not None else []
        for name in ("duplicate", "corrupt", "reorder"):
            parts += [f"{name} {getattr(self, name)}"] if getattr(self, name) else []
        parts += [f"rate {self.rate}"] if self.rate is not None else []
        parts += [f"queue {self.queue}"] if self.queue is not None else []
        return ", ".join(parts) or "none"


_NOTHING = NetworkConditions()
_NAMES = tuple(field.name for field in attrs.fields(NetworkConditions))
_CONVERTERS: dict[str, Any] = {
    field.name: field.converter or int for field in attrs.fields(NetworkConditions)
}
_USUAL = frozenset({"latency", "jitter", "distribution", "loss", "rate", "queue", "burst"})
_RARE: dict[str, Any] = {
    field.name: field.default for field in attrs.fields(NetworkConditions) if field.name not in _USUAL
}


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

__all__ = [
    "DISTRIBUTIONS",
    "FULL_PACKET_BYTES",
    "RATE_FIELDS",
    "Distribution",
    "DistributionTable",
    "GilbertElliott",
    "LossModel",
    "MarkovLoss",
    "NetworkConditions",
    "Queue",
]
