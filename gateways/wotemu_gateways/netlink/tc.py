"""Messages of the kernel's traffic control: qdiscs, classes, classifiers and actions, as of tc(8). Pure.

The constants and layouts are those of linux/pkt_sched.h, linux/pkt_cls.h and linux/tc_act/*.h.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address

import attrs

from wotemu_gateways.netlink.request_socket import (
    CREATE,
    EXCL,
    REPLACE,
    Attribute,
    Attributes,
    Request,
    decode,
    encode,
    text,
    u8,
    u32,
    u64,
)

_NEWQDISC, _DELQDISC, _GETQDISC, _NEWCLASS, _NEWFILTER, _DELFILTER = 36, 37, 38, 40, 44, 45
_GETACTION = 50
_MESSAGE = struct.Struct("=BBHiIII")
_ACTION_MESSAGE = struct.Struct("=BBH")
_KIND, _OPTIONS, _STATS2, _CHAIN = 1, 2, 7, 11

ROOT = 0xFFFFFFFF
_CLSACT = 0xFFFFFFF1
_CLSACT_HANDLE = 0xFFFF0000
INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3
"""Where classifiers hang that see all that comes into, or is about to leave, an interface."""

IPV4, IPV6 = 0x0800, 0x86DD

TICK_NS = 64
"""Traffic control's unit of time: PSCHED_SHIFT is 6."""

_ETHERNET, _ATM = 1, 2
_PIPE, _SHOT, _STOLEN, _GOTO_CHAIN = 3, 2, 4, 0x20000000
_U16, _U32 = 0xFFFF, 0xFFFFFFFF


def ticks(seconds: float) -> int:
    """A duration in traffic control's unit, at most what 32 bits hold (275 s)."""
    return min(round(seconds * 1e9 / TICK_NS), _U32)


# Qdiscs and classes


def qdisc(
    index: int, kind: str, options: bytes, *, parent: int = ROOT, handle: int = 0x10000, flags: int = REPLACE
) -> Request:
    """Make a qdisc, or change the one with this handle in place.

    `flags` are `CREATE` | `EXCL` to make one, `CREATE` | `REPLACE` to put it where another may be, `REPLACE`
    to change it.
    """
    attributes: Attributes = ((_KIND, text(kind)), (_OPTIONS, options))
    header = _MESSAGE.pack(0, 0, 0, index, handle, parent, 0)
    return Request(_NEWQDISC, header, attributes, flags, f"qdisc {kind} {handle >> 16:x}:")


def fifo(limit: int) -> bytes:
    """Options of a pfifo or bfifo: so many packets, or bytes, may wait."""
    return u32(min(limit, _U32))


def gate(limit: int, *, is_open: bool) -> bytes:
    """Options of a TBF that lets everything pass, or nothing. `limit` is for the fifo in it.

    In a closed one every packet counts as many bytes as its bucket never holds, by the rate's `mpu`. (A
    bucket with less room than the packet has bytes would drop it at once.)
    """
    rate, mpu, burst_s = (_CLOSED_RATE, _U16, _CLOSED_S) if not is_open else (_OPEN_RATE, 0, _OPEN_S)
    spec = _rate_spec(rate, mpu=mpu)
    parms = spec + bytes(12) + struct.pack("=III", min(limit, _U32), ticks(burst_s), 0)
    return _encoded((1, parms), (4, u64(rate)))


_OPEN_RATE, _OPEN_S = 1 << 40, 4.0
_CLOSED_RATE, _CLOSED_S = 16_000, 2.0


def clsact(index: int) -> Request:
    """Give an interface its hooks for classifiers."""
    header = _MESSAGE.pack(0, 0, 0, index, _CLSACT_HANDLE, _CLSACT, 0)
    return Request(_NEWQDISC, header, ((_KIND, text("clsact")),), CREATE | EXCL, "qdisc clsact")


def delete_qdisc(index: int, parent: int) -> Request:
    """Take away the qdisc at `parent` (`ROOT`, or `INGRESS` for the hooks)."""
    parent = _CLSACT if parent == INGRESS else parent
    return Request(_DELQDISC, _MESSAGE.pack(0, 0, 0, index, 0, parent, 0), (), 0, "delete qdisc")


def htb() -> bytes:
    """HTB's own options: what no class claims (ARP, that is) leaves at once."""
    return _encoded((2, struct.pack("=IIIII", 3, 10, 0, 0, 0)))


