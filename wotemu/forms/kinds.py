"""Kinds of values in a form: each reads an item, and has the JSON Schema of what it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol

import attrs

from wotemu.errors import LoadError
from wotemu.forms.document import Item
from wotemu.forms.problems import Problems, UnreadableError
from wotemu.suggestions import did_you_mean

Schema = dict[str, Any]


@attrs.frozen
class Names:
    """The objects that the file has defined so far, by name and kind (``networks``, ``links``, ...)."""

    objects: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    wrong: dict[str, set[str]] = attrs.field(factory=dict)
    """The names whose objects can't be made, by kind."""

    def of(self, sections: tuple[str, ...]) -> dict[str, Any]:
        """The objects of some sections, by name."""
        return {name: obj for each in sections for name, obj in self.objects.get(each, {}).items()}


class Kind(Protocol):
    """What an item may be."""

    @property
    def what(self) -> str:
        """For messages: ``a duration``."""
        ...

    def accepts(self, item: Item) -> bool:
        """Whether the item has the outer shape of this kind; what is in it may still be wrong."""
        ...

    def read(self, item: Item, names: Names) -> Any:
        """The value for Python.

        Raises:
            LoadError: The item can't be one, with its place.
        """
        ...

    def schema(self, defs: dict[str, Schema]) -> Schema:
        """The JSON Schema; what is referred to by name is put into `defs`."""
        ...


def refuse(item: Item, kind: Kind, hint: str | None = None) -> LoadError:
    """The error for an item of another kind."""
    return LoadError(f"it is {item.what}, but has to be {kind.what}", where=item.place, hint=hint)


def check_keys(
    item: Item, known: Iterable[str], message: str, aliases: Mapping[str, str] | None = None
) -> None:
    """Refuse keys of a mapping that are not known.

    Args:
        item: The mapping.
        known: The keys that it may have.
        message: With ``{}`` for the key that is not known.
        aliases: See `did_you_mean`.

    Raises:
        LoadError: There are such keys.
    """
    names, problems = list(known), Problems()
    for key in item.value:
        if key not in names:
            hint = did_you_mean(key, names, aliases)
            problems.note(LoadError(message.format(repr(key)), where=item.place_of(key), hint=hint))
    problems.check()


@attrs.frozen
class Scalar:
    """Text, a number, true or false, or null."""

    types: frozenset[type]

    NAMES: ClassVar[Mapping[type, str]] = {
        str: "string",
        float: "number",
        int: "integer",
        bool: "boolean",
        type(None): "null",
    }
    WORDS: ClassVar[Mapping[type, str]] = {
        str: "text",
        float: "a number",
        int: "a whole number",
        bool: "true or false",
        type(None): "null",
    }

    @property
    def what(self) -> str:
        """For messages."""
        shown = [word for kind, word in self.WORDS.items() if kind in self.types and kind is not type(None)]
        return " or ".join(shown) or "null"

    def accepts(self, item: Item) -> bool:
        """By the value's type; a whole number is a number, too, and 2.0 is a whole one."""
        value = item.value
        if type(value) is int:
            return bool(self.types & {int, float})
        if type(value) is float:
            return float in self.types or (int in self.types and value.is_integer())
        return type(value) in self.types

    def read(self, item: Item, names: Names) -> Any:  # noqa: ARG002
        """The value."""
        if not self.accepts(item):
            quoted = f'write "{item.value}", in quotes' if item.value is not None else None
            raise refuse(item, self, quoted if self.types == {str} and not _nested(item) else None)
        whole = type(item.value) is float and float not in self.types
        return int(item.value) if whole else item.value

    def schema(self, defs: dict[str, Schema]) -> Schema:  # noqa: ARG002
        """Its types."""
        wider = self.types - ({int} if float in self.types else set())
        types = [name for kind, name in self.NAMES.items() if kind in wider]
        return {"type": types[0] if len(types) == 1 else types}


