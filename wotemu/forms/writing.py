"""Topologies and scenarios of Python as the plain values of a form, which `deployment` reads as the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import attrs

from wotemu.errors import InputError
from wotemu.forms.calls import Call
from wotemu.forms.events import NAMED, moments
from wotemu.forms.from_types import LINK_PRESETS, NO_FUNCTION, PRESETS, RESOURCE_PRESETS
from wotemu.forms.objectives import objective_text, on_wire_text
from wotemu.scenario.objectives.expect import Objective
from wotemu.scenario.scenario import Phase, Scenario
from wotemu.scenario.vocabulary.actions import Action, seconds
from wotemu.scenario.vocabulary.at import Instant
from wotemu.scenario.vocabulary.during import Period
from wotemu.scenario.vocabulary.every import Repeat
from wotemu.scenario.vocabulary.on_wire import OnWire
from wotemu.scenario.vocabulary.radio import PathLoss
from wotemu.scenario.vocabulary.request_condition import RequestCondition
from wotemu.scenario.vocabulary.targets import Tag, ambiguous_names, unambiguous_name
from wotemu.scenario.vocabulary.traces import Trace
from wotemu.scenario.vocabulary.waves import Wave
from wotemu.scenario.vocabulary.when import EventCondition, GuardedActions, MetricCondition, When
from wotemu.scenario.vocabulary.written import Written
from wotemu.topology._fields import describe_object
from wotemu.topology.devices import Device
from wotemu.topology.distributions import DistributionTable
from wotemu.topology.link_conditions import LinkConditions
from wotemu.topology.loss_models import GilbertElliott, MarkovLoss
from wotemu.topology.models import Broker, Link, Network, NetworkConditions, Node, Service, Topology, Uplink
from wotemu.topology.network import NO_CONDITIONS
from wotemu.topology.node_app import NodeApp
from wotemu.topology.placement import Placement
from wotemu.topology.ports import Ports
from wotemu.topology.resources import NodeResources
from wotemu.units import Bytes, Fraction, Hertz, Packets, Quantity, Rate, Seconds

IN_PYTHON = "a deployment with it can only be written in Python"
_UNITS: Mapping[type, str] = {Seconds: "s", Rate: "bit", Bytes: "B", Packets: "p", Hertz: "Hz"}
_MAPPINGS = (NodeApp, Placement, Ports, PathLoss)
"""Classes whose objects are written as a mapping of their fields."""


def plain_form(topology: Topology, scenario: Scenario) -> dict[str, Any]:
    """The form of a deployment.

    Returns:
        Dicts, lists, text, numbers, true, false and null.

    Raises:
        InputError: Something in it has no form; `where` says what and where.
    """
    return _Writer(topology, scenario).form()


class _Writer:
    """Writes the values of one deployment; its links get names where something names them."""

    def __init__(self, topology: Topology, scenario: Scenario) -> None:
        self._topology = topology
        self._scenario = scenario
        mentioned = [each for event in scenario.events for each in _mentioned(event)]
        mentioned += [found for each in scenario.expect for found in _mentioned(each)]
        self._tags = _tags(mentioned, topology)
        self._links = _link_names(topology, mentioned, set(self._tags))
        self._ambiguous: frozenset[str] = frozenset()

    def form(self) -> dict[str, Any]:
        """The whole form, in the order in which it is read."""
        topology = self._topology
        links = {name: self._link(link) for link, name in self._links.values()}
        sections: dict[str, Any] = {
            "networks": {each.name: self._fields(each, "name") for each in topology.networks},
            "links": links,
            "brokers": {each.name: self._fields(each, "name") for each in topology.brokers},
            "services": {each.name: self._fields(each, "name") for each in topology.services},
            "uplinks": {each.name: self._fields(each, "name") for each in topology.uplinks},
            "nodes": {each.name: self._fields(each, "name") for each in topology.nodes},
        }
        settings = self._fields(topology, "nodes", "uplinks")
        self._ambiguous = ambiguous_names(topology)  # a scenario names objects of all kinds alike
        sections["tags"] = {name: self._value(list(tag), f"tag {name!r}") for name, tag in self._tags.items()}
        settings["scenario"] = self._fields(self._scenario)
        return {name: part for name, part in {**sections, **settings}.items() if part}

    # Objects

    def _fields(self, obj: Any, *leave: str, where: str = "") -> dict[str, Any]:
        """The fields of an object that are not as they are by default."""
        place = where or describe_object(obj)
        return {
            field.name: self._value(getattr(obj, field.name), f"{place}, field {field.name!r}")
            for field in attrs.fields(type(obj))
            if field.init and field.name not in leave and not _is_default(obj, field)
        }

    def _link(self, link: Link) -> dict[str, Any]:
        ways: dict[str, NetworkConditions | LinkConditions] = {"up": link.up, "down": link.down}
        if link.up == link.down:
            ways = {"conditions": link.up}
        elif (both := LinkConditions(up=link.up, down=link.down)) in LINK_PRESETS.values():
            ways = {"conditions": both}
        where = f"a link to Network {link.network.name!r}"
        wanted = {name: each for name, each in ways.items() if each != NO_CONDITIONS}
        return {
            "network": link.network.name,
            **{name: self._value(each, where) for name, each in wanted.items()},
        }

    def _object(self, obj: Any, where: str) -> Any:
        """An object that its name or a mapping stands for."""
        if isinstance(obj, Network | Node | Broker | Service | Uplink):
            return unambiguous_name(obj, self._ambiguous)
        if isinstance(obj, Link):
            return self._links[id(obj)][1] if id(obj) in self._links else self._link(obj)
        if isinstance(obj, Tag):
            return obj.name
        if isinstance(obj, Objective):
            if obj.figure.select.wire is not None:
                _check_path(obj.figure.select.wire, where)
            return objective_text(obj)
        if isinstance(obj, NetworkConditions):
            preset = next((name for name, each in PRESETS.items() if each == obj), None)
            return preset or self._fields(obj, where=where)
        if isinstance(obj, Device):
            return obj.name
        if isinstance(obj, NodeResources):
            preset = next((name for name, each in RESOURCE_PRESETS.items() if each == obj), None)
            return preset or self._fields(obj, where=where)
        if isinstance(obj, LinkConditions):
            return self._link_preset(obj, where)
        if isinstance(obj, GilbertElliott | MarkovLoss):
            return {obj.KIND: self._fields(obj, where=where)}
        if isinstance(obj, NodeApp) and set(found := self._fields(obj, where=where)) == {"path"}:
            return found["path"]
        if isinstance(obj, Phase):
            return [obj.name, self._value(obj.start, where)]
        if isinstance(obj, Wave):
            return [_wave(part) for part in obj.parts]
        if isinstance(obj, Trace):
            return self._trace(obj, where)
        if isinstance(obj, _MAPPINGS):
            return self._fields(obj, where=where)
        return self._refuse(obj, where)

    def _link_preset(self, wanted: LinkConditions, where: str) -> str:
        name = next((name for name, each in LINK_PRESETS.items() if each == wanted), None)
        if name is None:
            _no_form(
                "LinkConditions that are no preset", where, hint="set the conditions up and down, one by one"
            )
        return name

    def _trace(self, trace: Trace, where: str) -> Any:
        if trace.path is None:
            _no_form(
                f"the trace {trace.name!r} is not as a file has it",
                where,
                hint="write it to a CSV file, and replay that",
            )
        path = self._value(trace.path, where)
        return {"path": path, "from_zero": True} if trace.from_zero else path

    # Values

    def _value(self, value: Any, where: str) -> Any:
        """Any value, as the item of a form that stands for it."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return _text(value, where)
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, timedelta):
            return _exact(Seconds(value.total_seconds()))
        if isinstance(value, Quantity):
            return _exact(value)
        if isinstance(value, int | float):
            return _number(value, where)
        if isinstance(value, DistributionTable):
            return list(value.values)
        if isinstance(value, Action):
            return self._event(value)
        if isinstance(value, Mapping):
            return {self._key(key, where): self._value(each, where) for key, each in value.items()}
        if isinstance(value, Iterable) and not isinstance(value, Tag):
            return [self._value(each, where) for each in value]
        return self._object(value, where)

    def _key(self, key: Any, where: str) -> str:
        found = str(key) if type(key) is int else self._value(key, where)
        return found if isinstance(found, str) else self._refuse(key, where)

    def _refuse(self, value: Any, where: str) -> NoReturn:
        if callable(value):
            name = getattr(value, "__qualname__", repr(value))
            hint = IN_PYTHON
            if name.isidentifier() and "field 'path'" in where:
                hint = f'name the app as text, such as NodeApp("{_file_of(value)}:{name}")'
            _no_form(f"{name} is a function; {NO_FUNCTION}", where, hint=hint)
        _no_form(f"{value!r:.80} has no form", where)

    # Actions

    def _event(self, action: Action) -> dict[str, Any]:
        written = getattr(action, "written", None)
        if not isinstance(written, Written):
            _no_form("it was made by code of its own, not by a word of the vocabulary", action.where)
        word, begin = self._begin(written.begin, action.where)
        verb = moments()[word].verbs[written.verb]
        event = {word: begin, written.verb: self._arguments(verb, written.arguments, action.where)}
        return {**event, NAMED: action.phase} if action.phase else event

    def _arguments(self, verb: Call, given: Mapping[str, Any], where: str) -> Any:
        """The arguments by name, or the only one as it is where that is read as the same."""
        found = {name: self._value(value, f"{where}, {name}") for name, value in given.items()}
        required = [name for name, each in verb.arguments.items() if each.required]
        first = next((name for name, each in verb.arguments.items() if each.positional), None)
        if first is None or list(found) != [first] or len(required) > 1:
            return found
        return found if found[first] is None or isinstance(found[first], dict) else found[first]

    def _begin(self, begin: Any, where: str) -> tuple[str, Any]:
        """The word that says when, and its arguments."""
        if isinstance(begin, Instant):
            return "at", _time(begin.start_us)
        if isinstance(begin, Period):
            return "during", [_time(begin.start_us), _time(begin.end_us)]
        if isinstance(begin, Repeat):
            more = {"start": begin.start_us or None, "until": begin.until_us}
            times = {name: _time(each) for name, each in more.items() if each is not None}
            return "every", {"period": _time(begin.every_us), **times} if times else _time(begin.every_us)
        if isinstance(begin, When):
            waits = {"held": begin.held_us, "after": begin.after_us}
            condition = _condition(begin.condition, where)
            return "when", {**condition, **{name: _time(each) for name, each in waits.items() if each}}
        return self._refuse(begin, where)


