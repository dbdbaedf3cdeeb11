"""Checks the parameters of built-in apps before anything starts, by the annotations of the app's function."""

from __future__ import annotations

import importlib
import json
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wotemu.errors import InputError

PACES = ("interval", "rate", "lambd")
"""Parameters of which only one may be given: see `_consumer.gaps`."""


def checked(app: str, params: Mapping[str, Any], node: str) -> dict[str, Any]:
    """The parameters with numbers that were written as strings made numbers.

    Args:
        app: the built-in app's name.
        params: its keyword arguments; ones that it does not take are left as they are, and refused later.
        node: the name of the node that it runs on, for errors.

    Raises:
        InputError: a value is of another type than the app takes, or two ways of pacing are given.
    """
    hints = typing.get_type_hints(importlib.import_module(f"wotemu_runtime.apps.{app}").app)
    given = {name: value for name, value in params.items() if name in PACES and value is not None}
    if len(given) > 1:
        raise _wrong(
            node, app, next(iter(given)), f"it is given with {' and '.join(list(given)[1:])}", "give one"
        )
    return {
        name: _as(_kinds(hints[name]), value, node, app, name) if name in hints else value
        for name, value in params.items()
    }


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The types that a parameter takes: ``float | None`` is two."""
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    return typing.get_args(hint) if union else (hint,)


def _as(kinds: tuple[Any, ...], value: Any, node: str, app: str, name: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    if str in kinds and int in kinds:  # a size: "50M" or a number
        kinds = (object,)
    wanted = []
    for kind in kinds:
        if kind is type(None):
            continue
        what, convert = _wanted(kind)
        try:
            return convert(value)
        except (TypeError, ValueError):
            wanted.append(what)
    listed = " or ".join(wanted)
    raise _wrong(node, app, name, f"{value!r:.200} is not {listed}", _hint(name, value, listed))


def _wanted(kind: Any) -> tuple[str, Callable[[Any], Any]]:
    """What a kind of parameter is called, and what makes a value one."""
    items = typing.get_args(kind)
    if items and typing.is_typeddict(items[0]):
        required, optional = sorted(items[0].__required_keys__), sorted(items[0].__optional_keys__)
        also = f", and {' and '.join(optional)} if need be" if optional else ""
        return f"a list of dicts with {' and '.join(required)}{also}", _texts_by_key(required, optional)
    return _WANTED.get(kind) or _WANTED[typing.get_origin(kind)]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _whole(value: Any) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError
    return int(number)


def _instance(kind: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, kind):
            raise TypeError
        return value

    return check


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise TypeError
    return list(value)


def _each(kind: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, list | tuple) or not all(isinstance(each, kind) for each in value):
            raise TypeError
        return list(value)

    return check


def _texts_by_key(required: Iterable[str], optional: Iterable[str]) -> Callable[[Any], Any]:
    """Takes lists of dicts that have strings for these keys, and no other keys."""
    needed, known = set(required), {*required, *optional}

    def check(value: Any) -> Any:
        for each in _each(dict)(value):
            if not needed <= set(each) <= known or not all(isinstance(text, str) for text in each.values()):
                raise ValueError
        return list(value)

    return check


_WANTED: dict[Any, tuple[str, Callable[[Any], Any]]] = {
    float: ("a number", _number),
    int: ("a whole number", _whole),
    str: ("a string", _instance(str)),
    list[str]: ("a list of strings", _texts),
    list[list]: ("a list of lists", _each(list)),  # type: ignore[type-arg]
    dict: ("a dict", _instance(dict)),
    object: ("a value", lambda value: value),
    Any: ("a value", lambda value: value),
}


def _hint(name: str, value: Any, wanted: str) -> str:
    if isinstance(value, str) and wanted == "a list of strings":
        return f'write {{"{name}": ["{value}"]}}' if not value.startswith("[") else f"write {name} as a list"
    if wanted.startswith("a list of dicts with"):
        return f'write {{"{name}": [{{"servient_host": "NODE", "thing_id": "urn:..."}}]}}'
    if isinstance(value, str) and wanted == "a dict":
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = None
        if isinstance(parsed, dict):
            return f'it is the JSON text of one; write the dict itself: {{"{name}": {parsed!r}}}'
    return f"give {wanted}"


def _wrong(node: str, app: str, name: str, message: str, hint: str) -> InputError:
    return InputError(message, where=f"Node {node!r}, app {app!r}, params[{name!r}]", hint=hint)
