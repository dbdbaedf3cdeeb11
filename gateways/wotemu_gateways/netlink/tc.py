"""Messages of the kernel's traffic control: qdiscs, classes, classifiers and actions, as of tc(8). Pure.

The constants and layouts are those of linux/pkt_sched.h, linux/pkt_cls.h and linux/tc_act/*.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address

import attrs

from wotemu_gateways.netlink.request_socket import (
    CREATE,
    EXCL,
    REPLACE,
    Attributes,
    Request,
    decode,
    encode,
    text,
    u8,
    u32,
    u64,
)

RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC, RTM_NEWTCLASS, RTM_NEWTFILTER, RTM_DELTFILTER = (
    36,
    37,
    38,
    40,
    44,
    45,
)
RTM_GETACTION = 50
_MESSAGE = struct.Struct("=BBHiIII")
"""struct tcmsg: family, two paddings, interface, handle, parent, info."""
_ACTION_MESSAGE = struct.Struct("=BBH")
"""struct tcamsg: family and two paddings."""
TCA_KIND, TCA_OPTIONS, TCA_STATS2, TCA_CHAIN = 1, 2, 7, 11
TCA_TBF_PARMS, TCA_TBF_RATE64 = 1, 4
TCA_HTB_PARMS, TCA_HTB_INIT, TCA_HTB_RATE64, TCA_HTB_CEIL64 = 1, 2, 6, 7
TCA_MATCHALL_ACT = 2
TCA_FLOWER_INDEV, TCA_FLOWER_ACT, TCA_FLOWER_KEY_ETH_TYPE, TCA_FLOWER_KEY_IP_PROTO = 2, 3, 8, 9
TCA_FLOWER_KEY_ETH_DST, TCA_FLOWER_KEY_ETH_DST_MASK = 4, 5
TCA_FLOWER_KEY_IPV4_SRC, TCA_FLOWER_KEY_IPV4_SRC_MASK = 10, 11
TCA_FLOWER_KEY_IPV4_DST, TCA_FLOWER_KEY_IPV4_DST_MASK = 12, 13
TCA_FLOWER_KEY_ICMPV4_TYPE, TCA_FLOWER_KEY_ICMPV4_TYPE_MASK = 51, 52
TCA_ACT_KIND, TCA_ACT_OPTIONS, TCA_ACT_STATS, TCA_ACT_TAB = 1, 2, 4, 1
TCA_GACT_PARMS, TCA_MIRRED_PARMS, TCA_SKBEDIT_PARMS, TCA_SKBEDIT_PRIORITY = 2, 2, 2, 3
TCA_EGRESS_REDIR = 1
TCA_ROOT_FLAGS, TCA_ACT_FLAG_LARGE_DUMP_ON = 2, 1
TCA_STATS_BASIC, TCA_STATS_QUEUE = 1, 3
HTB_VERSION = 3

ROOT = 0xFFFFFFFF
"""TC_H_ROOT."""
TC_H_CLSACT = 0xFFFFFFF1
_CLSACT_HANDLE = 0xFFFF0000
INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3
"""TC_H_MIN_INGRESS and TC_H_MIN_EGRESS of a clsact: classifiers there see all that comes into, or is about to
leave, an interface."""

_FIRST_HANDLE = 1 << 16
"""The qdisc 1:, whose classes are 1:1 and so on. A handle's upper half is the qdisc's number."""

IPV4, IPV6 = 0x0800, 0x86DD

TICK_NS = 64
"""Traffic control's unit of time: PSCHED_SHIFT is 6."""

TC_LINKLAYER_ETHERNET, TC_LINKLAYER_ATM = 1, 2
TC_ACT_PIPE, TC_ACT_SHOT, TC_ACT_STOLEN, TC_ACT_GOTO_CHAIN = 3, 2, 4, 0x20000000
_U16, _U32 = 0xFFFF, 0xFFFFFFFF


def ticks(seconds: float) -> int:
    """A duration in traffic control's unit, at most what 32 bits hold (275 s)."""
    return min(round(seconds * 1e9 / TICK_NS), _U32)


# Qdiscs and classes


