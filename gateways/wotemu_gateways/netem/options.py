"""The options of a hop's qdiscs for its conditions, and their encoding for the kernel. Pure.

A hop is a queue and two NetEm qdiscs in a row:

1. A fifo (`fifo`) under an HTB class (`class_rate`) that has the rate: what waits is served at the rate
   that holds then. Between them is a gate, a TBF that is closed at rate 0. HTB lets a packet go when its time
   on the line begins, and the next one when that time is over.
2. `serialising`, a NetEm that adds the packet's own time on the line.
3. `propagating`, a NetEm that loses, duplicates, corrupts, delays and reorders. One NetEm can't do this and
   the step before as the `tun` shaper and a link do: it measures a packet's delay from when the one before
   it leaves, and so flattens jitter, and keeps a longer delay in force after a change.

Where this differs from the `tun` shaper:

- A packet whose time on the line has begun, and what the class lets go early (`LEAD_S`), leave at the rate
  that held then, even if it becomes 0. So a changed rate holds from the next packet on: at 8 kbit/s a full
  packet takes 1.5 s.
- A queue bounded in bytes or time has room for them besides the packet on the line.
- Where a queue that was bounded in packets gets a bound in bytes or time, or the other way round, what waits
  is dropped, and counted.

Every option is given in every request: what a request doesn't mention, NetEm keeps from before.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Literal

import attrs

from wotemu.topology.conditions import FULL_PACKET_BYTES, NetworkConditions
from wotemu.topology.distributions import Distribution, DistributionTable
from wotemu.topology.loss_models import GilbertElliott, LossModel, MarkovLoss
from wotemu.units import Fraction, Packets
from wotemu_gateways.conditions.compose import either
from wotemu_gateways.impairments import distributions
from wotemu_gateways.netem.correlation import threshold_for
from wotemu_gateways.netlink.request_socket import encode, s64, u32, u64
from wotemu_gateways.netlink.tc import TICK_NS, htb_rate

NO_RATE = 1 << 62
"""Bytes a second at which NetEm gives no packet any time, but lets none overtake those before it."""

MAX_HELD_BYTES = 512 << 20
"""Bytes of the kernel's memory that packets in the delays of one network may take, in each direction.

NetEm takes packets off their senders' accounts, so nothing else bounds them. It counts packets, and each
qdisc by itself, so every node has the same share of it.
"""

MIN_HELD_PACKETS = 1000
"""NetEm's own default, which each delay may hold however many nodes there are."""

_SKB_BYTES = 2304
"""The memory of a full packet: sk_buff.truesize with a buffer of 2 KB."""

_U32 = 0xFFFFFFFF
_QOPT = struct.Struct("=IIIIII")
"""struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter."""
_LONG_S = 1000.0

LEAD_S = 0.025
"""How early the class may let packets go, as its timers are late at times; `serialising` makes up for it, so
that the rate is exact. A change of the rate holds so much later."""

_SLOW_LEAD_S, _SLOW_BPS = 0.010, 2e6
"""The same at rates below that: there, what is ahead would take long at a rate that is lower still."""

_COUNTED_LEAD_S = 0.004
"""The same where the queue is bounded in packets: what is ahead can't be taken off a bound exactly there."""

_UNLIMITED = 1 << 40
"""Bytes a second: as good as no rate to HTB, which has no room for `NO_RATE`."""


