"""Round trips by TCP's handshake, for targets that answer nothing else."""

from __future__ import annotations

import asyncio
import socket
import struct
import time

from wotemu.traces.round_trips import RoundTrip
from wotemu_runtime.path_recording.period import Period

INTERVAL_S = 0.5
_WAIT_S = 0.95
"""Shorter than the kernel's first retransmission of a SYN (1 s), whose answer is no round trip."""
_RTT = struct.Struct("@I")
_RTT_AT = 68
"""Of ``tcpi_rtt`` in ``struct tcp_info`` (linux/tcp.h), in microseconds."""


async def probe(address: str, port: int, period: Period) -> tuple[RoundTrip, ...]:
    """Connect twice a second. A refused connection has made its round trip, too.

    Args:
        address: Of the target.
        port: That is connected to.
        period: How long.
    """
    period.start()
    start_s = time.monotonic()
    tasks: list[asyncio.Task[RoundTrip]] = []
    async with asyncio.TaskGroup() as group:
        for number in range(max(1, round(period.seconds / INTERVAL_S))):
            if not await period.reaches(number * INTERVAL_S):
                break
            tasks.append(group.create_task(_connect(address, port, start_s)))
    return tuple(task.result() for task in tasks)


async def _connect(address: str, port: int, start_s: float) -> RoundTrip:
    at_s = time.monotonic()
    try:
        async with asyncio.timeout(_WAIT_S):
            _, writer = await asyncio.open_connection(address, port)
    except ConnectionRefusedError:
        return RoundTrip(at_s - start_s, time.monotonic() - at_s)
    except OSError:  # unreachable, or no answer in time
        return RoundTrip(at_s - start_s, None)
    rtt_s = _kernel_rtt_s(writer.get_extra_info("socket")) or time.monotonic() - at_s
    writer.close()
    return RoundTrip(at_s - start_s, rtt_s)


def _kernel_rtt_s(connection: socket.socket) -> float:
    """The handshake's round trip as the kernel has it, which a busy process does not delay; 0 for none."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT_AT + _RTT.size)
    microseconds: int = _RTT.unpack_from(info, _RTT_AT)[0] if len(info) >= _RTT_AT + _RTT.size else 0
    return microseconds / 1e6
