"""Kinds of form values, made from the types of classes' fields and of functions' arguments."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import attrs

from wotemu.forms.calls import Argument, Call
from wotemu.forms.compound import OneOfCalls, Sum
from wotemu.forms.kinds import (
    AnyOf,
    Anything,
    Choice,
    Kind,
    ListOf,
    MapOf,
    Reference,
    Refused,
    Scalar,
    Target,
    Tuple,
)
from wotemu.scenario.vocabulary.targets import Tag
from wotemu.scenario.vocabulary.traces import Trace
from wotemu.scenario.vocabulary.waves import Wave, wave
from wotemu.topology.devices import DEVICES, Device, device_hints
from wotemu.topology.link_conditions import PRESET_ALIASES, LinkConditions
from wotemu.topology.loss_models import GilbertElliott, MarkovLoss
from wotemu.topology.models import (
    Broker,
    Link,
    Network,
    NetworkConditions,
    Node,
    NodeResources,
    Service,
    Uplink,
)
from wotemu.units import Quantity

SECTIONS: dict[type, str] = {
    Network: "networks",
    Link: "links",
    Broker: "brokers",
    Service: "services",
    Uplink: "uplinks",
}
"""The part of a form that defines the objects of a class."""
_TARGETS = (Network, Link, Node, Broker, Service, Uplink, Tag)
_LOSS_MODELS = (GilbertElliott, MarkovLoss)
PRESETS = NetworkConditions.presets()
LINK_PRESETS = LinkConditions.presets()
RESOURCE_PRESETS = NodeResources.presets()
OTHER_KINDS: dict[type, Kind] = {}
"""Kinds of types that other modules know."""
NO_FUNCTION = "a form is read without running code, so it can't hold a function"


@cache
def kind_of(annotation: Any, *, by_name: bool = False) -> Kind:
    """The kind of a type.

    Args:
        annotation: The type.
        by_name: Whether networks, nodes and other objects are named, as in a scenario, and looked up when it
            is resolved.
    """
    parts = list(_parts(annotation))
    if len(parts) > 1:
        return _union(parts, by_name=by_name)
    return _one(parts[0], by_name=by_name)


def _parts(annotation: Any) -> Iterable[Any]:
    """The members of a union, or the type itself."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for each in typing.get_args(annotation):
            yield from _parts(each)
    else:
        yield annotation


def _union(parts: list[Any], *, by_name: bool) -> Kind:
    parts = [each for each in parts if each is not timedelta and not _is_function(each)]
    if any(each in _LOSS_MODELS for each in parts):  # a dict is what records of a run hold
        parts = [each for each in parts if typing.get_origin(each) is not dict]
    if by_name and any(each in _TARGETS for each in parts):
        parts = [each for each in parts if each is not str]
    scalars = [each for each in (_scalar_types(part) for part in parts) if each]
    kinds: list[Kind] = [Scalar(frozenset().union(*scalars))] if scalars else []
    kinds += [kind_of(part, by_name=by_name) for part in parts if not _scalar_types(part)]
    flat = [each for kind in kinds for each in (kind.kinds if isinstance(kind, AnyOf) else (kind,))]
    sections = tuple(each for kind in flat if isinstance(kind, Reference) for each in kind.sections)
    unique: list[Kind] = [Reference(sections)] if sections else []
    flat = [kind for kind in flat if not isinstance(kind, Reference)]
    for kind in sorted(flat, key=lambda each: not isinstance(each, Choice)):  # words before any text
        if kind not in unique:
            unique.append(kind)
    return unique[0] if len(unique) == 1 else AnyOf(tuple(unique))


def _scalar_types(part: Any) -> frozenset[type]:
    """The types of scalars that stand for a type; none where it is no scalar."""
    if part in (str, bool, int, float):
        return frozenset({part})
    if part in (None, type(None)):
        return frozenset({type(None)})
    if part is Path:
        return frozenset({str})
    if isinstance(part, type) and issubclass(part, Quantity):
        return frozenset({str, float})
    return frozenset()


def _one(part: Any, *, by_name: bool) -> Kind:
    if scalar := _scalar_types(part):
        return Scalar(scalar)
    if part is Any:
        return Anything()
    if _is_function(part):
        return Refused(NO_FUNCTION)
    origin, args = typing.get_origin(part), typing.get_args(part)
    if origin is typing.Literal:
        return Choice({each: each for each in args})
    if origin in (dict, Mapping):
        return MapOf(kind_of(args[1], by_name=by_name))
    if origin is tuple and args[-1] is not Ellipsis:
        return Tuple(tuple(kind_of(each, by_name=by_name) for each in args))
    if origin in (tuple, list, Iterable, Sequence):
        return ListOf(kind_of(args[0], by_name=by_name))
    if isinstance(part, type):
        return _object(part, by_name=by_name)
    raise TypeError(f"a form can't hold {part!r} yet")


