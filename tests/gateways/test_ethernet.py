"""What is read from raw frames, whatever they hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wotemu_gateways.packets.ethernet import FlowId, arp_answer, arp_question, flow_of, mac_of, mac_text

from .network import arp_request, ipv4, members

READER, LAMP = members(["reader", "lamp"])
FROM, TO = bytes([10, 64, 0, 2]), bytes([10, 64, 0, 3])
MORE_FRAGMENTS, LATER_FRAGMENT = 0x2000, 0x00B9


def test_a_mac_is_derived_from_the_address() -> None:
    assert mac_text(mac_of("10.64.0.3")) == "02:00:0a:40:00:03"


def test_a_flow_is_both_addresses_both_ports_and_the_transport() -> None:
    assert flow_of(ipv4(READER, LAMP, sport=4000, dport=8080, transport=6)) == FlowId(
        "tcp", FROM, TO, 4000, 8080
    )


def test_ports_are_found_behind_options() -> None:
    assert flow_of(ipv4(READER, LAMP, options=b"\x01" * 8, dport=53)) == FlowId("udp", FROM, TO, 4000, 53)


def test_the_first_fragment_has_ports_and_later_ones_have_none() -> None:
    assert flow_of(ipv4(READER, LAMP, fragment=MORE_FRAGMENTS)).dport == 5000
    assert flow_of(ipv4(READER, LAMP, fragment=LATER_FRAGMENT)) == FlowId("udp", FROM, TO, 0, 0)


def test_transports_without_ports_count_under_port_0() -> None:
    assert flow_of(ipv4(READER, LAMP, transport=1)) == FlowId("icmp", FROM, TO, 0, 0)
    assert flow_of(ipv4(READER, LAMP, transport=89)).transport == "ip-89"


def test_a_packet_without_ethernet_header_is_the_same_flow() -> None:
    frame = ipv4(READER, LAMP)
    assert flow_of(frame[14:], offset=0) == flow_of(frame)


def test_other_protocols_are_flows_between_macs() -> None:
    frame = LAMP.mac + READER.mac + b"\x86\xdd" + bytes(60)
    assert flow_of(frame) == FlowId("other", READER.mac, LAMP.mac, 0, 0)


@given(st.binary(max_size=80), st.sampled_from([0, 14]))
def test_no_bytes_raise(frame: bytes, offset: int) -> None:
    flow_of(frame, offset)
    arp_question(frame)


@given(st.integers(14, 42), st.sampled_from([b"", b"\x01" * 12]))
def test_a_truncated_packet_keeps_what_is_left_of_its_identity(length: int, options: bytes) -> None:
    flow = flow_of(ipv4(READER, LAMP, options=options)[:length])
    assert flow.transport in {"udp", "other"}


def test_an_arp_request_is_answered_to_its_asker() -> None:
    request = arp_request(READER, LAMP.ipv4)
    assert arp_question(request) == TO
    answer = arp_answer(request, LAMP.mac)
    assert answer[:12] == READER.mac + LAMP.mac
    assert answer[20:42] == b"\x00\x02" + LAMP.mac + TO + READER.mac + FROM


def test_an_arp_reply_asks_nothing() -> None:
    assert arp_question(arp_answer(arp_request(READER, LAMP.ipv4), LAMP.mac)) is None