def _no_form(message: str, where: str, hint: str = IN_PYTHON) -> NoReturn:
    raise InputError(message, where=where, hint=hint)


def _is_default(obj: Any, field: attrs.Attribute[Any]) -> bool:
    default: Any = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, to attrs' stubs a function
        default = default.factory(obj) if default.takes_self else default.factory()
    value = getattr(obj, field.name)
    return type(value) is type(default) and bool(value == default)


def _file_of(function: Any) -> str:
    return Path(function.__code__.co_filename).name if hasattr(function, "__code__") else "FILE.py"


# Names


def _mentioned(value: Any) -> Iterator[Link | Tag]:
    """The links and tags in what an action was called with, and in the actions inside it."""
    if isinstance(value, Link | Tag):
        yield value
    elif isinstance(value, Objective):
        yield from _mentioned((value.figure.select.node, value.figure.select.wire))
    elif isinstance(value, OnWire):
        yield from _mentioned((value.node, value.peer))
    elif isinstance(value, GuardedActions) and isinstance(value.when.condition, RequestCondition):
        yield from _mentioned(value.when.condition.select)
    if isinstance(value, Mapping):
        yield from (found for each in (*value, *value.values()) for found in _mentioned(each))
    elif isinstance(value, Iterable) and not isinstance(value, str):
        yield from (found for each in value for found in _mentioned(each))
    elif isinstance(written := getattr(value, "written", None), Written):
        yield from _mentioned(written.arguments)


