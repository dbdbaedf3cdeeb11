"""From a hop's conditions to the options of its qdiscs, and those as the kernel takes them. Pure.

A hop is two NetEm qdiscs in a row. The first, `serialising`, sends one packet after another at the rate; the
second, `propagating`, delays, loses, duplicates, corrupts and reorders. One NetEm can't do both as the `tun`
shaper and a link do: it measures a packet's delay from when the one before it leaves, and so flattens jitter
wherever packets follow each other faster than the jitter is wide.

Every option is given in every request: what a request doesn't mention, NetEm keeps from before.
"""

from __future__ import annotations

import struct
from functools import cache

import attrs

from wotemu.topology.conditions import FULL_PACKET_BYTES, NetworkConditions
from wotemu.topology.distributions import Distribution, DistributionTable
from wotemu.topology.loss_models import GilbertElliott, LossModel, MarkovLoss
from wotemu.units import Fraction, Packets
from wotemu_gateways import quantiles
from wotemu_gateways.mixing import mixed_share
from wotemu_gateways.netlink import encode, s64, u32, u64
from wotemu_gateways.traffic_control import TICK_NS, Action, htb_rate, police

NO_LIMIT = 0x7FFFFFFF
"""Packets: more than fit into memory. NetEm's own default of 1000 would drop a fast sender's packets."""

IN_ORDER = 1 << 40
"""Bytes a second: as good as no rate, but NetEm then lets no packet overtake those before it, whatever their
delays, also when a change shortens the delay or takes a rate away."""

_U32 = 0xFFFFFFFF
_QOPT = struct.Struct("=IIIIII")
_GIVEN_BURST_BYTES = FULL_PACKET_BYTES
_SLACK_S = 1e-6
_LONG_S = 1000.0


