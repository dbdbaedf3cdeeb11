"""``wotemu record``: a real path, measured into a trace that ``.replay`` takes."""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import Duration, debug_option
from wotemu.errors import EXIT_INTERRUPTED, InputError

if TYPE_CHECKING:
    from wotemu.traces.recording import Recording
    from wotemu.units import Seconds


ENDED_BY = (signal.SIGINT, signal.SIGTERM)


@click.command(short_help="Measure a real path into a trace.")
@click.argument("target", required=False)
@click.option(
    "--for", "duration", type=Duration(), metavar="TIME", help="How long.  [default: 60s; --serve: ever]"
)
@click.option("--out", type=click.Path(path_type=Path), metavar="TRACE", help="The CSV to write.")
@click.option(
    "--udp", type=click.IntRange(1, 65535), metavar="PORT", help="Measure against an echo at this port."
)
@click.option("--tcp", type=click.IntRange(1, 65535), metavar="PORT", help="Time handshakes with this port.")
@click.option("--serve", metavar="ADDRESS:PORT", help="Be the echo of others, at this address.")
@click.option("--token", envvar="WOTEMU_TOKEN", metavar="TOKEN", help="What echo and recorder both know.")
@debug_option
def record(
    target: str | None,
    duration: Seconds | None,
    out: Path | None,
    udp: int | None,
    tcp: int | None,
    serve: str | None,
    token: str | None,
    debug: bool,
) -> None:
    """Measure delay, jitter, loss and rate of the path to TARGET.

    \b
    wotemu record gateway.example --for 60s --out path.csv
    wotemu record gateway.example --tcp 443 --for 60s --out path.csv

    The first one measures by ICMP echo, the second one by TCP handshakes: neither has a rate. With an echo
    at the target, each way has its own loss and rate, and its own file, path.up.csv and path.down.csv:

    \b
    wotemu record --serve 192.0.2.1:7007 --token SECRET               # there
    wotemu record 192.0.2.1 --udp 7007 --token SECRET --out path.csv  # here

    It sends 10 packets of 64 bytes a second (TCP: 2 handshakes), and by UDP 16 packets of 1200
    bytes every 2.5 s, which come back: 8.3 kB/s each way. The echo answers only who knows the token, never
    with more than it received. A rate takes 15 s at least.
    """
    with reporting_errors(debug=debug):
        if serve is not None:
            _serve(serve, token, duration)
            return
        if target is None or out is None:
            raise click.UsageError("it needs a TARGET and --out, or --serve ADDRESS:PORT")
        if udp is not None and tcp is not None:
            raise click.UsageError("--udp and --tcp exclude each other")
        if udp is not None and token is None:
            raise InputError("--udp needs the token of the echo", where="--token")
        recordings, is_whole = asyncio.run(_measured(target, udp, tcp, token or "", float(duration or 60)))
        for way, recording in recordings.items():
            name = out.with_name(f"{out.stem}.{way}{out.suffix or '.csv'}") if way else out
            _write(recording, name, target)
        if not is_whole:
            sys.exit(EXIT_INTERRUPTED)


async def _measured(
    target: str, udp: int | None, tcp: int | None, token: str, seconds: float
) -> tuple[dict[str, Recording], bool]:
    """The recordings by their ways, "" for both at once, and whether Ctrl-C has not ended it early."""
    from wotemu_runtime.path_recording.period import Period
    from wotemu_runtime.path_recording.recorder import record_round_trips, record_udp

    period, loop, came = Period(seconds), asyncio.get_running_loop(), list[int]()

    def end(number: int) -> None:
        came.append(number)
        period.end()
        for each in ENDED_BY:  # the second one ends this process
            loop.remove_signal_handler(each)

    for each in ENDED_BY:
        loop.add_signal_handler(each, end, each)
    by = f"UDP to port {udp}" if udp else f"TCP handshakes with port {tcp}" if tcp else "ICMP echo"
    text = f"measuring the path to {target} by {by} for {seconds:g}s; Ctrl-C ends it, with what there is"
    click.echo(text, err=True)
    if udp is not None:
        found = await record_udp(target, udp, token, period)
        return {str(way): recording for way, recording in found.items()}, not came
    return {"": await record_round_trips(target, tcp, period)}, not came


def _serve(where: str, token: str | None, duration: Seconds | None) -> None:
    from wotemu_runtime.path_recording.recorder import serve

    address, colon, port = where.rpartition(":")
    if not (colon and address and port.isdigit() and 0 < int(port) < 65_536):
        raise InputError(f"{where!r} is no ADDRESS:PORT", where="--serve", hint="write 192.0.2.1:7007")
    if token is None:
        token = secrets.token_urlsafe(12)
    ready = f"Echo at {where}, token {token}; Ctrl-C ends it"
    seconds = None if duration is None else float(duration)
    asyncio.run(serve(address.strip("[]"), int(port), token, seconds, lambda: click.echo(ready, err=True)))


def _write(recording: Recording, out: Path, target: str) -> None:
    from wotemu.cli.screen.trace_tables import show_recording
    from wotemu.traces.recording import gaps, summarize
    from wotemu.traces.trace_file import write_trace

    write_trace(recording, out, [f"recorded: the path to {target}"])
    show_recording(recording, summarize(recording), gaps(recording), str(out))