def qdisc(
    index: int,
    kind: str,
    options: bytes,
    *,
    parent: int = ROOT,
    handle: int = _FIRST_HANDLE,
    flags: int = REPLACE,
) -> Request:
    """Make a qdisc, or change the one with this handle in place.

    `flags` are `CREATE` | `EXCL` to make one, `CREATE` | `REPLACE` to put it where another may be, `REPLACE`
    to change it.
    """
    attributes: Attributes = ((TCA_KIND, text(kind)), (TCA_OPTIONS, options))
    header = _MESSAGE.pack(0, 0, 0, index, handle, parent, 0)
    return Request(RTM_NEWQDISC, header, attributes, flags, f"qdisc {kind} {handle >> 16:x}:")


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
    # struct tc_tbf_qopt: rate, no peak rate, limit, buffer (as the time that it takes), mtu.
    parms = spec + bytes(12) + struct.pack("=III", min(limit, _U32), ticks(burst_s), 0)
    return encode(((TCA_TBF_PARMS, parms), (TCA_TBF_RATE64, u64(rate))))


_OPEN_RATE, _OPEN_S = 1 << 40, 4.0
_CLOSED_RATE, _CLOSED_S = 16_000, 2.0


def clsact(index: int) -> Request:
    """Give an interface its hooks for classifiers."""
    header = _MESSAGE.pack(0, 0, 0, index, _CLSACT_HANDLE, TC_H_CLSACT, 0)
    return Request(RTM_NEWQDISC, header, ((TCA_KIND, text("clsact")),), CREATE | EXCL, "qdisc clsact")


def delete_qdisc(index: int, parent: int) -> Request:
    """Delete the qdisc at `parent` (`ROOT`, or `INGRESS` for the hooks)."""
    parent = TC_H_CLSACT if parent == INGRESS else parent
    return Request(RTM_DELQDISC, _MESSAGE.pack(0, 0, 0, index, 0, parent, 0), (), 0, "delete qdisc")


def htb() -> bytes:
    """HTB's own options: what no class claims (ARP, that is) leaves at once."""
    # struct tc_htb_glob: version, rate to quantum, default class (0: none), debug, direct packets.
    return encode(((TCA_HTB_INIT, struct.pack("=IIIII", HTB_VERSION, 10, 0, 0, 0)),))


def htb_class(index: int, minor: int, options: bytes, *, new: bool = False) -> Request:
    """Make the class 1:`minor`, or change it in place."""
    header = _MESSAGE.pack(0, 0, 0, index, _FIRST_HANDLE | minor, _FIRST_HANDLE, 0)
    flags = CREATE | EXCL if new else REPLACE
    return Request(
        RTM_NEWTCLASS, header, ((TCA_KIND, text("htb")), (TCA_OPTIONS, options)), flags, f"class 1:{minor:x}"
    )


def htb_rate(bytes_per_s: float, burst_s: float, *, overhead: int = 0, atm: bool = False) -> bytes:
    """A class's options: a rate that it may not exceed but for a burst, as the time that it takes.

    A packet counts `overhead` bytes more than it has, and with `atm` whole cells of 53 bytes for 48 of it.
    """
    rate = max(round(bytes_per_s), 1)
    spec = _rate_spec(rate, overhead=overhead, layer=TC_LINKLAYER_ATM if atm else TC_LINKLAYER_ETHERNET)
    burst = max(ticks(burst_s), 1)
    # struct tc_htb_opt: rate, ceil, buffer, cbuffer, quantum, level, prio. As its rate is its ceiling, no
    # class borrows from another.
    parms = spec + spec + struct.pack("=IIIII", burst, burst, _QUANTUM, 0, 0)
    return encode(((TCA_HTB_PARMS, parms), (TCA_HTB_RATE64, u64(rate)), (TCA_HTB_CEIL64, u64(rate))))


_QUANTUM = 16 * 1514


def _rate_spec(
    bytes_per_s: int, *, overhead: int = 0, mpu: int = 0, layer: int = TC_LINKLAYER_ETHERNET
) -> bytes:
    return struct.pack("=BBHhHI", _CELL_LOG, layer, overhead, 0, mpu, min(bytes_per_s, _U32))


_CELL_LOG = 6

# Actions


@attrs.frozen
class TcAction:
    """What happens to a packet that a classifier picked."""

    kind: str
    options: Attributes

    def nested(self) -> Attributes:
        """As a list of actions holds it."""
        return ((TCA_ACT_KIND, text(self.kind)), (TCA_ACT_OPTIONS, self.options))


def drop(index: int = 0) -> TcAction:
    """Drop the packet; classifiers that give the same index (0: none) share the counter."""
    return _gact(index, TC_ACT_SHOT)


def goto_chain(chain: int) -> TcAction:
    """Continue with another chain of classifiers."""
    return _gact(0, TC_ACT_GOTO_CHAIN | chain)


