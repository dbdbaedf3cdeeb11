"""From a target to recordings of its path, one for each way where they can be told apart."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence

import attrs

from wotemu.errors import HostError, InputError
from wotemu.traces.recording import Direction, Recording, Row
from wotemu.traces.round_trips import recording_of
from wotemu_runtime.path_recording import icmp_probe, tcp_probe
from wotemu_runtime.path_recording.echo_messages import VERSION, key_of
from wotemu_runtime.path_recording.echo_server import EchoServer
from wotemu_runtime.path_recording.period import Period
from wotemu_runtime.path_recording.rate_estimate import TrainSpacing, estimate
from wotemu_runtime.path_recording.stamped_socket import StampedSocket
from wotemu_runtime.path_recording.udp_probe import TRAIN_BYTES, PathMeasurement, UdpProber

RATE_WINDOW_S = 12.0
"""A row's rate is the median of the trains within this time around it."""
_LIGHT = "the path may have carried other traffic meanwhile; its queue is in latency and jitter then"


async def serve(
    address: str, port: int, token: str, seconds: float | None, bound: Callable[[], object]
) -> None:
    """Answer recordings that know the token, for a while or until cancelled.

    Args:
        address: To listen at.
        port: The same.
        token: Of both ends.
        seconds: How long; None for ever.
        bound: Is called once it listens.

    Raises:
        HostError: The address can't be bound.
    """
    family, host = await _resolved(address, port)
    key = key_of(token)
    box: list[StampedSocket] = []
    server = EchoServer(key, lambda datagram, peer: box[0].send(datagram, peer))
    with StampedSocket(family, server.receive, bind=(host, port)) as stamped:
        box.append(stamped)
        bound()
        try:
            async with asyncio.timeout(seconds):
                await asyncio.Event().wait()
        except TimeoutError:
            return


async def record_udp(target: str, port: int, token: str, period: Period) -> dict[Direction, Recording]:
    """Measure both ways against an echo.

    Raises:
        InputError: Nothing came back, or the echo is of another version.
    """
    family, host = await _resolved(target, port)
    box: list[StampedSocket] = []
    prober = UdpProber(key_of(token), lambda datagram: box[0].send(datagram))
    with StampedSocket(family, prober.receive, connect=(host, port)) as stamped:
        box.append(stamped)
        measured = await prober.run(period)
    if prober.other_version is not None:
        raise InputError(
            f"the echo speaks another version of the protocol ({prober.other_version!r}, here {VERSION!r})",
            where=f"{target}:{port}",
            hint="run the same version of WoTemu at both ends",
        )
    if all(trip.rtt_s is None for trip in measured.trips):
        raise InputError(
            f"none of {len(measured.trips)} packets was answered",
            where=f"{target}:{port}",
            hint=f"on the target: wotemu record --serve ADDRESS:{port} --token TOKEN, with the same token "
            "and the same version of WoTemu",
        )
    if family == socket.AF_INET6:
        measured = attrs.evolve(measured, headers_bytes=62)
    return {
        "up": _one_way(measured, "up", period.seconds),
        "down": _one_way(measured, "down", period.seconds),
    }


async def record_round_trips(target: str, tcp_port: int | None, period: Period) -> Recording:
    """Measure round trips by ICMP, or by connecting to a TCP port.

    Raises:
        InputError: Nothing came back.
        HostError: This user may not send ICMP echo requests.
    """
    family, host = await _resolved(target, tcp_port or 0)
    if tcp_port is None:
        trips, source = await icmp_probe.probe(family, host, period), "round-trip times of ICMP echo"
    else:
        trips, source = await tcp_probe.probe(host, tcp_port, period), "times of TCP handshakes"
    if all(trip.rtt_s is None for trip in trips):
        raise InputError(
            f"none of {len(trips)} packets was answered",
            where=target,
            hint="measure with --tcp PORT, or with --udp PORT and wotemu record --serve on the target",
        )
    found = recording_of(trips, target, length_s=period.seconds, source=source)
    said = (*found.assumptions, _LIGHT, "rate is not measured: that needs --udp, an echo at the target")
    return attrs.evolve(found, assumptions=said)


def _one_way(measured: PathMeasurement, way: Direction, seconds: float) -> Recording:
    """Latency, jitter and loss from the probes, and the rate from this way's trains."""
    found = recording_of(
        measured.trips, way, length_s=seconds, direction=way, source="round-trip times of UDP"
    )
    spacings = measured.up if way == "up" else measured.down
    frame_bytes = TRAIN_BYTES + measured.headers_bytes
    whole = estimate(spacings, frame_bytes)
    if whole.rate_bps is None:
        said = (*found.assumptions, _LIGHT, f"rate not measured: {whole.why_not}")
        return attrs.evolve(found, assumptions=said)
    rows = _with_rates(found.rows, spacings, frame_bytes, whole.rate_bps)
    said = (
        *found.assumptions,
        _LIGHT,
        f"rate: median of {len(spacings)} trains, which differ by {whole.spread:.1%}; headers are in it",
    )
    sources = found.sources | {"rate_bps": f"spacing of {len(spacings)} packet trains"}
    return attrs.evolve(found, rows=rows, sources=sources, assumptions=said)


def _with_rates(
    rows: Sequence[Row], spacings: Sequence[TrainSpacing], frame_bytes: int, whole_bps: float
) -> tuple[Row, ...]:
    def near(t_s: float) -> float:
        around = [each for each in spacings if abs(each.t_s - t_s) <= RATE_WINDOW_S / 2]
        return estimate(around, frame_bytes, min_trains=3).rate_bps or whole_bps

    return tuple((t_s, {**values, "rate_bps": near(t_s)}) for t_s, values in rows)


async def _resolved(target: str, port: int) -> tuple[int, str]:
    """The family and address of a name.

    Raises:
        HostError: It has none.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(target, port, type=socket.SOCK_DGRAM)
    except socket.gaierror as error:
        raise HostError(f"no address: {error.strerror}", where=target) from error
    family, _, _, _, address = found[0]
    return family, str(address[0])
