"""Netlink messages, byte by byte, and the answers read back."""

from __future__ import annotations

import struct

import pytest

from wotemu_gateways.netlink import tc
from wotemu_gateways.netlink.request_socket import CREATE, EXCL, REPLACE, decode, encode, text, u32
from wotemu_gateways.netlink.tc import Hook, Stats


def nested(data: bytes, *path: int) -> bytes:
    for kind in path:
        data = decode(data)[kind]
    return data


def test_attributes_are_padded_and_nest() -> None:
    data = encode(((1, text("htb")), (2, ((3, b"\x07"),))))
    assert data.hex() == "0800010068746200" + "0c000280" + "0500030007000000"
    assert decode(data) == {1: b"htb\0", 2: bytes.fromhex("0500030007000000")}


@pytest.mark.parametrize("data", [b"", b"\x04", b"\xff\xff\x01\x00", b"\x02\x00\x01\x00", bytes(7)])
def test_what_is_cut_short_has_no_attributes(data: bytes) -> None:
    assert decode(data) == {}


def test_a_qdisc_is_made_once_and_then_changed_in_place() -> None:
    new = tc.qdisc(3, "netem", b"....", parent=0x10002, handle=0x10020000, flags=CREATE | EXCL)
    changed = tc.qdisc(3, "netem", b"....", parent=0x10002, handle=0x10020000)
    assert new.header == changed.header == struct.pack("=BBHiIII", 0, 0, 0, 3, 0x10020000, 0x10002, 0)
    assert new.flags == CREATE | EXCL
    assert changed.flags == REPLACE, "with CREATE, the kernel would make another one where the kinds differ"
    assert changed.encode(0, 1)[:16] == struct.pack("=IHHII", 16 + 20 + 12 + 8, 36, 0x101, 1, 0)


def test_a_classifier_matches_one_address_and_acts_in_order() -> None:
    hook = Hook(5, tc.EGRESS, 10, chain=1)
    request = tc.match(
        hook, 7, tc.to_address("10.64.0.2"), tc.goto_chain(4), tc.choose_class(2), tc.redirect(9)
    )
    assert request.header == struct.pack("=BBHiIII", 0, 0, 0, 5, 7, tc.EGRESS, 10 << 16 | 0x0008)
    attributes = decode(encode(request.attributes))
    assert attributes[1] == b"flower\0"
    assert attributes[11] == u32(1)
    options = decode(attributes[2])
    assert options[8] == b"\x08\x00"
    assert (options[12], options[13]) == (bytes([10, 64, 0, 2]), b"\xff" * 4)
    actions = decode(options[3])
    assert [decode(actions[i])[1] for i in (1, 2, 3)] == [b"gact\0", b"skbedit\0", b"mirred\0"]
    assert nested(actions[2], 2, 3) == u32(0x10002)
    assert struct.unpack("=IIiiiiI", nested(actions[3], 2, 2)) == (0, 0, 4, 0, 0, 1, 9)


def tbf(data: bytes) -> tuple[float, float, int, int]:
    """What a TBF's bucket holds, what each packet takes of it, its largest packet, and its limit.

    As tbf_change and psched_l2t_ns compute them; the first three in bytes.
    """
    options = decode(data)
    _, layer, overhead, _, mpu, _ = struct.unpack_from("=BBHhHI", options[1])
    assert (layer, overhead) == (1, 0)
    limit, buffer, _ = struct.unpack_from("=III", options[1], 24)
    (rate,) = struct.unpack("=Q", options[4])
    holds = rate * min(buffer * 64, 0xFFFFFFFF) / 1e9
    return holds, float(mpu), min(int(holds), 0xFFFFFFFF), limit


def test_a_gate_drops_nothing_and_a_closed_one_lets_nothing_pass() -> None:
    holds, least, largest, limit = tbf(tc.gate(40, is_open=False))
    assert least > holds
    assert largest > 9014
    assert limit == 40
    holds, least, largest, _ = tbf(tc.gate(40, is_open=True))
    assert least == 0
    assert holds > 1e9
    assert largest == 0xFFFFFFFF


def test_a_fifos_limit_is_at_most_what_its_field_holds() -> None:
    assert tc.fifo(1 << 40) == u32(0xFFFFFFFF)


def test_an_action_is_kept_where_no_packet_comes() -> None:
    hook = Hook(5, tc.EGRESS, 10, chain=3000)
    kept = [tc.hold_action(hook, tc.drop(4), 4), tc.hold_action(hook, tc.redirect(9, 4), 4)]
    assert {request.flags for request in kept} == {CREATE | EXCL}
    assert kept[0].header != kept[1].header, "each kind has numbers of its own"


def test_counters_of_qdiscs_are_read_by_interface_and_handle() -> None:
    basic, queue = struct.pack("=QI", 15140, 10), struct.pack("=5I", 3, 4542, 7, 0, 0)
    body = struct.pack("=BBHiIII", 0, 0, 0, 4, 0x10000, tc.ROOT, 2)
    body += encode(((1, text("netem")), (7, ((1, basic), (3, queue)))))
    assert tc.qdisc_stats([body]) == {(4, 0x10000): Stats(10, 15140, 7, 3)}


def test_counters_of_actions_are_read_by_index() -> None:
    stats = ((1, struct.pack("=QI", 100, 1)), (3, struct.pack("=5I", 0, 0, 5, 0, 2)))
    mirred = ((1, text("mirred")), (2, ((2, u32(4) + bytes(24)),)), (4, stats))
    gact = ((1, text("gact")), (2, ((2, u32(6) + bytes(16)),)), (4, stats))
    body = bytes(4) + encode(((1, ((1, mirred), (2, gact))),))
    assert tc.action_stats([body]) == {4: Stats(1, 100, 5, 0, 2), 6: Stats(1, 100, 5, 0, 2)}


def test_counts_beyond_32_bits_are_read_whole() -> None:
    stats = ((1, struct.pack("=QI", 1, 5)), (8, struct.pack("=Q", 2**32 + 5)))
    body = struct.pack("=BBHiIII", 0, 0, 0, 4, 0x10000, tc.ROOT, 2) + encode(((7, stats),))
    assert tc.qdisc_stats([body])[4, 0x10000].packets == 2**32 + 5
