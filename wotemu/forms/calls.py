"""Calls of Python's classes and functions, whose arguments a mapping gives by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from wotemu.errors import InputError, LoadError
from wotemu.forms.document import Item
from wotemu.forms.kinds import Kind, Names, Scalar, Schema, Tuple, refuse
from wotemu.scenario.vocabulary.source_location import written_at
from wotemu.suggestions import did_you_mean


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
        args: list[Any] = list(first)
        kwargs: dict[str, Any] = {}
        for name, each in given.items():
            if name not in self.arguments:
                hint = did_you_mean(name, self.arguments, self.aliases)
                raise LoadError(f"{self.name} has no {name!r}", where=item.place_of(name), hint=hint)
            value = self.arguments[name].kind.read(each, names)
            if self.arguments[name].spread:
                args += value
            else:
                kwargs[name] = value
        for name in self._required:
            if name not in given:
                raise LoadError(f"{name!r} is missing", where=item.place, hint=self._example(name))
        return guarded(place or item, given, lambda: function(*args, **kwargs))

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
        named = [each for name, each in given.items() if _names(error, name)]
        found = named[0] if len(named) == 1 else item
        where = error.where or ""
        inner = where.partition(f"{item.place}, ")[0].rstrip(": ") if item.place in where else ""
        error.where = f"{found.place}" + (f", {inner}" if inner and "field" not in inner else "")
        raise
    except (ValueError, TypeError) as error:
        raise LoadError(str(error), where=item.place) from error


def _names(error: InputError, name: str) -> bool:
    """Whether an error is about the argument of this name."""
    where = error.where or ""
    about = (f"field {name!r}", f"params[{name!r}]", f", {name}")
    return any(where.endswith(each) for each in about) or error.message.startswith((f"{name}=", f"{name}:"))
