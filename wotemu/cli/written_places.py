"""Adds the line of the deployment's file to errors that only the plan shows, such as a missing program."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from pathlib import Path

from wotemu.errors import InputError, Place

_MAKERS = {
    "networks": "Network",
    "nodes": "Node",
    "brokers": "Broker",
    "services": "Service",
    "uplinks": "Uplink",
}
"""The class whose call makes one, by the section that YAML has it in."""


@contextlib.contextmanager
def located(path: Path) -> Iterator[None]:
    """Add the file's line to an error of the block about an object that the file describes.

    Args:
        path: The deployment's file, in whichever form.
    """
    try:
        yield
    except InputError as error:
        if error.place is None and error.owner is not None:
            error.place = _written(path, *error.owner, error.field)
            if error.place is not None:
                error.where = f"{error.place}, {error.where}" if not error.place.path else str(error.place)
        raise


def _written(path: Path, section: str, name: str, field: str | None) -> Place | None:
    from wotemu.deployment_file import FORMS

    if path.suffix.lower() in FORMS:
        from wotemu.forms.deployment import place_in_form

        return place_in_form(path, section, name, *filter(None, [field]))
    try:
        source = path.read_text(encoding="utf-8")
    except OSError:  # one that was put together in Python has no file
        return None
    line = line_of(source, _MAKERS[section], name, field)
    return None if line is None else Place(path.name, line)


def line_of(source: str, maker: str, name: str, field: str | None = None) -> int | None:
    """The line of a Python file on which the argument of a call is written, or the call without it.

    Args:
        source: The file's text.
        maker: The name of what is called, such as ``Node``.
        name: The text that is its first argument, or its `name`.
        field: The argument.

    Returns:
        From 1; None where no call, or more than one, has this name as a literal.
    """
    calls = [each for each in ast.walk(ast.parse(source)) if isinstance(each, ast.Call)]
    found = [call for call in calls if _called(call) == maker and _name(call) == name]
    if len(found) != 1:
        return None
    (call,) = found
    values = (keyword.value for keyword in call.keywords if keyword.arg == field)
    return next(values, call).lineno


def _called(call: ast.Call) -> str:
    made = call.func
    return made.attr if isinstance(made, ast.Attribute) else made.id if isinstance(made, ast.Name) else ""


def _name(call: ast.Call) -> object:
    values = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "name")]
    return next((each.value for each in values if isinstance(each, ast.Constant)), None)
