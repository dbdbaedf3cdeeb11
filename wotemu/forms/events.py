"""Actions of a scenario as form values: ``at: 20s`` and ``set: {target: mobile}`` in one mapping."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NoReturn

import attrs

import wotemu.scenario
from wotemu.errors import LoadError
from wotemu.forms.calls import Call, guarded
from wotemu.forms.compound import Comparison, Waiting
from wotemu.forms.document import Item
from wotemu.forms.from_types import OTHER_KINDS, call_of
from wotemu.forms.kinds import Kind, Names, Schema, check_keys, refuse
from wotemu.forms.objectives import RequestCountText
from wotemu.scenario.vocabulary.actions import Action, PlannedAction
from wotemu.scenario.vocabulary.when import GuardedActions, event
from wotemu.suggestions import did_you_mean

NAMED = "named"
"""The key that begins a phase with the action."""


@attrs.frozen(eq=False)
class Moment:
    """A word that says when, and the words that say what: `at`, and `set`, `crash`, ..."""

    call: Call | Waiting
    verbs: Mapping[str, Call]
    can_be_named: bool


def _moments() -> Iterator[tuple[str, Moment]]:
    """The words of the vocabulary whose objects have methods that make actions."""
    for word in wotemu.scenario.__all__:
        function = getattr(wotemu.scenario, word)
        if isinstance(function, type):
            continue
        made = typing.get_type_hints(function).get("return")
        results = {name: result for name, result in _methods(made) if _is_action(result)}
        if results:
            verbs = {name: _verb(made, name, word) for name in results}
            named = [getattr(result, NAMED, None) for result in results.values()]
            can = all(typing.get_type_hints(each).get("return") is not NoReturn for each in named if each)
            yield word, Moment(_moment_call(word, function), verbs, can)


def _methods(made: Any) -> Iterator[tuple[str, Any]]:
    for name in dir(made) if isinstance(made, type) else ():
        method = getattr(made, name)
        if not name.startswith("_") and callable(method) and hasattr(method, "__annotations__"):
            yield name, typing.get_type_hints(method).get("return")


def _is_action(result: Any) -> bool:
    return isinstance(result, type) and issubclass(result, PlannedAction | GuardedActions)


def _moment_call(word: str, function: Any) -> Call | Waiting:
    if word != "when":
        return call_of(function)
    conditions: dict[str, Kind] = {
        "metric": Comparison(),
        "event": call_of(event, by_name=True),
        "wire": RequestCountText(),
    }
    return Waiting(call_of(function, leave=("condition",)), conditions)


def _verb(made: Any, name: str, word: str) -> Call:
    return call_of(getattr(made, name), name=f"{word}.{name}", by_name=True)


class Event:
    """An action: one key says when, another what, and `named` begins a phase."""

    what = "an event: a mapping such as {at: 20s, crash: van}"

    def accepts(self, item: Item) -> bool:
        """Whether it is a mapping."""
        return isinstance(item.value, dict)

    def read(self, item: Item, names: Names) -> Any:
        """The action."""
        if not self.accepts(item):
            raise refuse(item, self)
        word = self._only(item, moments(), "says when")
        moment = moments()[word]
        self._check(item, word, moment)
        verb = self._only(item, moment.verbs, f"says what happens ({word})")
        begin = moment.call.called(item.value[word], names, getattr(wotemu.scenario, word), place=item)
        action = moment.verbs[verb].called(item.value[verb], names, getattr(begin, verb), place=item)
        if NAMED not in item.value:
            return action
        return guarded(item, {}, lambda: action.named(item.value[NAMED].plain))

    def _check(self, item: Item, word: str, moment: Moment) -> None:
        known = [word, *moment.verbs, *([NAMED] if moment.can_be_named else [])]
        check_keys(item, known, f"{{}} does not go with {word!r}")

    def _only(self, item: Item, known: Mapping[str, Any], role: str) -> str:
        found: list[str] = [key for key in item.value if key in known]
        if not found:
            hints = (did_you_mean(key, known) for key in item.value)
            hint = next(
                (each for each in hints if each and each.startswith("did")), f"add {', '.join(known)}"
            )
            raise LoadError(f"nothing {role}", where=item.place, hint=hint)
        if len(found) > 1:
            message = f"both {found[0]!r} and {found[1]!r} are there, where one {role}"
            raise LoadError(message, where=item.place_of(found[1]), hint="write two events")
        return found[0]

    def schema(self, defs: dict[str, Schema]) -> Schema:
        """A reference to the definition of an event."""
        if "Event" not in defs:
            defs["Event"] = {}
            defs["Event"] = {
                "title": "Event",
                "description": "What happens, and when",
                "oneOf": [self._moment_schema(word, moment, defs) for word, moment in moments().items()],
            }
        return {"$ref": "#/$defs/Event"}

    def _moment_schema(self, word: str, moment: Moment, defs: dict[str, Schema]) -> Schema:
        name: dict[str, Schema] = {}
        if moment.can_be_named:
            name = {NAMED: {"type": "string", "description": "The phase that begins with it"}}
        properties = {verb: call.schema(defs) for verb, call in moment.verbs.items()}
        return {
            "type": "object",
            "properties": {word: moment.call.schema(defs), **properties, **name},
            "required": [word],
            "oneOf": [{"required": [verb]} for verb in moment.verbs],
            "additionalProperties": False,
        }


@cache
def moments() -> dict[str, Moment]:
    """The words that say when, each with the words that say what."""
    return dict(_moments())


OTHER_KINDS[Action] = Event()