def _gact(index: int, verdict: int) -> TcAction:
    # tc_gen: index, capabilities, verdict, references, bindings.
    return TcAction("gact", ((TCA_GACT_PARMS, struct.pack("=IIiii", index, 0, verdict, 0, 0)),))


def redirect(interface: int, index: int = 0) -> TcAction:
    """Send the packet out of another interface of this namespace."""
    # tc_gen as in `_gact`, then what to do and where.
    parms = struct.pack("=IIiiiiI", index, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, interface)
    return TcAction("mirred", ((TCA_MIRRED_PARMS, parms),))


def choose_class(minor: int) -> TcAction:
    """Have the next HTB put the packet into class 1:`minor`: it looks at the packet's priority first."""
    parms = struct.pack("=IIiii", 0, 0, TC_ACT_PIPE, 0, 0)
    return TcAction(
        "skbedit", ((TCA_SKBEDIT_PARMS, parms), (TCA_SKBEDIT_PRIORITY, u32(_FIRST_HANDLE | minor)))
    )


def _list(*actions: TcAction) -> Attributes:
    return tuple((number, each.nested()) for number, each in enumerate(actions, 1))


# Classifiers


@attrs.frozen
class Hook:
    """Where a classifier is: on an interface, at `INGRESS` or `EGRESS`, in a chain, at a priority in it."""

    index: int
    parent: int
    priority: int
    chain: int = 0
    protocol: int = IPV4

    def request(self, kind: int, handle: int, attributes: Attributes, flags: int, what: str) -> Request:
        """A message about a classifier here."""
        protocol = int.from_bytes(self.protocol.to_bytes(2, "big"), "little")
        header = _MESSAGE.pack(0, 0, 0, self.index, handle, self.parent, self.priority << 16 | protocol)
        return Request(kind, header, (*attributes, (TCA_CHAIN, u32(self.chain))), flags, what)


def match_all(hook: Hook, *actions: TcAction) -> Request:
    """Apply actions to every packet at the hook."""
    attributes: Attributes = (
        (TCA_KIND, text("matchall")),
        (TCA_OPTIONS, ((TCA_MATCHALL_ACT, _list(*actions)),)),
    )
    return hook.request(RTM_NEWTFILTER, 1, attributes, CREATE, "filter matchall")


def match(hook: Hook, handle: int, keys: Attributes, *actions: TcAction) -> Request:
    """Apply actions to packets with these keys, in place of those that the same handle had, without a gap."""
    options = (
        (TCA_FLOWER_KEY_ETH_TYPE, hook.protocol.to_bytes(2, "big")),
        *keys,
        (TCA_FLOWER_ACT, _list(*actions)),
    )
    attributes: Attributes = ((TCA_KIND, text("flower")), (TCA_OPTIONS, options))
    return hook.request(RTM_NEWTFILTER, handle, attributes, CREATE, f"filter flower {handle}")


def hold_action(hook: Hook, chosen: TcAction, index: int) -> Request:
    """Pin an action by a classifier that never matches, so that its counters survive changes of others.

    RTM_NEWACTION would make an action by itself, but needs CAP_NET_ADMIN on the whole machine; a classifier's
    needs it in this namespace.

    Args:
        hook: In a chain that no packet is sent to.
        chosen: A `drop` or `redirect` with this index.
        index: The action's number in the kernel.
    """
    handle = _HELD_ADDRESS_PREFIXES[chosen.kind] << 24 | index
    options = (
        (TCA_FLOWER_KEY_ETH_TYPE, hook.protocol.to_bytes(2, "big")),
        *to_address(str(IPv4Address(handle))),
        (TCA_FLOWER_ACT, _list(chosen)),
    )
    attributes: Attributes = ((TCA_KIND, text("flower")), (TCA_OPTIONS, options))
    return hook.request(RTM_NEWTFILTER, handle, attributes, CREATE | EXCL, f"action {chosen.kind} {index}")


_HELD_ADDRESS_PREFIXES = {"gact": 1, "mirred": 2}
"""First byte of the address that a filter holding an action matches, so that no two kinds share a filter. The
chain of such filters is one that no packet is sent to, so the address is never looked at."""


def delete_chain(hook: Hook) -> Request:
    """Delete all classifiers of a chain."""
    header = _MESSAGE.pack(0, 0, 0, hook.index, 0, hook.parent, 0)
    return Request(RTM_DELTFILTER, header, ((TCA_CHAIN, u32(hook.chain)),), 0, "delete chain")


