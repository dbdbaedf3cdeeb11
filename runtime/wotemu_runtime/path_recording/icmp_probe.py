"""Round trips by ICMP echo, as ping(8) measures them, without privileges where the kernel allows it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct
from functools import partial

from wotemu.errors import HostError
from wotemu.traces.round_trips import RoundTrip
from wotemu_runtime.path_recording.period import Period
from wotemu_runtime.path_recording.stamped_socket import SO_TIMESTAMPNS, arrival_ns
from wotemu_runtime.path_recording.timed_sending import timed

INTERVAL_S = 0.1
PAYLOAD_BYTES = 56
_WAIT_S = 2.0
_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}
"""Types of request and reply by address family (RFC 792, RFC 4443)."""
_HEAD = struct.Struct("!BBHHH")


async def probe(family: int, address: str, period: Period) -> tuple[RoundTrip, ...]:
    """Send ten echo requests a second.

    Args:
        family: AF_INET or AF_INET6.
        address: Of the target.
        period: How long.

    Raises:
        HostError: The kernel refuses ping sockets to this user.
    """
    request, reply = _ECHO[socket.AddressFamily(family)]
    identifier = secrets.randbits(16)
    ping, is_raw = _ping_socket(family, address)
    with ping:
        sent_ns: list[int] = []
        blurred: set[int] = set()
        rtt_s: dict[int, float] = {}

        def read() -> None:
            try:
                answer, control, _, _ = ping.recvmsg(2048, 64)
            except OSError:  # an ICMP error in place of an answer: the packet is lost
                return
            if is_raw and family == socket.AF_INET:
                answer = answer[(answer[0] & 15) * 4 :]  # raw sockets of IPv4 give its header, too
            if len(answer) < _HEAD.size:
                return
            kind, _, _, answered, seq = _HEAD.unpack_from(answer)
            stamp_ns = arrival_ns(control)
            if kind == reply and seq < len(sent_ns) and (answered == identifier or not is_raw) and stamp_ns:
                rtt_s.setdefault(seq, max(stamp_ns - sent_ns[seq], 0) / 1e9)

        def send(number: int) -> None:
            with contextlib.suppress(OSError):  # unreachable, or no room: the packet is lost
                ping.send(_request(request, identifier, number))

        loop = asyncio.get_running_loop()
        loop.add_reader(ping, read)
        try:
            period.start()
            for number in range(min(max(1, round(period.seconds / INTERVAL_S)), 65_536)):
                if not await period.reaches(number * INTERVAL_S):
                    break
                at_ns, is_blurred = timed(partial(send, number))
                sent_ns.append(at_ns)
                if is_blurred:
                    blurred.add(number)
            await asyncio.sleep(_WAIT_S)
        finally:
            loop.remove_reader(ping)
    return tuple(
        RoundTrip((at_ns - sent_ns[0]) / 1e9, rtt_s.get(number), is_blurred=number in blurred)
        for number, at_ns in enumerate(sent_ns)
    )


def _request(kind: int, identifier: int, number: int) -> bytes:
    """An echo request. Ping sockets replace identifier and checksum by their own."""
    body = bytes(PAYLOAD_BYTES)
    total = sum(struct.unpack("!4H", _HEAD.pack(kind, 0, 0, identifier, number)))
    total = (total & 0xFFFF) + (total >> 16)
    return _HEAD.pack(kind, 0, ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF, identifier, number) + body


def _ping_socket(family: int, address: str) -> tuple[socket.socket, bool]:
    """A ping socket, or a raw one, which root may open where no group may open the former."""
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    try:
        ping, is_raw = socket.socket(family, socket.SOCK_DGRAM, protocol), False
    except PermissionError:
        try:
            ping, is_raw = socket.socket(family, socket.SOCK_RAW, protocol), True
        except PermissionError as error:
            raise HostError(
                "this user may not open ping sockets",
                where=address,
                hint='allow it: sysctl -w net.ipv4.ping_group_range="0 2147483647"; '
                "or measure with --udp or --tcp",
            ) from error
    ping.setblocking(False)
    ping.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    try:
        ping.connect((address, 0))
    except OSError as error:
        ping.close()
        raise HostError(f"{error.strerror}", where=address) from error
    return ping, is_raw