@attrs.frozen(kw_only=True)
class NetemOptions:
    """What a NetEm qdisc does: times in nanoseconds, shares from 0 to 1, sizes in bytes."""

    latency_ns: int = 0
    jitter_ns: int = 0
    jitter_correlation: float = 0.0
    table: tuple[int, ...] = (0,)
    limit: int = NO_LIMIT
    loss: float = 0.0
    loss_model: LossModel | None = None
    ecn: bool = False
    duplicate: float = 0.0
    duplicate_correlation: float = 0.0
    corrupt: float = 0.0
    corrupt_correlation: float = 0.0
    reorder: float = 0.0
    reorder_correlation: float = 0.0
    gap: int = 0
    rate_bytes: int = 0
    overhead: int = 0
    cell_size: int = 0
    cell_overhead: int = 0
    seed: int = 0

    def encode(self) -> bytes:
        """TCA_OPTIONS: struct tc_netem_qopt and the attributes behind it."""
        ticks = [min(value // TICK_NS, _U32) for value in (self.latency_ns, self.jitter_ns)]
        qopt = _QOPT.pack(ticks[0], self.limit, _share(self.loss), self.gap, _share(self.duplicate), ticks[1])
        correlations = (self.jitter_correlation, 0.0, self.duplicate_correlation)
        rate = struct.pack(
            "=IiIi", min(self.rate_bytes, _U32), self.overhead, self.cell_size, self.cell_overhead
        )
        attributes = [
            (_CORR, _shares(*correlations)),
            (_DELAY_DIST, struct.pack(f"={len(self.table)}h", *self.table)),
            (_REORDER, _shares(self.reorder, self.reorder_correlation)),
            (_CORRUPT, _shares(self.corrupt, self.corrupt_correlation)),
            (_RATE, rate),
            (_ECN, u32(self.ecn)),
            (_RATE64, u64(self.rate_bytes)),
            (_LATENCY64, s64(self.latency_ns)),
            (_JITTER64, s64(self.jitter_ns)),
            (_PRNG_SEED, u64(self.seed)),
        ]
        if self.loss_model is not None:
            attributes.append((_LOSS, encode((_model(self.loss_model),))))
        return qopt + encode(attributes)


(_CORR, _DELAY_DIST, _REORDER, _CORRUPT, _LOSS, _RATE, _ECN, _RATE64) = range(1, 9)
(_LATENCY64, _JITTER64, _PRNG_SEED) = (10, 11, 14)
_MARKOV, _GILBERT_ELLIOTT = 1, 2


def _share(value: float) -> int:
    return int(value * _U32)


def _shares(*values: float) -> bytes:
    return struct.pack(f"={len(values)}I", *map(_share, values))


def _model(model: LossModel) -> tuple[int, bytes]:
    """struct tc_netem_gimodel or tc_netem_gemodel; the latter has h, not 1-h."""
    if isinstance(model, MarkovLoss):
        return _MARKOV, _shares(model.p13, model.p31, model.p32, model.p14, model.p23)
    return _GILBERT_ELLIOTT, _shares(model.p, model.r, 1 - model.bad_loss, model.good_loss)


# What a hop's two qdiscs do


def serialising(conditions: NetworkConditions, seed: int = 0) -> NetemOptions:
    """The first qdisc: the rate, unless a class has it (see `class_rate`), and a queue counted in packets."""
    rate = None if is_bursty(conditions) else conditions.rate
    counted = conditions.rate is not None and isinstance(conditions.queue, Packets)
    loss, model = _losses(conditions)[0]
    return NetemOptions(
        rate_bytes=IN_ORDER if rate is None else max(round(rate / 8), 1),
        overhead=conditions.overhead if rate is not None else 0,
        cell_size=conditions.cell_size if rate is not None else 0,
        cell_overhead=conditions.cell_overhead if rate is not None else 0,
        limit=int(conditions.queue or 0) if counted else NO_LIMIT,
        loss=loss,
        loss_model=model,
        ecn=conditions.ecn,
        seed=seed,
    )


def propagating(conditions: NetworkConditions, seed: int = 0) -> NetemOptions:
    """The second qdisc: everything but the rate. Without jitter it keeps packets in their order."""
    loss, model = _losses(conditions)[1]
    return NetemOptions(
        latency_ns=round(conditions.latency * 1e9),
        jitter_ns=round(conditions.jitter * 1e9),
        jitter_correlation=conditions.jitter_correlation,
        table=delay_table(conditions.distribution) if conditions.jitter else (0,),
        loss=loss,
        loss_model=model,
        ecn=conditions.ecn,
        duplicate=mixed_share(conditions.duplicate, conditions.duplicate_correlation),
        duplicate_correlation=conditions.duplicate_correlation,
        corrupt=mixed_share(conditions.corrupt, conditions.corrupt_correlation),
        corrupt_correlation=conditions.corrupt_correlation,
        reorder=mixed_share(conditions.reorder, conditions.reorder_correlation),
        reorder_correlation=conditions.reorder_correlation,
        gap=conditions.reorder_gap if conditions.reorder else 0,
        rate_bytes=0 if conditions.jitter else IN_ORDER,
        seed=seed,
    )


@cache
def delay_table(distribution: Distribution) -> tuple[int, ...]:
    """The table of a distribution as the kernel holds it, in 1/8192 of the jitter."""
    if isinstance(distribution, DistributionTable):
        return distribution.values
    scale = DistributionTable.SCALE
    return tuple(max(-32768, min(32767, round(each * scale))) for each in quantiles.table(distribution))


Losses = tuple[float, LossModel | None]
"""An independent share and a model, of which NetEm applies the model if there is one."""


def _losses(conditions: NetworkConditions) -> tuple[Losses, Losses]:
    """What each of the two qdiscs loses: usually the second all of it.

    NetEm ties losses by mixing random numbers, which makes them rarer. A loss that repeats the one before
    with a chance of c is a Gilbert model, which NetEm has: p = (1 - c) loss, r = (1 - c) (1 - loss).
    """
    share, correlation, model = (
        float(conditions.loss),
        float(conditions.loss_correlation),
        conditions.loss_model,
    )
    tied: LossModel | None = None
    if share and correlation:
        tied = GilbertElliott(Fraction((1 - correlation) * share), Fraction((1 - correlation) * (1 - share)))
        share = 0.0
    if isinstance(model, GilbertElliott) and share:
        model = attrs.evolve(
            model, bad_loss=_either(model.bad_loss, share), good_loss=_either(model.good_loss, share)
        )
        share = 0.0
    if tied is not None and model is not None:
        return (0.0, tied), (0.0, model)
    if model is not None and share:
        return (share, None), (0.0, model)
    return (0.0, None), (share, tied or model)


def _either(first: float, second: float) -> Fraction:
    return Fraction(1 - (1 - first) * (1 - second))


# What is around them


def is_bursty(conditions: NetworkConditions) -> bool:
    """Whether a token bucket has to hold the rate. A burst of less than a packet is none."""
    return conditions.rate is not None and (conditions.burst or 0) >= _GIVEN_BURST_BYTES


def class_rate(conditions: NetworkConditions) -> bytes:
    """Options of the class around the first qdisc: the rate if bursts may pass, else as good as none.

    Without one, the class saves up more than any burst, so that one may pass as soon as it is given. HTB
    sends as long as it owes nothing, one packet more than its burst, so that packet is taken off.
    """
    if conditions.rate is None or not is_bursty(conditions):
        return htb_rate(float(IN_ORDER), IN_ORDER * _LONG_S)
    rate = conditions.rate / 8 / _stretch(conditions)
    return htb_rate(rate, (conditions.burst or 0) / _stretch(conditions) - FULL_PACKET_BYTES)


def entrance(conditions: NetworkConditions, *, unseen_bytes: int = 0) -> Action:
    """What bounds the queue before the rate in time or bytes, which NetEm can't.

    Full packets are held to it exactly; with `overhead` and cells, small ones to within their own stretch.
    `unseen_bytes` are those of a packet that it does not see where it hangs.
    """
    if conditions.rate is None or isinstance(conditions.queue, Packets):
        return police()
    rate = conditions.rate / 8 / _stretch(conditions)
    full_s = FULL_PACKET_BYTES / rate
    burst_s = (conditions.burst or 0) * 8 / conditions.rate if is_bursty(conditions) else 0.0
    room_s = conditions.queue_bytes * 8 / conditions.rate
    return police(rate, max(room_s, full_s) + burst_s + _SLACK_S, overhead=unseen_bytes)


def _stretch(conditions: NetworkConditions) -> float:
    """How many bytes go over the wire for each of a full packet's."""
    size = FULL_PACKET_BYTES + conditions.overhead
    if conditions.cell_size:
        size = -(-size // conditions.cell_size) * (conditions.cell_size + conditions.cell_overhead)
    return max(size, 1) / FULL_PACKET_BYTES


def unsupported(conditions: NetworkConditions) -> list[str]:
    """What these conditions ask for that NetEm can't do, one phrase each."""
    return (
        ["jitter_correlation (NetEm draws delays by the low bits of its random numbers)"]
        if (conditions.jitter and conditions.jitter_correlation)
        else []
    )