def _nested(item: Item) -> bool:
    return isinstance(item.value, dict | tuple)


@attrs.frozen
class Anything:
    """Any value, as an app's parameters may be."""

    what = "a value"

    def accepts(self, item: Item) -> bool:  # noqa: ARG002
        """Always."""
        return True

    def read(self, item: Item, names: Names) -> Any:  # noqa: ARG002
        """The value without places."""
        return item.plain

    def schema(self, defs: dict[str, Schema]) -> Schema:  # noqa: ARG002
        """No restriction."""
        return {}


@attrs.frozen
class Refused:
    """What only Python can say, and why."""

    why: str
    what = "left out"

    def accepts(self, item: Item) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def read(self, item: Item, names: Names) -> Any:  # noqa: ARG002
        """Refuse it."""
        raise LoadError(self.why, where=item.place, hint="write the deployment in Python")

    def schema(self, defs: dict[str, Schema]) -> Schema:  # noqa: ARG002
        """Nothing is valid."""
        return {"not": {}, "description": self.why}


@attrs.frozen
class Choice:
    """One of some words, each with the value that it stands for.

    Attributes:
        words: The words with their values.
        hints: Hints for words that are none of them, in lower case.
    """

    words: Mapping[str, Any] = attrs.field(hash=False)
    hints: Mapping[str, str] = attrs.field(factory=dict, hash=False)

    @property
    def what(self) -> str:
        """For messages."""
        return "one of " + ", ".join(self.words)

    def accepts(self, item: Item) -> bool:
        """Whether it is one of the words."""
        return isinstance(item.value, str) and item.value in self.words

    def read(self, item: Item, names: Names) -> Any:  # noqa: ARG002
        """What the word stands for."""
        if not self.accepts(item):
            raise refuse(item, self, self.hint_for(item.value))
        return self.words[item.value]

    def hint_for(self, word: object) -> str | None:
        """What may be meant by another word."""
        hint = self.hints.get(word.lower()) if isinstance(word, str) else None
        return hint or did_you_mean(word, self.words)

    def schema(self, defs: dict[str, Schema]) -> Schema:  # noqa: ARG002
        """The words."""
        return {"enum": list(self.words)}


@attrs.frozen
class ListOf:
    """A list."""

    each: Kind
    least: int = 0

    @property
    def what(self) -> str:
        """For messages."""
        return "a list"

    def accepts(self, item: Item) -> bool:
        """Whether it is a list."""
        return isinstance(item.value, tuple)

    def read(self, item: Item, names: Names) -> Any:
        """A list of what each item is."""
        if not self.accepts(item):
            raise refuse(item, self)
        if len(item.value) < self.least:
            raise LoadError("the list is empty", where=item.place)
        found, problems = [], Problems()
        for each in item.value:
            with problems.noted():
                found.append(self.each.read(each, names))
        problems.check()
        return found

    def schema(self, defs: dict[str, Schema]) -> Schema:
        """An array."""
        least = {"minItems": self.least} if self.least else {}
        return {"type": "array", "items": self.each.schema(defs), **least}


@attrs.frozen
class Tuple:
    """A list of fixed length, each item of its own kind."""

    kinds: tuple[Kind, ...]

    @property
    def what(self) -> str:
        """For messages."""
        return f"a list of {len(self.kinds)}: {', '.join(kind.what for kind in self.kinds)}"

    def accepts(self, item: Item) -> bool:
        """Whether it is a list of this length."""
        return isinstance(item.value, tuple) and len(item.value) == len(self.kinds)

    def read(self, item: Item, names: Names) -> Any:
        """A tuple of what each item is."""
        if not self.accepts(item):
            raise refuse(item, self)
        return tuple(kind.read(each, names) for kind, each in zip(self.kinds, item.value, strict=True))

    def schema(self, defs: dict[str, Schema]) -> Schema:
        """An array of this length."""
        kinds = [kind.schema(defs) for kind in self.kinds]
        return {"type": "array", "prefixItems": kinds, "items": False, "minItems": len(kinds)}


