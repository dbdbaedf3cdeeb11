"""Converters and validators that name the object and the field when a value can't be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from wotemu.errors import TopologyError
from wotemu.units import Bytes, Fraction, Hertz, Like, Rate, Seconds

HOST_NAME = re.compile(r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$", re.IGNORECASE)
MAX_NAME = 48
"""Characters of a name: leaves room, within the 63 of a host name label, for a replica's number."""
RESERVED = ("wotemu-", "gateway-of-")
"""How the names begin that WoTemu's own roles have where nodes could look them up."""
MAX_EXTRA_BYTES = 65535
"""More than any packet has."""


def label(obj: Any) -> str:
    """How messages name an object: ``Node 'reader'``."""
    name = getattr(obj, "name", None)
    kind = type(obj).__name__
    return f"{kind} {name!r}" if isinstance(name, str) else kind


def fail(obj: Any, field: str, message: str, hint: str | None = None) -> TopologyError:
    """The error for one field of one object."""
    return TopologyError(message, where=f"{label(obj)}, field {field!r}", hint=hint)


class Checked:
    """A base whose fields are parsed by plain converters, and whose errors name the object and the field."""

    def __attrs_pre_init__(self, *args: Any, **kwargs: Any) -> None:
        """Try each field's converter first, where the field's name is still known."""
        fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(type(self))  # type: ignore[arg-type]  # attrs subclasses only
        given = dict(zip([field.name for field in fields if not field.kw_only], args, strict=False)) | kwargs
        for field in fields:
            value = given.get(field.name)
            if (
                value is None
                or value is attrs.NOTHING
                or field.converter is None
                or isinstance(field.converter, attrs.Converter)
            ):
                continue
            try:
                field.converter(value)
            except (ValueError, TypeError) as error:
                name = given.get("name")
                kind = type(self).__name__
                where = f"{kind} {name!r}" if isinstance(name, str) else kind
                raise TopologyError(str(error), where=f"{where}, field {field.name!r}") from error


def seconds(value: Like | None) -> Seconds:
    """The converter of a duration that has a default of zero."""
    return Seconds(0) if value is None else Seconds.of(value)


def fraction(value: Like | None) -> Fraction:
    """The converter of a share that has a default of zero."""
    return Fraction(0) if value is None else Fraction.of(value)


def share(value: Like) -> Fraction:
    """The converter of a share that must be given."""
    return Fraction.of(value)


def optional_rate(value: Like | None) -> Rate | None:
    """The converter of a rate; None is no limit."""
    return None if value is None else Rate.of(value)


def flag(value: bool) -> bool:
    """The converter of a yes or no."""
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither True nor False")
    return value


def whole_bytes(value: int) -> int:
    """The converter of a packet's extra bytes; fewer than none are possible, as in tc-netem(8)."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_EXTRA_BYTES:
        raise ValueError(f"{value!r} is not a whole number of bytes, of at most {MAX_EXTRA_BYTES}")
    return value


def optional_bytes(value: Like | None) -> Bytes | None:
    """The converter of a size; None is not given."""
    return None if value is None else Bytes.of(value)


def optional_hertz(value: Like | None) -> Hertz | None:
    """The converter of a frequency; None is not given."""
    return None if value is None else Hertz.of(value)


def optional_cores(value: Like | None) -> float | None:
    """The converter of a number of CPU cores; None is not given."""
    if value is None:
        return None
    try:
        cores = float(value) if isinstance(value, str | int | float) else 0.0
    except (ValueError, TypeError):
        cores = 0.0
    if isinstance(value, bool) or not 0 < cores < float("inf"):
        raise ValueError(f"{value!r} is not a number of CPU cores: write one such as 0.5")
    return cores


def check_name(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """A name must work as a host name: nodes find each other by it."""
    if not isinstance(value, str) or not value:
        raise fail(instance, attribute.name, f"{value!r} is not a name: give a non-empty string")
    if len(value) > MAX_NAME:
        raise fail(instance, attribute.name, f"{value!r} is longer than {MAX_NAME} characters")
    if not HOST_NAME.match(value):
        raise fail(
            instance,
            attribute.name,
            f"{value!r} can't be a host name",
            hint="use letters, digits, '-' and '_', beginning and ending with a letter or digit",
        )
    if value.lower() == "localhost":
        raise fail(
            instance, attribute.name, "'localhost' always means the node itself", hint="take another name"
        )
    if value.lower().startswith(RESERVED):
        raise fail(
            instance,
            attribute.name,
            f"{value!r}: names that begin so are WoTemu's own",
            hint="take another name",
        )


def each(
    instance: Any, field: str, values: Any, kinds: type | tuple[type, ...], what: str
) -> tuple[Any, ...]:
    """The sequence as a tuple whose items all are of `kinds`."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise fail(instance, field, f"{values!r} is no list: write [...], each of it {what}")
    items = tuple(values)
    for item in items:
        if not isinstance(item, kinds):
            raise fail(instance, field, f"{item!r} is not {what}")
    return items


def kind_of(
    kind: type, what: str, *, optional: bool = False
) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """A validator: the value is of this kind."""

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not (isinstance(value, kind) or (optional and value is None)):
            raise fail(instance, attribute.name, f"{value!r} is not {what}")

    return check


def whole(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """A whole number of at least one."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise fail(instance, attribute.name, f"{value!r} is not a whole number of at least 1")


def strings(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """A mapping of strings to strings, as an environment is."""
    if not isinstance(value, dict) or not all(
        isinstance(k, str) and isinstance(v, str) for k, v in value.items()
    ):
        raise fail(instance, attribute.name, f"{value!r} is not a dict of strings to strings")


def text(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise fail(instance, attribute.name, f"{value!r} is not a non-empty string")


def optional_text(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Text that says something, or None."""
    if value is not None:
        text(instance, attribute, value)
