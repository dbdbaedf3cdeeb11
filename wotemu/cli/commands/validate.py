"""``wotemu validate``: what is wrong with a deployment, for editors and CI."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Literal

import attrs
import click

from wotemu.cli.failures import reporting_errors
from wotemu.cli.loading import check_programs, load_and_resolve
from wotemu.cli.options import checked_engine_option, debug_option
from wotemu.errors import InputError

_PLACE = re.compile(r"(?P<file>[^:\n]*?)(?:, line |:)(?P<line>\d+)(?::(?P<column>\d+))?")
"""What `InputError.where` begins with: ``deployment.py, line 12`` or ``deployment.yml:12:3``."""
_FIELD = re.compile(r"field '(?P<field>[^']*)'")
_FORM_PATH = re.compile(r":\d+:\d+, (?P<path>[^\s:]+)")
"""After the place in YAML and JSON: ``, nodes.sensor.scale``."""


@attrs.frozen
class Problem:
    """Why a deployment would be refused, or what a run would warn of.

    Attributes:
        file: Its name, as messages have it.
        line, column: From 1; None where it is no one line that is wrong.
        field: What is wrong there, ``latency`` or, in YAML, ``nodes.sensor.scale``; None where not known.
        where: The whole place in words; None where the message says it.
    """

    level: Literal["error", "warning"]
    message: str
    file: str
    line: int | None = None
    column: int | None = None
    field: str | None = None
    where: str | None = None
    hint: str | None = None


@click.command(short_help="Say what is wrong with a deployment, for editors and CI.")
@click.argument("path", metavar="FILE")
@checked_engine_option
@click.option(
    "--json", "as_json", is_flag=True, help="Print what is wrong as JSON, with file, line and field."
)
@debug_option
def validate(path: str, engine: str, as_json: bool, debug: bool) -> None:
    """Check the deployment of the FILE as a run would before it starts anything.

    This finds what `wotemu plan` refuses or warns of, apps, files and programs that are not there among it.

    Exit codes: 0 a run would start, though there may be warnings, 2 it would be refused.

    \b
    wotemu validate deployment.py
    wotemu validate deployment.yml --json
    """
    with reporting_errors(debug=debug):
        try:
            warnings = _warnings(path, engine, as_json=as_json)
        except InputError as error:
            if debug or not as_json:
                raise
            _print_json(path, [refusal(error, path)])
            sys.exit(error.exit_code)
        problems = [Problem("warning", warning, Path(path).name) for warning in warnings]
        if as_json:
            _print_json(path, problems)
            return
        from wotemu.cli.screen.terminal import harmless

        for problem in problems:
            click.echo(harmless(f"warning: {problem.message}"))
        click.echo(harmless(f"{path}: a run would start"))


def _warnings(path: str, engine: str, *, as_json: bool) -> list[str]:
    """What a run would warn of; raises an `InputError` where it would be refused."""
    deployment, resolver = load_and_resolve(path, None, None, as_json=as_json)
    check_programs(deployment, resolver, engine)
    return list(resolver.warnings)


def refusal(error: InputError, path: str) -> Problem:
    """An error as a problem of the file at `path`, its place taken apart."""
    where = error.where or ""
    place, field = _PLACE.match(where), _FIELD.search(where)
    form_path = _FORM_PATH.search(where)
    column = place["column"] if place else None
    return Problem(
        level="error",
        message=error.message,
        file=place["file"] if place else Path(path).name,
        line=int(place["line"]) if place else None,
        column=int(column) if column else None,
        field=form_path["path"] if form_path else field["field"] if field else None,
        where=error.where,
        hint=error.hint,
    )


def _print_json(path: str, problems: list[Problem]) -> None:
    is_valid = all(problem.level != "error" for problem in problems)
    found = [attrs.asdict(problem) for problem in problems]
    click.echo(json.dumps({"path": path, "valid": is_valid, "problems": found}, indent=1))