def _tags(mentioned: Iterable[Link | Tag], topology: Topology) -> dict[str, Tag]:
    tags: dict[str, Tag] = {}
    for tag in mentioned:
        if isinstance(tag, Tag) and not _is_same(tags.setdefault(tag.name, tag), tag):
            _no_form("two different tags have this name", f"tag {tag.name!r}", hint="rename one")
    for name in tags:
        if name in _taken(topology):
            hint = "rename the tag"
            _no_form("a node, network, broker or service has this name", f"tag {name!r}", hint=hint)
    return tags


def _is_same(tag: Tag, other: Tag) -> bool:
    """Whether two tags name the same: of equal links, it matters which one."""
    links = [[id(each) for each in one if isinstance(each, Link)] for one in (tag, other)]
    return tag == other and links[0] == links[1]


def _taken(topology: Topology) -> set[str]:
    """Names that mean something else than a link or a tag."""
    members: list[Any] = [*topology.nodes, *topology.brokers, *topology.services]
    members += [*topology.uplinks, *topology.networks]
    replicas = [name for node in topology.nodes for name in node.replicas]
    return {*(each.name for each in members), *replicas}


def _link_names(
    topology: Topology, mentioned: Iterable[Link | Tag], tags: set[str]
) -> dict[int, tuple[Link, str]]:
    """Names for the links that an action names or that several nodes have, by the links' ids.

    A name says which link it is, so that actions still mean one of two links that are equal.
    """
    owners: dict[int, list[str]] = {}
    links: dict[int, Link] = {}
    members: list[Node | Broker | Service | Uplink] = [*topology.nodes, *topology.brokers]
    members += [*topology.services, *topology.uplinks]
    for owner in members:
        for link in owner.networks:
            if isinstance(link, Link):
                owners.setdefault(id(link), []).append(owner.name)
                links[id(link)] = link
    targets = {id(each): each for each in mentioned if isinstance(each, Link)}
    links |= targets
    taken = _taken(topology) | tags
    found: dict[int, tuple[Link, str]] = {}
    for key, link in links.items():
        if key in targets or len(owners[key]) > 1:
            name = _free_name(f"{'-'.join(owners.get(key, [])[:2])}-{link.network.name}".lstrip("-"), taken)
            taken.add(name)
            found[key] = link, name
    return found


