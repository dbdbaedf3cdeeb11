"""What a network does to a packet: delay, jitter, loss, rate, as values, and the usual access networks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, Unpack

import attrs

from wotemu.topology import distributions
from wotemu.topology._fields import (
    Checked,
    fail,
    flag,
    fraction,
    named_errors,
    optional_bytes,
    optional_rate,
    seconds,
    share,
    whole,
    whole_bytes,
)
from wotemu.topology.condition_types import ConditionValues
from wotemu.topology.distributions import DISTRIBUTIONS, Distribution, DistributionTable
from wotemu.topology.loss_models import GilbertElliott, LossModel, MarkovLoss, loss_model
from wotemu.units import Bytes, Fraction, Packets, Quantity, QuantityLike, Rate, Seconds

Queue = Seconds | Bytes | Packets
"""The bound of a queue: how long a packet may wait, or how much may wait."""

FULL_PACKET_BYTES = 1514
"""An Ethernet frame with 1500 bytes in it."""

RATE_FIELDS = frozenset({"rate", "burst", "overhead", "cell_size", "cell_overhead", "queue", "duty_cycle"})
"""The conditions that limit each way of a network by itself; all others happen once per crossing."""


def _queue(value: str | Queue | None) -> Queue | None:
    queue = _parse_queue(value) if isinstance(value, str) else value
    if queue is None or (isinstance(queue, Seconds | Bytes | Packets) and queue > 0):
        return queue
    raise ValueError(f'{value!r} is no room to wait in: write "200ms", "64K" or "100p"')


def _parse_queue(text: str) -> Queue:
    if not text.strip().replace(".", "").isdigit():  # 100 may be of each kind
        for kind in (Seconds, Packets, Bytes):
            with contextlib.suppress(ValueError):
                return kind.of(text)
    raise ValueError(f'{text!r} is no duration, size or number of packets: write "200ms", "64K" or "100p"')


def _duty_cycle(value: QuantityLike) -> Fraction:
    found = share(value)
    if not found:
        raise ValueError(f'{value!r} lets nothing be sent: write "1%" or "100%", or rate=0 for an outage')
    return found


def _in_range(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    try:
        check_range(attribute.name, value)
    except ValueError as error:
        raise fail(instance, attribute.name, str(error)) from None


def check_range(name: str, value: Any) -> None:
    """`ValueError` where a value of a condition, of its own type, is more or less than can be imposed."""
    if value is None:
        return
    for kind, least, most in _RANGES.get(name, ()):
        if isinstance(value, kind) and not (least <= value <= most or (name == "rate" and not value)):
            less = value < least
            raise ValueError(f"{value} is {'less' if less else 'more'} than {least if less else most}")


def _kind_and_value(queue: Any) -> tuple[type, Any]:
    """What two queues are compared by: 100 packets are not 100 bytes, though both are the number 100."""
    return type(queue), queue


def _exact(queue: Queue) -> str:
    """A queue's bound as a string that reads back as the same."""
    return f"{float(queue)!r}s" if isinstance(queue, Seconds) else f"{int(queue)}{_SUFFIX[type(queue)]}"


def _told(value: Any) -> str:
    return "none" if value is None else str(value)


_SUFFIX: dict[type, str] = {Bytes: "B", Packets: "p"}

MIN_RATE, MAX_RATE = Rate(8), Rate(1e12)
"""One byte a second is the lowest rate that the kernel's NetEm can hold."""

_RANGES: Mapping[str, tuple[tuple[type[float], float, float], ...]] = {
    "latency": ((Seconds, Seconds(0), Seconds(86_400)),),
    "jitter": ((Seconds, Seconds(0), Seconds(86_400)),),
    "rate": ((Rate, MIN_RATE, MAX_RATE),),
    "burst": ((Bytes, Bytes(0), Bytes(2**40)),),
    "queue": (
        (Seconds, Seconds(1e-6), Seconds(86_400)),
        (Bytes, Bytes(1), Bytes(2**40)),
        (Packets, Packets(1), Packets(2**31 - 1)),  # NetEm's u32, less the bit that marks no limit
    ),
    # An ARP request, the smallest frame, has 42 bytes: less of it is no size, of which NetEm makes 2**64.
    "overhead": ((int, -42, 65_535),),
    "cell_size": ((int, 0, 65_535),),
    "cell_overhead": ((int, 0, 65_535),),
    "reorder_gap": ((int, 1, 2**31 - 1),),
    "duty_cycle": ((Fraction, Fraction(1e-6), Fraction(1)),),
}
"""The types that a condition may have, each with its least and most value."""


