"""``wotemu import``: a measurement or a published data set becomes a trace that ``.replay`` takes."""

from __future__ import annotations

import contextlib
import inspect
import json
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import Duration, debug_option, json_option
from wotemu.traces.format_names import FORMAT_NAMES

if TYPE_CHECKING:
    from wotemu.traces.recording import Recording
    from wotemu.units import Seconds

_LIST = "\n".join(f"{name:<12} {what}" for name, what in FORMAT_NAMES.items())


@click.command("import", short_help="Make a trace of a measurement or a published data set.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "from_format",
    required=True,
    type=click.Choice(list(FORMAT_NAMES)),
    metavar="FORMAT",
    help="See above.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="TRACE", help="The CSV to write."
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="TARGET=COLUMN:UNIT",
    help="What a column of a CSV is; may be repeated. TARGET is t, keep, latency, jitter, loss or rate; "
    "COLUMN a name, or a number where the file has no header; /2 makes one way of a round trip.",
)
@click.option(
    "--direction",
    type=click.Choice(["up", "down"]),
    help="Which way to take, of files that tell them apart.  [default: down; losses: both]",
)
@click.option("--only", metavar="CONDITIONS", help="Take these conditions alone: --only latency,loss.")
@click.option("--window", type=Duration(), metavar="TIME", help="Length of a row made of single round trips.")
@click.option(
    "--within",
    type=Duration(),
    metavar="TIME",
    help="Mahimahi: how early or late an opportunity may come.  [default: 5ms]",
)
@click.option(
    "--interval",
    type=Duration(),
    metavar="TIME",
    help="Ping without -D: time between packets.  [default: 1s]",
)
@click.option(
    "--allow",
    type=click.Choice(["loaded-rtt"]),
    multiple=True,
    help="Take a rate and round-trip times together although the path's own queue may be in them.",
)
@json_option
@debug_option
def import_(
    file: Path,
    from_format: str,
    out: Path,
    columns: tuple[str, ...],
    direction: str | None,
    only: str | None,
    window: Seconds | None,
    within: Seconds | None,
    interval: Seconds | None,
    allow: tuple[str, ...],
    as_json: bool,
    debug: bool,
) -> None:
    """Make the trace TRACE of FILE, and say what was understood.

    \b
    wotemu import Verizon-LTE-driving.down --from mahimahi --out lte.csv
    wotemu import walk.log --from ping --out walk.csv
    wotemu import runs.csv --from csv --out runs-trace.csv \\
        --column t=time:s --column latency=rtt_ms:ms/2 --column loss=lost:%

    Then during("0s", "60s").replay(link, "lte.csv", loop=True) replays it. FORMAT is one of:

    \b
    {formats}
    """
    with reporting_errors(debug=debug):
        from wotemu.traces.column_mapping import MappedColumn
        from wotemu.traces.formats import ImportOptions, read
        from wotemu.traces.recording import CONDITION_COLUMNS, refuse_double_queueing
        from wotemu.traces.trace_file import source_line, write_trace

        options = ImportOptions(
            columns=tuple(map(MappedColumn.of, columns)),
            direction=direction,  # type: ignore[arg-type]  # click has checked it
            window_s=window,
            interval_s=interval,
            **({} if within is None else {"within_s": float(within)}),
        )
        content = _content(file)
        recording = read(_text(content, file), str(file), from_format, options)
        if only is not None:
            recording = recording.only([CONDITION_COLUMNS[name] for name in _names(only)], str(file))
        refuse_double_queueing(recording, str(file), allowed="loaded-rtt" in allow)
        write_trace(recording, out, [source_line(file, content), f"format: {from_format}"])
        _show(recording, out, as_json=as_json)


# Python 3.13 drops the indentation of docstrings, click that of earlier versions.
import_.help = inspect.cleandoc(import_.help or "").replace("{formats}", _LIST)


def _content(file: Path) -> bytes:
    from wotemu.errors import InputError

    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"it can't be read: {error.strerror}", where=str(file), hint=_meant(file)) from error


def _meant(file: Path) -> str:
    """What to give instead of a file that can't be read."""
    if file.is_dir():
        return "give a file in it"
    with contextlib.suppress(OSError):
        names = [each.name for each in file.parent.iterdir() if each.is_file()]
        if close := get_close_matches(file.name, names, 1):
            return f"did you mean {file.parent / close[0]}?"
    return "give the file that the measurement was written to, such as walk.log of: ping -D HOST > walk.log"


def _text(content: bytes, file: Path) -> str:
    from wotemu.errors import InputError

    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("it is no text", where=str(file), hint="decompress it first") from error


def _names(only: str) -> list[str]:
    from wotemu.errors import InputError
    from wotemu.suggestions import did_you_mean
    from wotemu.traces.recording import CONDITION_COLUMNS

    names = [name.strip() for name in only.split(",") if name.strip()]
    for name in names:
        if name not in CONDITION_COLUMNS:
            raise InputError(
                f"there is no condition {name!r}", where="--only", hint=did_you_mean(name, CONDITION_COLUMNS)
            )
    return names


def _show(recording: Recording, out: Path, *, as_json: bool) -> None:
    from wotemu.traces.recording import gaps, summarize

    summaries, found = summarize(recording), gaps(recording)
    if as_json:
        data = {
            "trace": str(out),
            "rows": len(recording.rows),
            "length_s": recording.length_s,
            "columns": [attrs.asdict(each) for each in summaries],
            "gaps": [attrs.asdict(each) for each in found],
            "assumptions": recording.assumptions,
        }
        click.echo(json.dumps(data, indent=2))
        return
    from wotemu.cli.screen.trace_tables import show_recording

    show_recording(recording, summaries, found, str(out))
