"""The parameters of built-in apps of 0.6: JSON as text, and ids of Things that are others today."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wotemu.compat.old_word import warn_of_old_word

THING_IDS: Mapping[str, str] = {
    "urn:org:fundacionctic:thing:clock": "urn:wotemu:clock",
    "urn:org:fundacionctic:thing:worker": "urn:wotemu:worker",
    "urn:org:fundacionctic:thing:historian": "urn:wotemu:historian",
    "urn:org:fundacionctic:thing:wotemu:camera": "urn:wotemu:camera",
    "urn:org:fundacionctic:thing:wotemu:detector": "urn:wotemu:detector",
}
"""Ids of the Things of built-in apps in 0.6, and today."""

JSON_PARAMS = ("params", "observed_things", "cameras")
"""Parameters that were JSON text."""


def current_params(app: str, params: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The parameters as a built-in app takes them today.

    Args:
        app: The app's name.
        params: As they are written.
        place: The app's place, for warnings.
    """
    found = dict(params)
    for name in JSON_PARAMS:
        value = _parsed(found.get(name))
        if value is not None:
            found[name] = value
            warn_of_old_word(f"{place}, params[{name!r}]: write the value itself, not its JSON text")
    for old, new in THING_IDS.items():
        replaced = _replaced(found, old, new)
        if replaced != found:
            found = replaced
            warn_of_old_word(f"{place}: the Thing {old!r} is now {new!r}")
    inputs = found.get("params")
    if app == "caller" and isinstance(inputs, Mapping) and not all(inputs.values()):
        skipped = [name for name, value in inputs.items() if not value]
        found["params"] = {name: value for name, value in inputs.items() if value}
        found["skip"] = [*found.get("skip", ()), *skipped]
        warn_of_old_word(f"{place}: actions without an input are skipped by skip={skipped!r} now")
    return found


def _parsed(value: Any) -> Any:
    """The list or dict that a text is the JSON of; None where it is none."""
    if not isinstance(value, str):
        return None
    try:
        parsed = json.loads(value)
    except ValueError:
        return None
    return parsed if isinstance(parsed, list | dict) else None


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _replaced(each, old, new) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(each, old, new) for each in value]
    return new if value == old else value
