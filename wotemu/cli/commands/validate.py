"""``wotemu validate``: what is wrong with a deployment, for editors and CI."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs
import click

from wotemu.cli.completing import DeploymentFile
from wotemu.cli.failures import print_error, reporting_errors
from wotemu.cli.loading import check_plan, clean_stdout
from wotemu.cli.options import checked_engine_option, debug_option
from wotemu.errors import HostError, InputError

if TYPE_CHECKING:
    from wotemu.deployment_file import Deployment
    from wotemu.scenario import Resolver
    from wotemu.scenario.vocabulary.actions import Action


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
@click.argument("path", metavar="FILE", type=DeploymentFile())
@checked_engine_option
@click.option(
    "--json", "as_json", is_flag=True, help="Print what is wrong as JSON, with file, line and field."
)
@debug_option
def validate(path: str, engine: str, as_json: bool, debug: bool) -> None:
    """Check the deployment of the FILE as a run would before it starts anything.

    This finds what `wotemu plan` refuses or warns of, apps, files and programs that are not there and faults
    that can't be imposed among it.
    Of YAML and JSON it finds everything that is wrong with the file's values, of Python the first mistake.

    Exit codes: 0 a run would start, though there may be warnings, 2 it would be refused.

    \b
    wotemu validate deployment.py
    wotemu validate deployment.yml --json
    """
    with reporting_errors(debug=debug):
        warnings, refused = _checked(path, engine, as_json=as_json)
        if refused is not None and debug:
            raise refused
        if as_json:
            _print_json(path, [*_refusals(refused, path), *warnings])
        else:
            _print_text(path, refused, warnings)
        if refused is not None:
            sys.exit(refused.exit_code)


def _checked(path: str, engine: str, *, as_json: bool) -> tuple[list[Problem], InputError | HostError | None]:
    """What a run would warn of, as far as that is known, and why it would be refused."""
    from wotemu.deployment_file import load

    warnings: list[Problem] = []
    try:
        with clean_stdout(as_json=as_json):
            deployment = load(path)
        resolver = _resolver(deployment)
        found = (*deployment.warnings, *resolver.warnings)
        warnings = [_warning(each, deployment) for each in found]
        check_plan(deployment, resolver, engine)
    except (InputError, HostError) as error:
        return warnings, error
    return warnings, None


def _resolver(deployment: Deployment) -> Resolver:
    """Resolve the scenario.

    Raises:
        InputError: An event is not possible; those that are not either without it are its `more`.
    """
    from wotemu.scenario import Resolver

    try:
        return Resolver(deployment.topology, deployment.scenario)
    except InputError as error:
        found, events = error, deployment.scenario.events
        while (wrong := next((each for each in events if _is_about(found, each)), None)) is not None:
            events = tuple(each for each in events if each is not wrong)
            # Without objectives, which may name a phase that begins with what is left out.
            possible = attrs.evolve(deployment.scenario, events=events, expect=())
            try:
                Resolver(deployment.topology, possible)
            except InputError as other:
                found = other
                error.more = (*error.more, other)
            else:
                break
        raise


def _is_about(error: InputError, event: Action) -> bool:
    written = getattr(event, "written", None)
    return error.place is not None and written is not None and written.place is error.place


def _refusals(error: InputError | HostError | None, path: str) -> list[Problem]:
    """An error, and what else it says is wrong, as problems of the file at `path`."""
    if error is None:
        return []
    if isinstance(error, HostError):
        return [Problem("error", error.message, Path(path).name, where=error.where, hint=error.hint)]
    return [_refusal(each, path) for each in (error, *error.more)]


def _refusal(error: InputError, path: str) -> Problem:
    place = error.place
    return Problem(
        level="error",
        message=error.message,
        file=place.file if place is not None else Path(path).name,
        line=place.line if place is not None else None,
        column=place.column if place is not None else None,
        field=(place.path if place is not None else "") or error.field,
        where=error.where,
        hint=error.hint,
    )


def _warning(text: str, deployment: Deployment) -> Problem:
    """A warning of the linter, with the place of the first action that it names."""
    found = Problem("warning", text, deployment.path.name)
    named = [event for event in deployment.scenario.events if event.where in text]
    first = min(named, key=lambda event: text.index(event.where), default=None)
    written = getattr(first, "written", None)
    if written is None or written.place is None:
        return found
    place = written.place
    return attrs.evolve(
        found, file=place.file, line=place.line, column=place.column, field=place.path or None
    )


def _print_text(path: str, refused: InputError | HostError | None, warnings: list[Problem]) -> None:
    from wotemu.cli.screen.terminal import harmless

    if refused is not None:
        print_error(refused)
    for warning in warnings:
        click.echo(harmless(f"warning: {warning.message}"))
    if refused is None:
        click.echo(harmless(f"{path}: a run would start"))


def _print_json(path: str, problems: list[Problem]) -> None:
    is_valid = all(problem.level != "error" for problem in problems)
    found = [attrs.asdict(problem) for problem in problems]
    click.echo(json.dumps({"path": path, "valid": is_valid, "problems": found}, indent=1))
