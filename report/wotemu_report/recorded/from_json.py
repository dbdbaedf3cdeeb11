"""Reads attrs values from JSON leniently, so that the run directories of older versions can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
import cattrs

from wotemu.scenario.timeline import Change, Phase

T = TypeVar("T")
# Without its id or its time a change means nothing: a file that lacks them is damaged, not old.
_STRICT: Mapping[type[Any], frozenset[str]] = {
    Change: frozenset({"id", "at_s"}),
    Phase: frozenset({"name", "start_s"}),
}
_EMPTY: Mapping[type[Any], Any] = {str: "", int: 0, float: float("nan"), tuple: (), dict: {}, Mapping: {}}


def from_json(cls: type[T], raw: Any) -> T:
    """A value of the attrs class `cls` from what JSON has of it.

    A field that is missing has its default, or is empty: "", 0, None, no elements; a float is NaN. Names that
    the class does not have are ignored.

    Raises:
        TypeError, ValueError, KeyError: The JSON has values of other types, or lacks what can't be empty.
    """
    return _CONVERTER.structure(raw, cls)


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook_factory(attrs.has, lambda cls: _reader(converter, cls))
    # A newer version may know more of these than this one: what is only shown need not be known.
    converter.register_structure_hook_func(_is_literal, lambda raw, _: raw)
    return converter


def _reader(converter: cattrs.Converter, cls: type[Any]) -> Callable[[Any, Any], Any]:
    kinds = get_type_hints(cls)
    strict = _STRICT.get(cls, frozenset())

    def read(raw: Any, _: Any) -> Any:
        if not isinstance(raw, Mapping):
            raise TypeError(f"an object was expected, not {type(raw).__name__}")
        values = {}
        for field in attrs.fields(cls):
            kind = kinds[field.name]
            value = raw[field.name] if field.name in strict else raw.get(field.name)
            if value is not None or (field.name in raw and _is_optional(kind)):
                values[field.name] = converter.structure(value, kind)
            elif field.default is attrs.NOTHING:
                values[field.name] = _EMPTY.get(get_origin(kind) or kind)
        return cls(**values)

    return read


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _is_optional(kind: Any) -> bool:
    return kind is Any or (get_origin(kind) in (Union, UnionType) and NoneType in get_args(kind))


_CONVERTER = _converter()