@attrs.frozen
class MapOf:
    """A mapping of names to values of one kind."""

    each: Kind

    what = "a mapping"

    def accepts(self, item: Item) -> bool:
        """Whether it is a mapping."""
        return isinstance(item.value, dict)

    def read(self, item: Item, names: Names) -> Any:
        """A dict of what each item is."""
        if not self.accepts(item):
            raise refuse(item, self)
        found, problems = {}, Problems()
        for key, each in item.value.items():
            with problems.noted():
                found[key] = self.each.read(each, names)
        problems.check()
        return found

    def schema(self, defs: dict[str, Schema]) -> Schema:
        """An object."""
        return {"type": "object", "additionalProperties": self.each.schema(defs)}


@attrs.frozen
class AnyOf:
    """One of several kinds: the first whose outer shape the item has."""

    kinds: tuple[Kind, ...]

    @property
    def what(self) -> str:
        """For messages."""
        return " or ".join(dict.fromkeys(kind.what for kind in self.kinds))

    def accepts(self, item: Item) -> bool:
        """Whether one of them accepts it."""
        return any(kind.accepts(item) for kind in self.kinds)

    def read(self, item: Item, names: Names) -> Any:
        """What the kind that accepts it reads."""
        for kind in self.kinds:
            if kind.accepts(item):
                return kind.read(item, names)
        choices = [kind for kind in self.kinds if isinstance(kind, Choice)]
        words = {word: value for each in choices for word, value in each.words.items()}
        hints = {word: hint for each in choices for word, hint in each.hints.items()}
        raise refuse(
            item, self, Choice(words, hints).hint_for(item.value) if isinstance(item.value, str) else None
        )

    def schema(self, defs: dict[str, Schema]) -> Schema:
        """Any of theirs."""
        return {"anyOf": [kind.schema(defs) for kind in self.kinds]}


@attrs.frozen
class Reference:
    """The name of an object of the topology that the file defines."""

    sections: tuple[str, ...]

    @property
    def what(self) -> str:
        """For messages."""
        return "the name of one of the " + " or ".join(self.sections)

    def accepts(self, item: Item) -> bool:
        """Whether it is text."""
        return isinstance(item.value, str)

    def read(self, item: Item, names: Names) -> Any:
        """The object."""
        if not self.accepts(item):
            raise refuse(item, self)
        known = names.of(self.sections)
        if any(item.value in names.wrong.get(section, ()) for section in self.sections):
            raise UnreadableError(f"{item.value!r} is wrong", where=item.place)
        if item.value not in known:
            message = f"{item.value!r} is none of the {' or '.join(self.sections)}"
            hint = did_you_mean(item.value, known) or f"define it under {self.sections[0]}:"
            raise LoadError(message, where=item.place, hint=hint)
        return known[item.value]

    def schema(self, defs: dict[str, Schema]) -> Schema:  # noqa: ARG002
        """Text."""
        return {"type": "string", "description": f"Name of one of the {' or '.join(self.sections)}"}


def names_objects(kind: Kind) -> bool:
    """Whether a kind names objects that the file defines."""
    if isinstance(kind, AnyOf):
        return any(map(names_objects, kind.kinds))
    return names_objects(kind.each) if isinstance(kind, ListOf) else isinstance(kind, Reference)


@attrs.frozen
class Target:
    """The name of what an action is about: a link or tag of the file, or any name that the scenario takes."""

    what = "a name"

    def accepts(self, item: Item) -> bool:
        """Whether it is text."""
        return isinstance(item.value, str)

    def read(self, item: Item, names: Names) -> Any:
        """The link or tag of this name, or the name itself."""
        if not self.accepts(item):
            raise refuse(item, self)
        return names.of(("links", "tags")).get(item.value, item.value)

    def schema(self, defs: dict[str, Schema]) -> Schema:  # noqa: ARG002
        """Text."""
        return {"type": "string"}