def _is_function(part: Any) -> bool:
    return typing.get_origin(part) is Callable


def _object(part: type, *, by_name: bool) -> Kind:
    if part in OTHER_KINDS:
        return OTHER_KINDS[part]
    if by_name and part in _TARGETS:
        return Target()
    if part is Link:
        return AnyOf((Reference(("links",)), call_of(Link)))
    if part in SECTIONS:
        return Reference((SECTIONS[part],))
    if part is NetworkConditions:
        return AnyOf((Choice(PRESETS, _preset_hints()), call_of(part)))
    if part is LinkConditions:
        return Choice(LINK_PRESETS)
    if part is Device:
        return Choice(DEVICES, device_hints())
    if part is NodeResources:
        return AnyOf((Choice(RESOURCE_PRESETS, device_hints()), call_of(part)))
    if part in _LOSS_MODELS:
        return _loss_models()
    if part is Wave:
        return _sum_of_waves()
    if part is Trace:
        return call_of(Trace.read, name="Trace")
    if attrs.has(part):
        return call_of(part)
    raise TypeError(f"a form can't hold {part!r} yet")


def call_of(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    by_name: bool = False,
    leave: tuple[str, ...] = (),
) -> Call:
    """The call of a class or function by its arguments.

    Args:
        function: A class of the topology, a function, or a method, whose `self` is left out.
        name: Its name in messages and in the schema.
        by_name: See `kind_of`.
        leave: Arguments that are not the user's to give.
    """
    if isinstance(function, type):
        arguments = _of_class(function, by_name=by_name)
    else:
        arguments = _of_function(function, by_name=by_name)
    left = {key: each for key, each in arguments.items() if key not in leave}
    title = (inspect.getdoc(function) or "").partition("\n")[0]
    aliases = getattr(function, "ALIASES", {})
    return Call(name or function.__name__, function, left, title, aliases)


def _of_class(cls: type, *, by_name: bool) -> dict[str, Argument]:
    hints, texts = typing.get_type_hints(cls), described(cls)
    return {
        field.name: Argument(
            kind_of(hints[field.name], by_name=by_name),
            required=field.default is attrs.NOTHING,
            positional=not field.kw_only,
            description=texts.get(field.name, ""),
        )
        for field in attrs.fields(cls)
        if field.init
    }


def _of_function(function: Callable[..., Any], *, by_name: bool) -> dict[str, Argument]:
    hints, texts = typing.get_type_hints(function), described(function)
    found: dict[str, Argument] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in ("self", "cls"):
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            values = typing.get_args(hints[name])[0]  # Unpack[ConditionValues]
            fields = typing.get_type_hints(values)
            found |= {key: Argument(kind_of(hint, by_name=by_name)) for key, hint in fields.items()}
            continue
        kind, spread = kind_of(hints[name], by_name=by_name), parameter.kind is parameter.VAR_POSITIONAL
        found[name] = Argument(
            ListOf(kind, 1) if spread else kind,
            required=spread or parameter.default is parameter.empty,
            spread=spread,
            positional=parameter.kind is not parameter.KEYWORD_ONLY,
            description=texts.get(name, ""),
        )
    return found


_ENTRY = re.compile(r"^ {4}(\w+(?:, \w+)*): (.*)$")


def described(obj: Any) -> dict[str, str]:
    """What a docstring says about each argument or attribute."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in (inspect.getdoc(obj) or "").splitlines():
        if match := _ENTRY.match(line):
            names = match[1].split(", ")
            found |= dict.fromkeys(names, match[2])
        elif line.startswith(" " * 8) and names:
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        else:
            names = []
    return found


def _preset_hints() -> dict[str, str]:
    """What may be meant by other names of presets, in lower case; some are for links alone."""
    meant = PRESET_ALIASES | {name.lower(): name for name in (*PRESETS, *LINK_PRESETS)}
    for_links = "?; it is for the conditions of a link, whose two ways may differ"
    return {
        word: f"did you mean {name!r}{for_links if name in LINK_PRESETS else '?'}"
        for word, name in meant.items()
    }


@cache
def _loss_models() -> Kind:
    return OneOfCalls({each.KIND: call_of(each) for each in _LOSS_MODELS})


@cache
def _sum_of_waves() -> Kind:
    return Sum(ListOf(call_of(wave), 1))
