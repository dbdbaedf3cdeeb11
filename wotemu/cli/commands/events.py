"""``wotemu events``: the events of a run, as they happen or as they were recorded."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wotemu.cli.completing import EmulationOrRunName
from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import debug_option

if TYPE_CHECKING:
    from wotemu.records import Event


@click.command(short_help="Show a run's events, as they happen or recorded.")
@click.argument("name", type=EmulationOrRunName())
@click.option("--follow", is_flag=True, help="Go on as more happen, until the run is over.")
@click.option("--kind", "kinds", multiple=True, metavar="GLOB", help="Only kinds like this. May be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each event.")
@click.option(
    "--as-scenario", is_flag=True, help="Print the changes that were made by hand as a scenario instead."
)
@debug_option
def events(
    name: str, follow: bool, kinds: tuple[str, ...], as_json: bool, as_scenario: bool, debug: bool
) -> None:
    """Show the events of the run NAME; of one that is over, those in its run directory NAME or runs/NAME.

    \b
    wotemu events field --follow
    wotemu events field --kind "app.*" --kind change.failed --json
    wotemu events field --as-scenario       # what was done by hand, as a scenario

    Times are seconds after T0.
    """
    if as_scenario and (follow or kinds or as_json):
        raise click.UsageError("--as-scenario goes with no other option")
    with reporting_errors(debug=debug):
        check_kinds(kinds)
        if as_scenario:
            print(asyncio.run(_as_scenario(name)), end="")
        else:
            asyncio.run(_show(name, kinds, follow=follow, as_json=as_json))


def check_kinds(kinds: tuple[str, ...]) -> None:
    """Refuse a pattern that no kind of event is like, with an `InputError`."""
    from wotemu.errors import InputError
    from wotemu.records.event_kinds import EVENT_KINDS
    from wotemu.suggestions import did_you_mean

    for kind in kinds:
        if not any(fnmatchcase(known, kind) for known in EVENT_KINDS):
            hint = did_you_mean(kind, EVENT_KINDS)
            raise InputError(f"no kind of event is like {kind!r}", where="--kind", hint=hint)


async def stored_or_live(name: str, *kinds: str, follow: bool) -> AsyncGenerator[Event, None]:
    """The events of a run that goes on, or of a record."""
    from wotemu.cli.running import connected, recorded

    found = recorded(name)
    if found is not None:
        from wotemu.recorded_run import RecordedRun

        for event in RecordedRun(found).events(*kinds):
            yield event
        return
    async with connected(name) as client, aclosing(client.events(*kinds, follow=follow)) as logged:
        async for each in logged:
            yield each.event


async def _show(name: str, kinds: tuple[str, ...], *, follow: bool, as_json: bool) -> None:
    from wotemu.cli.screen.clock import RunClock
    from wotemu.cli.screen.event_lines import EventLines
    from wotemu.cli.screen.terminal import console

    # Times are shown from T0 on, so its event is needed whichever kinds are asked for.
    wanted = (*kinds, "deploy.started", "run.t0", "run.resumed") if kinds else ()
    lines: EventLines | None = None
    async with aclosing(stored_or_live(name, *wanted, follow=follow)) as found:
        async for event in found:
            if lines is None:
                lines = EventLines(RunClock(event.t), console())
            lines.take(event)
            if not kinds or any(fnmatchcase(event.kind, kind) for kind in kinds):
                lines.show(event, as_json=as_json)


async def _as_scenario(name: str) -> str:
    made = [event async for event in stored_or_live(name, "control.change", follow=False)]
    return scenario_text(name, await _settings(name), made)


async def _settings(name: str) -> dict[str, Any]:
    """Duration of a run, and its seed, which a run on another machine does not say."""
    from wotemu.cli.running import connected, recorded

    run_dir, duration_s = recorded(name), None
    if run_dir is None:
        async with connected(name) as client:
            status = await client.status()
        run_dir, duration_s = Path(status.run_dir), status.duration_s
    path = run_dir / "timeline.json"
    if duration_s is not None and not path.is_file():
        return {"duration_s": duration_s}
    timeline = json.loads(path.read_bytes())
    return {"duration_s": timeline["duration_s"], "seed": timeline["seed"]}


def scenario_text(name: str, settings: dict[str, Any], made: list[Event]) -> str:
    """Changes that were made by hand as Python source: the function of a deployment's file."""
    from wotemu.units import Seconds

    sources = [_source(event) for event in made]
    presets = [
        word
        for word in ("LinkConditions", "NetworkConditions")
        if any(re.search(rf"\b{word}[.(]", each) for each in sources)
    ]
    moments = [word for word in ("at", "during") if any(each.startswith(word) for each in sources)]
    names = [*presets, "Scenario", *moments]
    lines = [
        f"from wotemu import {', '.join(names)}",
        "",
        "",
        "def scenario():",
        f'    """What was done by hand to {harmless_name(name)}; events of its own scenario are not here."""',
        "    return Scenario(",
        f'        duration="{Seconds(settings["duration_s"])}",',
        *([f"        seed={settings['seed']},"] if "seed" in settings else []),
        "        events=[",
        *(f"            {_source(event)},  # {_who(event)}" for event in made),
        "        ],",
        "    )",
    ]
    return "\n".join(lines) + "\n"


def harmless_name(name: str) -> str:
    """A run's name or path as it may stand in a docstring."""
    return name.encode("ascii", "backslashreplace").decode().replace("\\", "/").replace('"', "'")


def _source(event: Event) -> str:
    return str(event.data.get("source"))


def _who(event: Event) -> str:
    return " ".join(str(event.data.get("who")).split())