def held_packets(members: int) -> int:
    """How many packets each delay of a network with so many nodes may hold."""
    return max(MAX_HELD_BYTES // _SKB_BYTES // max(members, 1), MIN_HELD_PACKETS)


@attrs.frozen(kw_only=True)
class NetemOptions:
    """The options of a NetEm qdisc: times in nanoseconds, probabilities from 0 to 1, sizes in bytes."""

    latency_ns: int = 0
    jitter_ns: int = 0
    jitter_correlation: float = 0.0
    table: tuple[int, ...] = (0,)
    limit: int = MIN_HELD_PACKETS
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
        """TCA_OPTIONS: struct tc_netem_qopt and the attributes behind it.

        Raises:
            ValueError: A value does not fit into its field.
        """
        try:
            return self._encode()
        except struct.error as error:
            raise ValueError(f"NetEm has no room for a value in {self}: {error}") from error

    def _encode(self) -> bytes:
        if self.jitter_ns > MAX_JITTER_NS:
            raise ValueError(f"NetEm can't have a jitter of more than {MAX_JITTER_NS / 1e9:.1f} s")
        ticks = [min(value // TICK_NS, _U32) for value in (self.latency_ns, self.jitter_ns)]
        qopt = _QOPT.pack(ticks[0], self.limit, _share(self.loss), self.gap, _share(self.duplicate), ticks[1])
        correlations = (self.jitter_correlation, 0.0, self.duplicate_correlation)
        rate = struct.pack(
            "=IiIi", min(self.rate_bytes, _U32), self.overhead, self.cell_size, self.cell_overhead
        )
        attributes = [
            (TCA_NETEM_CORR, _shares(*correlations)),
            (TCA_NETEM_DELAY_DIST, struct.pack(f"={len(self.table)}h", *self.table)),
            (TCA_NETEM_REORDER, _shares(self.reorder, self.reorder_correlation)),
            (TCA_NETEM_CORRUPT, _shares(self.corrupt, self.corrupt_correlation)),
            (TCA_NETEM_RATE, rate),
            (TCA_NETEM_ECN, u32(self.ecn)),
            (TCA_NETEM_RATE64, u64(self.rate_bytes)),
            (TCA_NETEM_LATENCY64, s64(self.latency_ns)),
            (TCA_NETEM_JITTER64, s64(self.jitter_ns)),
            (TCA_NETEM_PRNG_SEED, u64(self.seed)),
        ]
        if self.loss_model is not None:
            attributes.append((TCA_NETEM_LOSS, encode((_model(self.loss_model),))))
        return qopt + encode(attributes)


# linux/pkt_sched.h
TCA_NETEM_CORR, TCA_NETEM_DELAY_DIST, TCA_NETEM_REORDER, TCA_NETEM_CORRUPT = 1, 2, 3, 4
TCA_NETEM_LOSS, TCA_NETEM_RATE, TCA_NETEM_ECN, TCA_NETEM_RATE64 = 5, 6, 7, 8
TCA_NETEM_LATENCY64, TCA_NETEM_JITTER64, TCA_NETEM_PRNG_SEED = 10, 11, 14
NETEM_LOSS_GI, NETEM_LOSS_GE = 1, 2


def _share(value: float) -> int:
    return int(value * _U32)


def _shares(*values: float) -> bytes:
    return struct.pack(f"={len(values)}I", *map(_share, values))


def _model(model: LossModel) -> tuple[int, bytes]:
    """struct tc_netem_gimodel or tc_netem_gemodel; the latter has h, not 1-h."""
    if isinstance(model, MarkovLoss):
        return NETEM_LOSS_GI, _shares(model.p13, model.p31, model.p32, model.p14, model.p23)
    return NETEM_LOSS_GE, _shares(model.p, model.r, 1 - model.bad_loss, model.good_loss)


# The queue


@attrs.frozen
class Fifo:
    """The fifo in which packets wait, bounded in packets (``pfifo``) or in bytes (``bfifo``)."""

    kind: Literal["pfifo", "bfifo"]
    limit: int


def fifo(conditions: NetworkConditions) -> Fifo:
    """The queue before the rate. A bound of less than a packet leaves room for one.

    A bfifo counts packets without what the line adds: full packets are held to the bound exactly, small ones
    to within what `overhead` and cells make of them. What the class lets go early (see `LEAD_S`) waits, too,
    and is taken off; of a bound in packets, so is the one on the line.
    """
    kind: Literal["pfifo", "bfifo"] = "pfifo" if isinstance(conditions.queue, Packets) else "bfifo"
    if conditions.rate is None:
        return Fifo(kind, _NO_LIMIT)
    ahead_bytes = _lead_s(conditions) * conditions.rate / 8 / _stretch(conditions)
    if isinstance(conditions.queue, Packets):
        beyond = 1 + round(ahead_bytes / FULL_PACKET_BYTES) if conditions.rate else 0
        return Fifo(kind, max(int(conditions.queue) - beyond, 1))
    room = conditions.queue_bytes / _stretch(conditions) - ahead_bytes
    return Fifo(kind, min(int(max(room, FULL_PACKET_BYTES)), _NO_LIMIT))


_NO_LIMIT = 0x7FFFFFFF


def is_outage(conditions: NetworkConditions) -> bool:
    """Whether nothing leaves the queue."""
    return conditions.rate is not None and not conditions.rate


def is_bursty(conditions: NetworkConditions) -> bool:
    """Whether more may pass at once after a pause than one packet."""
    return bool(conditions.rate) and (conditions.burst or 0) >= _full_bytes(conditions)


def class_rate(conditions: NetworkConditions) -> bytes:
    """Options of the class: the rate, and a burst.

    Without a rate, the class saves up more than any burst, so that one may pass as soon as it is given. HTB
    sends as long as it owes nothing, one packet more than its burst, so that packet is taken off.

    HTB knows what packets take with an overhead, and in the cells of ATM. Of other cells, and less than none,
    the rate is exact for full packets.
    """
    if not conditions.rate:
        return htb_rate(_UNLIMITED, _LONG_S)
    rate = conditions.rate / 8
    burst_s = _lead_s(conditions)
    if is_bursty(conditions):
        burst_s = ((conditions.burst or 0) - _full_bytes(conditions)) / rate
    if _known_to_htb(conditions):
        atm = bool(conditions.cell_size)
        return htb_rate(rate, burst_s, overhead=conditions.overhead, atm=atm)
    return htb_rate(rate / _stretch(conditions), burst_s)


def _lead_s(conditions: NetworkConditions) -> float:
    """How early the class may let packets go: by a quarter of the queue at most, and not with bursts."""
    if not conditions.rate or is_bursty(conditions):
        return 0.0
    most_s = LEAD_S if conditions.rate >= _SLOW_BPS else _SLOW_LEAD_S
    if isinstance(conditions.queue, Packets):
        most_s = _COUNTED_LEAD_S
    return min(most_s, conditions.queue_bytes * 8 / conditions.rate / 4)


_NO_CELLS, _ATM_CELLS = (0, 0), (48, 5)


def _known_to_htb(conditions: NetworkConditions) -> bool:
    cells = (conditions.cell_size, conditions.cell_overhead if conditions.cell_size else 0)
    return conditions.overhead >= 0 and cells in (_NO_CELLS, _ATM_CELLS)


def _full_bytes(conditions: NetworkConditions) -> int:
    """Bytes of a full packet on the line."""
    size = FULL_PACKET_BYTES + conditions.overhead
    if conditions.cell_size:
        size = -(-size // conditions.cell_size) * (conditions.cell_size + conditions.cell_overhead)
    return max(size, 1)


def _stretch(conditions: NetworkConditions) -> float:
    """Bytes on the line for each byte of a full packet."""
    return _full_bytes(conditions) / FULL_PACKET_BYTES


# The two NetEm qdiscs


def serialising(conditions: NetworkConditions, *, limit: int, seed: int = 0) -> NetemOptions:
    """The first qdisc: a packet's own time at the rate, unless bursts may pass at once; some losses."""
    timed = bool(conditions.rate) and not is_bursty(conditions)
    loss, model = _split_losses(conditions)[0]
    return NetemOptions(
        rate_bytes=max(round((conditions.rate or 0) / 8), 1) if timed else NO_RATE,
        overhead=conditions.overhead if timed else 0,
        cell_size=conditions.cell_size if timed else 0,
        cell_overhead=conditions.cell_overhead if timed else 0,
        limit=limit,
        loss=loss,
        loss_model=model,
        ecn=conditions.ecn,
        seed=seed,
    )


def propagating(conditions: NetworkConditions, *, limit: int, seed: int = 0) -> NetemOptions:
    """The second qdisc: everything but the rate.

    With a rate of its own it would keep packets in order across changes of the delay, and so a longer delay
    in force; NetEm keeps packets with the same delay in order anyway.
    """
    loss, model = _split_losses(conditions)[1]
    return NetemOptions(
        latency_ns=round(conditions.latency * 1e9),
        jitter_ns=round(conditions.jitter * 1e9),
        jitter_correlation=conditions.jitter_correlation,
        table=delay_table(conditions.distribution) if conditions.jitter else (0,),
        limit=limit,
        loss=loss,
        loss_model=model,
        ecn=conditions.ecn,
        duplicate=threshold_for(conditions.duplicate, conditions.duplicate_correlation),
        duplicate_correlation=conditions.duplicate_correlation,
        corrupt=threshold_for(conditions.corrupt, conditions.corrupt_correlation),
        corrupt_correlation=conditions.corrupt_correlation,
        reorder=threshold_for(conditions.reorder, conditions.reorder_correlation),
        reorder_correlation=conditions.reorder_correlation,
        gap=conditions.reorder_gap if conditions.reorder else 0,
        seed=seed,
    )


RELEASING = NetemOptions(rate_bytes=NO_RATE, limit=0x7FFFFFFF)
"""A NetEm without a delay. As it has a rate, it takes packets off their senders' socket buffers
(skb_orphan_partial): a full queue behind it drops packets, as on a real network, instead of blocking their
sender."""


@cache
def delay_table(distribution: Distribution) -> tuple[int, ...]:
    """The table of a distribution as the kernel holds it, in 1/8192 of the jitter."""
    if isinstance(distribution, DistributionTable):
        return distribution.values
    scale = DistributionTable.SCALE
    return tuple(max(-32768, min(32767, round(each * scale))) for each in distributions.table(distribution))


LossShare = tuple[float, LossModel | None]
"""An independent share and a model, of which NetEm applies the model if there is one."""


def _split_losses(conditions: NetworkConditions) -> tuple[LossShare, LossShare]:
    """The losses of each of the two qdiscs: usually the second has all of them.

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
            model, bad_loss=either(model.bad_loss, share), good_loss=either(model.good_loss, share)
        )
        share = 0.0
    if tied is not None and model is not None:
        return (0.0, tied), (0.0, model)
    if model is not None and share:
        return (share, None), (0.0, model)
    return (0.0, None), (share, tied or model)


MAX_JITTER_NS = 0x7FFFFFFF
"""NetEm computes with 32 bits, so more than 2.1 s would come out as something else."""


def unsupported(conditions: NetworkConditions) -> list[str]:
    """The parts of conditions that NetEm can't impose, one phrase each."""
    found = []
    if conditions.jitter and conditions.jitter_correlation:
        found.append("jitter_correlation (NetEm draws delays by the low bits of its random numbers)")
    if conditions.jitter * 1e9 > MAX_JITTER_NS:
        found.append(f"a jitter of more than {MAX_JITTER_NS / 1e9:.1f} s")
    if conditions.rate is not None and not _known_to_htb(conditions):
        found.append("a negative overhead, or cells other than ATM's, at a rate (HTB counts neither)")
    if conditions.duty_cycle < 1:
        found.append("a duty cycle (of a low rate it is less than HTB's least, 1 byte/s)")
    return found