@attrs.frozen(kw_only=True, repr=False, field_transformer=named_errors)
class NetworkConditions(Checked):
    """Conditions of one hop, as tc-netem(8) has them. Delays are one-way; what isn't given doesn't happen.

    Attributes:
        latency: One-way delay, such as ``"20ms"``; seconds once parsed.
        jitter: Standard deviation of the delay, or half the width of the ``uniform`` `distribution`.
        jitter_correlation: Correlation of a packet's jitter with that of the packet before, a share.
        distribution: ``normal``, ``uniform``, ``pareto``, ``paretonormal``, a `DistributionTable` or the path
            of a ``.dist`` file.
        loss: Share of packets that are lost, such as ``"5%"`` or 0.05.
        loss_correlation: Correlation of a packet's loss with that of the packet before, a share.
        loss_model: Losses in bursts, independent of `loss`: `GilbertElliott` or `MarkovLoss`.
        ecn: Whether packets that can be marked are marked instead of lost.
        duplicate: Share of packets that are sent twice.
        duplicate_correlation: As `loss_correlation`.
        corrupt: Share of packets in which one bit is wrong.
        corrupt_correlation: As `loss_correlation`.
        reorder: Share of packets that overtake the delay.
        reorder_correlation: As `loss_correlation`.
        reorder_gap: Only every n-th packet may be reordered.
        rate: Bits a second, such as ``"1.5mbit"``; 0 is an outage, None no limit.
        burst: Bytes that may pass at once after a pause.
        overhead: Bytes that a packet counts more than it has; may be negative.
        cell_size: Bytes of a cell; packets count as whole cells. 0: no cells.
        cell_overhead: Bytes that each cell counts more than it has.
        queue: What may wait for the rate: a duration (``"200ms"``), a size (``"64K"``) or packets
            (``"100p"``); None takes a bound from the rate and the delay (see `queue_bytes`).
        duty_cycle: Share of the time in which may be sent, such as ``"1%"``: after a packet that took t
            seconds at the rate, nothing is sent for t * (1 / duty_cycle - 1). It needs a rate.

    Raises:
        TopologyError: A value can't be read, or can't be imposed; the error names the condition.
    """

    latency: Seconds = attrs.field(default=Seconds(0), converter=seconds, validator=_in_range)
    jitter: Seconds = attrs.field(default=Seconds(0), converter=seconds, validator=_in_range)
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
    reorder_gap: int = attrs.field(default=1, validator=[whole, _in_range])
    rate: Rate | None = attrs.field(default=None, converter=optional_rate, validator=_in_range)
    burst: Bytes | None = attrs.field(default=None, converter=optional_bytes, validator=_in_range)
    overhead: int = attrs.field(default=0, converter=whole_bytes, validator=_in_range)
    cell_size: int = attrs.field(default=0, converter=whole_bytes, validator=_in_range)
    cell_overhead: int = attrs.field(default=0, converter=whole_bytes, validator=_in_range)
    queue: Queue | None = attrs.field(default=None, converter=_queue, validator=_in_range, eq=_kind_and_value)
    duty_cycle: Fraction = attrs.field(default=Fraction(1), converter=_duty_cycle, validator=_in_range)

    FIELD: ClassVar[str] = "condition"
    ALIASES: ClassVar[Mapping[str, str]] = {
        "delay": "latency",
        "lag": "latency",
        "rtt": "latency",
        "bandwidth": "rate",
        "bw": "rate",
        "throughput": "rate",
        "speed": "rate",
        "packet_loss": "loss",
        "corruption": "corrupt",
        "duplication": "duplicate",
        "reordering": "reorder",
        "limit": "queue",
        "buffer": "queue",
        "airtime": "duty_cycle",
    }

    MIN_QUEUE_S: ClassVar[float] = 0.1
    MIN_QUEUE_BYTES: ClassVar[int] = 16 * FULL_PACKET_BYTES

    GPRS: ClassVar[Self]
    EDGE: ClassVar[Self]
    REGULAR_3G: ClassVar[Self]
    FAST_3G: ClassVar[Self]
    LTE: ClassVar[Self]
    WIFI: ClassVar[Self]
    CABLE: ClassVar[Self]

    @classmethod
    def presets(cls) -> dict[str, Self]:
        """The usual access networks, by name."""
        return {name: value for name, value in vars(cls).items() if isinstance(value, cls)}

    @classmethod
    def of(cls, **values: Unpack[ConditionValues]) -> Self:
        """Conditions by name. The same as the constructor, with the types of what may be given for each.

        Args:
            values: Conditions by name, as ``latency="20ms"``.

        Raises:
            TopologyError: A name or a value can't be.
        """
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
        """The conditions that differ: each one's name, and its value here and in `other`, as text."""
        return [
            (name, _told(getattr(self, name)), _told(getattr(other, name)))
            for name in _NAMES
            if _kind_and_value(getattr(self, name)) != _kind_and_value(getattr(other, name))
        ]

    @property
    def queue_bytes(self) -> float:
        """Bytes that may wait for the rate; infinite without one. A packet counts as a full one.

        The default is twice the rate-delay product, which lets one TCP flow fill the link (RFC 3439 gives
        one product; the other covers the way back), and never below 100 ms or 16 full packets. In an outage,
        a rate of 0, a bound in time is 16 full packets, too.
        """
        if self.rate is None:
            return float("inf")
        if isinstance(self.queue, Bytes):
            return float(self.queue)
        if isinstance(self.queue, Packets):
            return float(self.queue) * FULL_PACKET_BYTES
        if self.queue is not None:
            return self.rate / 8 * self.queue if self.rate else self.MIN_QUEUE_BYTES
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
        values = {}
        for key, value in data.items():
            name, read = _READ[key]
            values[name] = None if value is None else read(value)
        return _NOTHING.replaced(values)

    def __repr__(self) -> str:
        given = ((name, getattr(self, name)) for name in _NAMES if getattr(self, name) != _DEFAULTS[name])
        fields = ", ".join(
            f"{name}={(str(value) if isinstance(value, Quantity) else value)!r}" for name, value in given
        )
        return f"NetworkConditions({fields})"

    def __str__(self) -> str:
        given = {name: value for name in _SHOWN if (value := getattr(self, name)) != _DEFAULTS[name]}
        if not self.jitter:
            given.pop("distribution", None)
        return ", ".join(_shown(name, value) for name, value in given.items()) or "none"