def _free_name(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


# Values


def _exact(value: Quantity) -> str | float:
    """A quantity as it is read back without an error: rounded where that is the same, in full otherwise."""
    kind = type(value)
    if kind is Fraction:
        return str(value) if Fraction.of(str(value)) == value else float(value)
    short = str(value)
    return short if kind.of(short) == value else f"{float(value)!r}{_UNITS[kind]}"


def _time(time_us: int) -> str | float:
    return _exact(seconds(time_us))


def _number(value: float, where: str) -> int | float:
    if not math.isfinite(value):
        _no_form(f"{value!r} has no form", where, hint="write a finite number")
    return int(value) if isinstance(value, int) else float(value)


def _text(value: str, where: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        _no_form(f"{value!r:.80} is no text that UTF-8 can hold", where)
    return str.__str__(value)


def _wave(part: Any) -> Any:
    named = {"shape": part.shape, "period": _time(part.period_us)}
    more = {name: getattr(part, name) for name in ("weight", "shift")}
    given = {name: more[name] for name, usual in (("weight", 1), ("shift", 0)) if more[name] != usual}
    return {**named, **given} if given else list(named.values())


def _check_path(select: OnWire, where: str) -> None:
    if any(character.isspace() or character in "(),=" for character in select.path):
        _no_form(
            f"a path {select.path!r} can't be among arguments", where, hint="write * for such characters"
        )


def _condition(condition: Any, where: str) -> dict[str, Any]:
    if isinstance(condition, MetricCondition):
        metric = f"{condition.node}.{condition.key}"
        if any(character.isspace() or character in "<>=" for character in metric):
            _no_form(f"a metric {metric!r} can't be in a comparison", where)
        short = f"{condition.value:g}"
        value = short if float(short) == condition.value else repr(condition.value)
        return {"metric": f"{metric} {condition.op} {value}"}
    if isinstance(condition, RequestCondition):
        word = "failures" if condition.failed else "requests"
        _check_path(condition.select, where)
        return {"wire": f"{word}({on_wire_text(condition.select)}) >= {condition.count}"}
    assert isinstance(condition, EventCondition)  # noqa: S101  # when() takes nothing else
    more = {"count": condition.count if condition.count != 1 else None, "node": condition.node}
    given = {name: value for name, value in more.items() if value is not None}
    return {"event": {"kind": condition.event, **given} if given else condition.event}
