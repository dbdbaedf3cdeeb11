"""Calls of Python's classes and functions, whose arguments a mapping gives by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from wotemu.errors import InputError, LoadError
from wotemu.forms.document import Item
from wotemu.forms.kinds import Kind, Names, Scalar, Schema, Tuple, check_keys, names_objects, refuse
from wotemu.forms.problems import Problems
from wotemu.scenario.vocabulary.source_location import written_at


@attrs.frozen
class Argument:
    """One argument of a call."""

    kind: Kind
    required: bool = False
    spread: bool = False
    """Whether its list is handed over as single arguments."""
    positional: bool = False
    description: str = ""

    def schema(self, defs: dict[str, Schema]) -> Schema:
        """Of its kind, with what the docstring says about it."""
        text = {"description": self.description} if self.description else {}
        return {**self.kind.schema(defs), **text}


@attrs.frozen(eq=False)
class Call:
    """A class or function of Python whose arguments the item gives by name.

    What needs one argument takes it as it is, too, and what needs several takes a list of them.
    """

    name: str
    function: Callable[..., Any]
    arguments: Mapping[str, Argument]
    title: str = ""
    aliases: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def what(self) -> str:
        """For messages."""
        words = [kind.what for kind in self._short]
        return " or ".join(dict.fromkeys([*words, f"a mapping ({', '.join(list(self.arguments)[:6])}, ...)"]))

    @property
    def _required(self) -> list[str]:
        return [name for name, each in self.arguments.items() if each.required]

    @property
    def _short(self) -> tuple[Kind, ...]:
        """The kinds that stand for a call without names."""
        positional = [name for name, each in self.arguments.items() if each.positional]
        required = self._required
        if any(not self.arguments[name].positional for name in required):
            return ()
        if len(required) > 1:
            return (Tuple(tuple(self.arguments[name].kind for name in required)),)
        first = required or positional[:1]
        null = () if required else (Scalar(frozenset({type(None)})),)
        return (*null, *(self.arguments[name].kind for name in first))

    def accepts(self, item: Item) -> bool:
        """Whether it is a mapping, or stands for one."""
        return isinstance(item.value, dict) or any(kind.accepts(item) for kind in self._short)

    def bare(self, item: Item) -> dict[str, Item]:
        """The arguments by name of an item without names."""
        if item.value is None and not self._required:
            return {}
        if len(self._required) > 1 and self._short:
            if self._short[0].accepts(item):
                return dict(zip(self._required, item.value, strict=True))
        elif any(kind.accepts(item) for kind in self._short):
            return {next(iter(self._required or self.arguments)): item}
        raise refuse(item, self)

    def read(self, item: Item, names: Names) -> Any:
        """What the function returns."""
        return self.called(item, names, self.function)

    def called(
        self, item: Item, names: Names, function: Callable[..., Any], *first: Any, place: Item | None = None
    ) -> Any:
        """Call a function with the arguments that the item gives.

        Args:
            item: The arguments.
            names: The objects that it may name.
            function: What is called.
            first: Arguments before those of the item.
            place: Where the user's file says so; by default the item itself.
        """
        given = item.value if isinstance(item.value, dict) else self.bare(item)
        problems = Problems()
        if given is item.value:
            with problems.noted():
                check_keys(item, self.arguments, f"{self.name} has no {{}}", self.aliases)
        read = self._read_each(given, names, problems)
        for name in self._required:
            if name not in given:
                hint = self._example(name)
                problems.note(LoadError(f"{name!r} is missing", where=item.place, hint=hint))
        left_out = {name for name in given if name in self.arguments and name not in read}
        while not any(self._is_needed(name) for name in left_out):
            args = [each for name in read if self.arguments[name].spread for each in read[name]]
            kwargs = {name: value for name, value in read.items() if not self.arguments[name].spread}
            try:
                made = guarded(place or item, given, functools.partial(function, *first, *args, **kwargs))
            except InputError as error:
                if not problems or _argument(error) in read:  # or else it follows from what is left out
                    problems.note(error)
                if _argument(error) not in read:
                    break
                left_out.add(_argument(error))
                del read[_argument(error)]
                continue
            problems.check()
            return made
        problems.check()
        return None

    def _read_each(self, given: Mapping[str, Item], names: Names, problems: Problems) -> dict[str, Any]:
        """The arguments that can be read."""
        found: dict[str, Any] = {}
        for name, each in given.items():
            if name in self.arguments:
                with problems.noted():
                    found[name] = self.arguments[name].kind.read(each, names)
        return found

    def _is_needed(self, name: str) -> bool:
        """Whether a call without an argument fails, or may find fault with others for the lack of it."""
        return self.arguments[name].required or names_objects(self.arguments[name].kind)

    def _example(self, name: str) -> str:
        return f"write {name}: {self.arguments[name].kind.what}"

    def schema(self, defs: dict[str, Schema]) -> Schema:
        """A reference to its definition."""
        if self.name not in defs:
            defs[self.name] = {}  # so that what refers to itself ends
            made = self.mapping_schema(defs)
            shorts = [kind.schema(defs) for kind in self._short]
            title = {"title": self.name, "description": self.title}
            defs[self.name] = {**title, **(made if not shorts else {"anyOf": [made, *shorts]})}
        return {"$ref": f"#/$defs/{self.name}"}

    def mapping_schema(self, defs: dict[str, Schema]) -> Schema:
        """Of the call with names."""
        required = {"required": self._required} if self._required else {}
        properties = {name: each.schema(defs) for name, each in self.arguments.items()}
        return {"type": "object", "properties": properties, **required, "additionalProperties": False}


def guarded(item: Item, given: Mapping[str, Item], action: Callable[[], Any]) -> Any:
    """Call `action`; its errors get the place of the argument that they name, or else that of the item.

    Args:
        item: What is read.
        given: The arguments by name.
        action: Makes the value.
    """
    try:
        with written_at(item.place):
            return action()
    except LoadError:
        raise
    except InputError as error:
        found = given.get(_argument(error), item)
        where = error.where or ""
        inner = where.partition(f"{item.place}, ")[0].rstrip(": ") if str(item.place) in where else ""
        error.place = found.place
        error.where = f"{found.place}" + (f", {inner}" if inner and "field" not in inner else "")
        raise
    except (ValueError, TypeError) as error:
        raise LoadError(str(error), where=item.place) from error


def _argument(error: InputError) -> str:
    """The name of the argument that an error is about: of ``params['x']`` it is ``params``."""
    return (error.field or "").partition("[")[0]