def _shown(name: str, value: Any) -> str:
    if name in ("loss_model", "distribution"):
        return str(value)
    return name if value is True else f"{name.replace('_', ' ')} {value}"


_NOTHING = NetworkConditions()
_NAMES = tuple(field.name for field in attrs.fields(NetworkConditions))
_DEFAULTS: dict[str, Any] = {field.name: field.default for field in attrs.fields(NetworkConditions)}
_SHOWN = (
    *("latency", "jitter", "distribution", "jitter_correlation", "loss", "loss_correlation", "loss_model"),
    *(name for name in _NAMES if name not in RATE_FIELDS),
    *("rate", "queue", "burst", "overhead", "cell_size", "cell_overhead", "duty_cycle"),
)
"""The order in which conditions are shown."""
_USUAL = frozenset({"latency", "jitter", "distribution", "loss", "rate", "queue", "burst"})
_RARE = {name: default for name, default in _DEFAULTS.items() if name not in _USUAL}
_READ: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "latency_s": ("latency", Seconds),
    "jitter_s": ("jitter", Seconds),
    "distribution": ("distribution", distributions.distribution),
    "loss": ("loss", Fraction),
    "rate_bps": ("rate", Rate),
    "queue": ("queue", _queue),
    "burst_bytes": ("burst", Bytes),
    "loss_model": ("loss_model", loss_model),
    **{name: (name, type(default)) for name, default in _RARE.items() if name != "loss_model"},
}
"""The names that JSON has: each with the condition, and how it is read."""
_READ_IN_ORDER = sorted(_READ.items(), key=lambda item: _NAMES.index(item[1][0]))
_ABSENT = object()


def json_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """`NetworkConditions.differences` of two conditions as JSON has them.

    What is the same in both is not read, as gateways describe each change between two that are due.
    """
    return [
        (name, _told(was), _told(will))
        for key, (name, read) in _READ_IN_ORDER
        if (given := before.get(key, _ABSENT)) != (wanted := after.get(key, _ABSENT))
        and _kind_and_value(was := _read_value(name, read, given))
        != _kind_and_value(will := _read_value(name, read, wanted))
    ]


def _read_value(name: str, read: Callable[[Any], Any], given: Any) -> Any:
    if given is _ABSENT:
        return _DEFAULTS[name]
    return None if given is None else read(given)


def values_to_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Some conditions by name, with the names and values that `NetworkConditions.to_dict` has for them.

    Args:
        values: Conditions as the types that `NetworkConditions` has them in.
    """
    encoded = _NOTHING.replaced(values).to_dict()
    return {
        key: encoded.get(key) if key in encoded else _DEFAULTS[name]
        for key, (name, _) in _READ.items()
        if name in values
    }


def values_from_json(data: Mapping[str, Any]) -> dict[str, Any]:
    """What `values_to_json` gave.

    Raises:
        KeyError: A name is none of a condition.
    """
    conditions = NetworkConditions.from_dict(dict(data))
    return {name: getattr(conditions, name) for name, _ in (_READ[key] for key in data)}


def _preset(latency_ms: float, jitter_ms: float, rate: str) -> NetworkConditions:
    return NetworkConditions(
        latency=Seconds(latency_ms / 1e3), jitter=Seconds(jitter_ms / 1e3), rate=Rate.of(rate)
    )


# Latency, jitter and rate of WoTemu 0.6.0 (wotemu/enums.py, NETEM_CONDITIONS), which names no source.
# They are symmetrical there, too: for a link of one's own, use them for up and for down. Packets may overtake
# each other, as jitter is a packet's own (see wotemu.scenario.lint.conditions).
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
    "values_from_json",
    "values_to_json",
]
