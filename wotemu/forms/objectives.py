"""Objectives as one line of text: ``p95(readproperty, node=phone) < 500ms during fade``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from wotemu.errors import LoadError
from wotemu.forms.calls import guarded
from wotemu.forms.document import Item
from wotemu.forms.from_types import OTHER_KINDS
from wotemu.forms.kinds import Names, Schema, refuse
from wotemu.scenario.objectives import words
from wotemu.scenario.objectives.expect import Objective, expect
from wotemu.scenario.vocabulary.actions import seconds
from wotemu.scenario.vocabulary.on_wire import OnWire, coap, http
from wotemu.scenario.vocabulary.request_condition import RequestCondition
from wotemu.scenario.vocabulary.targets import Tag
from wotemu.scenario.vocabulary.when import ComparedFigure
from wotemu.suggestions import did_you_mean

_WORDS: Mapping[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (
        *(words.p50, words.p90, words.p95, words.p99, words.mean, words.errors, words.throughput),
        *(words.requests, words.failures, words.availability, words.lost_events, words.app, words.node),
    )
}
_ON_WIRE: Mapping[str, Callable[..., OnWire]] = {"http": http, "coap": coap}
_ARGUMENTS = r"[^()]*(?:\([^()]*\))?\s*"
"""Of a figure: those of interactions, or those of requests seen on the wire."""
_PARTS = {"app": words.STATISTICS, "node": words.NODE_FIGURES}
"""The statistic that has to follow the word, after a dot."""
_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_PATTERN = (
    rf"^\s*(\w+)\s*\(({_ARGUMENTS})\)\s*(?:\.\s*(\w+)\s*)?(?:(<=|>=|==|<|>)\s*(\S+))?"
    r"(?:\s+recovers\s+within\s+(\S+))?(?:\s+(during|after)\s+(.+?))?(\s+or\s+abort)?\s*$"
)
_COUNT_PATTERN = rf"^\s*(requests|failures)\s*\(({_ARGUMENTS})\)\s*(>=|>|<=|==|<)\s*([0-9]+)\s*$"
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.?[0-9]*)(?:e[-+]?[0-9]+)?", re.IGNORECASE)
EXAMPLES = (
    "p95(readproperty, node=phone) < 500ms during fade",
    "errors(writeproperty) < 1%",
    "p95(readproperty) recovers within 10s after heal",
    "p95(http(GET, /status, node=phone)) < 500ms",
    "app(detector.latency).p99 < 2.0",
    "node(edge).restarts == 0 or abort",
)


class ObjectiveText:
    """An objective: a figure, its limit, and when it has to hold."""

    what = f"an objective such as {EXAMPLES[0]}"

    def accepts(self, item: Item) -> bool:
        """Whether it is text."""
        return isinstance(item.value, str)

    def read(self, item: Item, names: Names) -> Objective:
        """The objective."""
        match = re.match(_PATTERN, item.value) if isinstance(item.value, str) else None
        if match is None:
            hint = "write FIGURE(...), a limit, and during PHASE or after PHASE where it is not the whole run"
            raise refuse(item, self, hint)
        word, arguments, part, sign, limit, within, when, phase, abort = match.groups()
        if word not in _WORDS:
            raise LoadError(f"there is no {word!r}", where=item.place, hint=did_you_mean(word, _WORDS))
        self._check_part(item, word, part)
        figure_of = _figure(item, word, arguments, names)

        def made() -> Objective:
            figure = figure_of()
            figure = getattr(figure, part) if part else figure
            found = expect(_COMPARE[sign](figure, _limit(limit)) if sign else figure, abort=bool(abort))
            found = found.recovers(within=within) if within else found
            found = getattr(found, when)(phase) if when else found
            found.check()
            return found

        objective: Objective = guarded(item, {}, made)
        return objective

    def _check_part(self, item: Item, word: str, part: str | None) -> None:
        known = _PARTS.get(word, ())
        if part not in (known or (None,)):
            hint = did_you_mean(part, known) if known else f"write {word}(...) alone"
            what = f"{word}(...) has no {part!r}" if part else f"{word}(...) needs a figure"
            raise LoadError(what, where=item.place, hint=hint)

    def schema(self, defs: dict[str, Schema]) -> Schema:  # noqa: ARG002
        """Text of this pattern."""
        text = "A figure, its limit, and when it has to hold"
        return {"type": "string", "pattern": _PATTERN, "description": text, "examples": list(EXAMPLES)}


def _figure(item: Item, word: str, text: str, names: Names) -> Callable[[], Any]:
    """Makes the figure that a word and its arguments stand for."""
    seen = re.fullmatch(r"\s*(\w+)\s*\(([^()]*)\)\s*", text)
    if seen is None:
        args, kwargs = _arguments(item, text, names, most=1)
        return lambda: _WORDS[word](*args, **kwargs)
    protocol, inner = seen.groups()
    if protocol not in _ON_WIRE:
        hint = did_you_mean(protocol, _ON_WIRE)
        raise LoadError(f"there is no {protocol!r}", where=item.place, hint=hint)
    args, kwargs = _arguments(item, inner, names, most=2)
    return lambda: _WORDS[word](_ON_WIRE[protocol](*args, **kwargs))


def _arguments(item: Item, text: str, names: Names, *, most: int) -> tuple[list[Any], dict[str, Any]]:
    tags = names.of(("tags",))
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for each in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (part.strip() for part in each.partition("="))
        if not equals:
            args.append(_named(name, tags))
        elif name in kwargs or not value:
            raise LoadError(f"{each!r} is no argument", where=item.place, hint="write NAME=VALUE, once each")
        else:
            kwargs[name] = _named(value, tags) if name in ("node", "peer") else value
    if len(args) > most:
        raise LoadError(f"{args[most]!r} has no name", where=item.place, hint=f"write node={args[most]}")
    return args, kwargs


def _named(text: str, tags: Mapping[str, Any]) -> Any:
    """A tag, the name of something, or several of either, as in ``phone|laptop``."""
    found = [tags.get(name.strip(), name.strip()) for name in text.split("|")]
    return found if len(found) > 1 else found[0]


def _limit(text: str) -> str | float:
    return float(text) if _NUMBER.fullmatch(text) else text


def objective_text(objective: Objective) -> str:
    """The text that is read as the same objective."""
    figure, select = objective.figure, objective.figure.select
    whose = _names_text(select.node)
    named = {"node": whose, "thing": select.thing, "name": select.name, "binding": select.binding}
    named |= {"role": select.role if select.role != "consumer" else ""}
    match figure:
        case _ if select.wire is not None:
            word = f"{figure.kind}({on_wire_text(select.wire)})"
        case _ if select.key:
            word = f"app({whose}.{select.key}).{figure.kind}"
        case _ if figure.kind in words.NODE_FIGURES:
            word = f"node({whose}).{figure.kind}"
        case _:
            first = [select.operation or (named.pop("name") if figure.kind == "lost_events" else "")]
            more = [f"{name}={value}" for name, value in named.items() if value]
            word = f"{figure.kind}({', '.join(filter(None, first + more))})"
    parts = [word, "" if objective.limit is None else f"{objective.op} {_limit_text(objective)}"]
    if objective.within_us is not None:
        parts.append(f"recovers within {seconds(objective.within_us)}")
    parts += [f"during {objective.phase}" if objective.phase else ""]
    parts += [f"after {objective.since}" if objective.since else "", "or abort" if objective.abort else ""]
    return " ".join(filter(None, parts))


def on_wire_text(wire: OnWire) -> str:
    """The text that is read as the same requests: ``http(GET, /status, node=phone)``."""
    first = [f"{'' if wire.method else 'path='}{wire.path}" if wire.path else ""]
    named = {"node": _names_text(wire.node), "peer": _names_text(wire.peer)}
    named |= {"side": wire.side if wire.side != "client" else ""}
    more = [f"{name}={value}" for name, value in named.items() if value]
    return f"{wire.protocol}({', '.join(filter(None, [wire.method, *first, *more]))})"


def _names_text(target: Any) -> str:
    return "|".join(_node_name(each) for each in _several(target))


def _several(target: Any) -> Iterable[Any]:
    if target is None:
        return ()
    return (target,) if isinstance(target, str | Tag) or not isinstance(target, Iterable) else target


def _node_name(target: Any) -> str:
    return target if isinstance(target, str) else str(target.name)


def _limit_text(objective: Objective) -> str:
    limit = Decimal(repr(objective.limit))
    match objective.figure.unit:
        case "share":
            return f"{limit * 100:f}%"
        case "s" | "/s" as unit:
            return f"{limit:f}{unit}"
        case _:
            return f"{limit:f}"


class RequestCountText:
    """A guard's condition on requests seen on the wire: ``failures(http(GET, /status, node=phone)) >= 3``."""

    example = "failures(http(GET, /status, node=phone)) >= 3"
    what = f"a comparison such as {example}"

    def accepts(self, item: Item) -> bool:
        """Whether it is text."""
        return isinstance(item.value, str)

    def read(self, item: Item, names: Names) -> RequestCondition:
        """The condition."""
        match = re.match(_COUNT_PATTERN, item.value) if isinstance(item.value, str) else None
        if match is None:
            raise refuse(item, self, "write requests(...) or failures(...), > or >=, and a number")
        word, arguments, sign, count = match.groups()
        figure_of = _figure(item, word, arguments, names)
        made: RequestCondition = guarded(
            item, {}, lambda: _COMPARE[sign](figure_of(), int(count)).condition()
        )
        return made

    def schema(self, defs: dict[str, Schema]) -> Schema:  # noqa: ARG002
        """Text of this pattern."""
        return {"type": "string", "pattern": _COUNT_PATTERN, "examples": [self.example]}


OTHER_KINDS[Objective] = ObjectiveText()
OTHER_KINDS[ComparedFigure] = RequestCountText()