def htb_class(index: int, minor: int, options: bytes, *, new: bool = False) -> Request:
    """Make the class 1:`minor`, or change it in place."""
    header = _MESSAGE.pack(0, 0, 0, index, 0x10000 | minor, 0x10000, 0)
    flags = CREATE | EXCL if new else REPLACE
    return Request(
        _NEWCLASS, header, ((_KIND, text("htb")), (_OPTIONS, options)), flags, f"class 1:{minor:x}"
    )


def htb_rate(bytes_per_s: float, burst_s: float, *, overhead: int = 0, atm: bool = False) -> bytes:
    """A class's options: a rate that it may not exceed but for a burst, as the time that it takes.

    A packet counts `overhead` bytes more than it has, and with `atm` whole cells of 53 bytes for 48 of it.
    """
    rate = max(round(bytes_per_s), 1)
    spec = _rate_spec(rate, overhead=overhead, layer=_ATM if atm else _ETHERNET)
    burst = max(ticks(burst_s), 1)
    parms = spec + spec + struct.pack("=IIIII", burst, burst, _QUANTUM, 0, 0)
    return _encoded((1, parms), (6, u64(rate)), (7, u64(rate)))


_QUANTUM = 16 * 1514


def _rate_spec(bytes_per_s: int, *, overhead: int = 0, mpu: int = 0, layer: int = _ETHERNET) -> bytes:
    return struct.pack("=BBHhHI", _CELL_LOG, layer, overhead, 0, mpu, min(bytes_per_s, _U32))


_CELL_LOG = 6

# Actions


@attrs.frozen
class TcAction:
    """What happens to a packet that a classifier picked. `index` is its number in the kernel, 0 for any."""

    kind: str
    options: Attributes

    def nested(self) -> Attributes:
        """As a list of actions holds it."""
        return ((1, text(self.kind)), (2, self.options))


def drop(index: int = 0) -> TcAction:
    """Drop it; several classifiers may share one counter by its index."""
    return _gact(index, _SHOT)


def goto_chain(chain: int) -> TcAction:
    """Go on with another chain of classifiers."""
    return _gact(0, _GOTO_CHAIN | chain)


def _gact(index: int, verdict: int) -> TcAction:
    return TcAction("gact", ((2, struct.pack("=IIiii", index, 0, verdict, 0, 0)),))


def redirect(interface: int, index: int = 0) -> TcAction:
    """Send it out of another interface of this namespace."""
    parms = struct.pack("=IIiiiiI", index, 0, _STOLEN, 0, 0, 1, interface)
    return TcAction("mirred", ((2, parms),))


def choose_class(minor: int) -> TcAction:
    """Have an HTB that it meets next put it into class 1:`minor`."""
    parms = struct.pack("=IIiii", 0, 0, _PIPE, 0, 0)
    return TcAction("skbedit", ((2, parms), (3, u32(0x10000 | minor))))


def _list(*actions: TcAction) -> Attributes:
    return tuple((number, each.nested()) for number, each in enumerate(actions, 1))


# Classifiers


@attrs.frozen
class Hook:
    """Where a classifier is: on an interface, coming in or going out, in a chain, at a place in it."""

    index: int
    parent: int
    priority: int
    chain: int = 0
    protocol: int = IPV4

    def request(self, kind: int, handle: int, attributes: Attributes, flags: int, what: str) -> Request:
        """A message about a classifier here."""
        protocol = int.from_bytes(self.protocol.to_bytes(2, "big"), "little")
        header = _MESSAGE.pack(0, 0, 0, self.index, handle, self.parent, self.priority << 16 | protocol)
        return Request(kind, header, (*attributes, (_CHAIN, u32(self.chain))), flags, what)


def match_all(hook: Hook, *actions: TcAction) -> Request:
    """Treat every packet so."""
    attributes: Attributes = ((_KIND, text("matchall")), (_OPTIONS, ((2, _list(*actions)),)))
    return hook.request(_NEWFILTER, 1, attributes, CREATE, "filter matchall")


def match(hook: Hook, handle: int, keys: Attributes, *actions: TcAction) -> Request:
    """Treat packets with these keys so, now and without a gap if the same handle did otherwise before."""
    options = ((8, hook.protocol.to_bytes(2, "big")), *keys, (3, _list(*actions)))
    attributes: Attributes = ((_KIND, text("flower")), (_OPTIONS, options))
    return hook.request(_NEWFILTER, handle, attributes, CREATE, f"filter flower {handle}")