def from_address(address: str) -> Attributes:
    """Packets from an IPv4 address."""
    return (
        (TCA_FLOWER_KEY_IPV4_SRC, IPv4Address(address).packed),
        (TCA_FLOWER_KEY_IPV4_SRC_MASK, b"\xff" * 4),
    )


def from_interface(interface: str) -> Attributes:
    """Packets that another classifier redirected from an interface."""
    return ((TCA_FLOWER_INDEV, text(interface)),)


def to_address(address: str) -> Attributes:
    """Packets to an IPv4 address."""
    return (
        (TCA_FLOWER_KEY_IPV4_DST, IPv4Address(address).packed),
        (TCA_FLOWER_KEY_IPV4_DST_MASK, b"\xff" * 4),
    )


def to_mac(mac: bytes) -> Attributes:
    """Packets in frames to a MAC."""
    return ((TCA_FLOWER_KEY_ETH_DST, mac), (TCA_FLOWER_KEY_ETH_DST_MASK, b"\xff" * 6))


def icmp_of_type(number: int) -> Attributes:
    """ICMP messages of one type."""
    return (
        (TCA_FLOWER_KEY_IP_PROTO, u8(socket.IPPROTO_ICMP)),
        (TCA_FLOWER_KEY_ICMPV4_TYPE, u8(number)),
        (TCA_FLOWER_KEY_ICMPV4_TYPE_MASK, b"\xff"),
    )


# Counters


@attrs.frozen
class Stats:
    """The counters of a qdisc or an action since it was made.

    A redirect's `overlimits` are the packets that the qdisc of its target refused.
    """

    packets: int = 0
    size_bytes: int = 0
    drops: int = 0
    backlog_packets: int = 0
    overlimits: int = 0


def all_qdiscs() -> Request:
    """Ask for every qdisc of the namespace."""
    return Request(RTM_GETQDISC, _MESSAGE.pack(0, 0, 0, 0, 0, 0, 0), (), 0, "qdiscs")


def qdisc_stats(bodies: Sequence[bytes]) -> dict[tuple[int, int], Stats]:
    """The answers' counters by interface and handle."""
    found = {}
    for body in bodies:
        _, _, _, index, handle, _, _ = _MESSAGE.unpack_from(body)
        found[index, handle] = _stats(decode(body[_MESSAGE.size :]).get(TCA_STATS2, b""))
    return found


def all_actions(kind: str) -> Request:
    """Ask for every action of a kind; there may be any number of them."""
    # struct nla_bitfield32: value and selector. Without the flag a message has 32 actions at most.
    flags = struct.pack("=II", TCA_ACT_FLAG_LARGE_DUMP_ON, TCA_ACT_FLAG_LARGE_DUMP_ON)
    first: Attributes = ((1, ((TCA_ACT_KIND, text(kind)),)),)
    attributes: Attributes = ((TCA_ACT_TAB, first), (TCA_ROOT_FLAGS, flags))
    return Request(RTM_GETACTION, _ACTION_MESSAGE.pack(0, 0, 0), attributes, 0, f"actions {kind}")


def action_stats(bodies: Sequence[bytes]) -> dict[int, Stats]:
    """The answers' counters by the actions' index."""
    found = {}
    for body in bodies:
        for item in decode(decode(body[_ACTION_MESSAGE.size :]).get(TCA_ACT_TAB, b"")).values():
            fields = decode(item)
            options = decode(fields.get(TCA_ACT_OPTIONS, b""))
            parms = options.get(TCA_GACT_PARMS, b"")  # all kinds have the same number for them
            if len(parms) >= 4:
                found[struct.unpack_from("=I", parms)[0]] = _stats(fields.get(TCA_ACT_STATS, b""))
    return found


def _stats(data: bytes) -> Stats:
    """TCA_STATS2 or TCA_ACT_STATS: basic counters, and the queue's."""
    fields = decode(data)
    size_bytes, packets = struct.unpack_from("=QI", fields.get(TCA_STATS_BASIC, bytes(12)))
    backlog, _, drops, _, overlimits = struct.unpack_from("=IIIII", fields.get(TCA_STATS_QUEUE, bytes(20)))
    if TCA_STATS_PKT64 in fields:  # the other one wraps around after four billion packets
        packets = int.from_bytes(fields[TCA_STATS_PKT64], "little")
    return Stats(packets, size_bytes, drops, backlog, overlimits)


TCA_STATS_PKT64 = 8