def hold_action(hook: Hook, chosen: TcAction, index: int) -> Request:
    """Make an action in a classifier that no packet meets: it lives and counts on as others change.

    To make an action by itself (RTM_NEWACTION), one has to be privileged on the whole machine; for a
    classifier's, in its namespace.
    """
    handle = _KEEPERS[chosen.kind] << 24 | index
    options = (
        (8, hook.protocol.to_bytes(2, "big")),
        *to_address(str(IPv4Address(handle))),
        (3, _list(chosen)),
    )
    attributes: Attributes = ((_KIND, text("flower")), (_OPTIONS, options))
    return hook.request(_NEWFILTER, handle, attributes, CREATE | EXCL, f"action {chosen.kind} {index}")


_KEEPERS = {"gact": 1, "mirred": 2}


def delete_chain(hook: Hook) -> Request:
    """Take away all classifiers of a chain."""
    header = _MESSAGE.pack(0, 0, 0, hook.index, 0, hook.parent, 0)
    return Request(_DELFILTER, header, ((_CHAIN, u32(hook.chain)),), 0, "delete chain")


def from_address(address: str) -> Attributes:
    """Packets from an IPv4 address."""
    return ((10, IPv4Address(address).packed), (11, b"\xff" * 4))


def from_interface(interface: str) -> Attributes:
    """Packets that another classifier redirected from an interface."""
    return ((2, text(interface)),)


def to_address(address: str) -> Attributes:
    """Packets to an IPv4 address."""
    return ((12, IPv4Address(address).packed), (13, b"\xff" * 4))


def to_mac(mac: bytes) -> Attributes:
    """Packets in frames to a MAC."""
    return ((_KEY_ETH_DST, mac), (_KEY_ETH_DST_MASK, b"\xff" * 6))


_KEY_ETH_DST, _KEY_ETH_DST_MASK = 4, 5
"""TCA_FLOWER_KEY_ETH_DST and its mask."""


def icmp_of_type(number: int) -> Attributes:
    """ICMP messages of one type."""
    return ((9, u8(1)), (51, u8(number)), (52, b"\xff"))


# Counters


@attrs.frozen
class Stats:
    """What a qdisc or an action has counted since it was made.

    A redirect's `overlimits` are the packets that the qdisc of its target refused.
    """

    packets: int = 0
    size_bytes: int = 0
    drops: int = 0
    backlog_packets: int = 0
    overlimits: int = 0


def all_qdiscs() -> Request:
    """Ask for every qdisc of the namespace."""
    return Request(_GETQDISC, _MESSAGE.pack(0, 0, 0, 0, 0, 0, 0), (), 0, "qdiscs")


def qdisc_stats(bodies: Sequence[bytes]) -> dict[tuple[int, int], Stats]:
    """The answers' counters by interface and handle."""
    found = {}
    for body in bodies:
        _, _, _, index, handle, _, _ = _MESSAGE.unpack_from(body)
        found[index, handle] = _stats(decode(body[_MESSAGE.size :]).get(_STATS2, b""))
    return found


def all_actions(kind: str) -> Request:
    """Ask for every action of a kind; there may be any number of them."""
    flags = struct.pack("=II", 1, 1)
    header = _ACTION_MESSAGE.pack(0, 0, 0)
    return Request(_GETACTION, header, ((1, ((1, ((1, text(kind)),)),)), (2, flags)), 0, f"actions {kind}")


def action_stats(bodies: Sequence[bytes]) -> dict[int, Stats]:
    """The answers' counters by the actions' index."""
    found = {}
    for body in bodies:
        for item in decode(decode(body[_ACTION_MESSAGE.size :]).get(1, b"")).values():
            fields = decode(item)
            options = decode(fields.get(2, b""))
            parms = options.get(2, b"")
            if len(parms) >= 4:
                found[struct.unpack_from("=I", parms)[0]] = _stats(fields.get(4, b""))
    return found


def _stats(data: bytes) -> Stats:
    """TCA_STATS2 or TCA_ACT_STATS: basic counters, and the queue's."""
    fields = decode(data)
    size_bytes, packets = struct.unpack_from("=QI", fields.get(1, bytes(12)))
    backlog, _, drops, _, overlimits = struct.unpack_from("=IIIII", fields.get(3, bytes(20)))
    if _PACKETS64 in fields:
        packets = int.from_bytes(fields[_PACKETS64], "little")
    return Stats(packets, size_bytes, drops, backlog, overlimits)


_PACKETS64 = 8


def _encoded(*attributes: Attribute) -> bytes:
    return encode(attributes)
