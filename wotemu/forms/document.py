"""YAML and JSON as a tree of values, each with its place in the file. Runs no code; sizes are bounded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import yaml

from wotemu.errors import LoadError, Place

MAX_BYTES = 4 * 2**20
"""A larger file is a mistake: a deployment of 10,000 nodes has less."""
MAX_ITEMS = 200_000
"""Values in a file, each counted as often as aliases repeat it: aliases of aliases fill any memory."""
MAX_DEPTH = 60
MAX_DIGITS = 400
"""Longer text is no number."""

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
"""The words of YAML 1.2's core schema: unlike in YAML 1.1, ``no`` and ``on`` are text, and so is ``1:30``."""


@attrs.frozen
class Item:
    """A value of the file: a scalar, a tuple of items, or a dict of items.

    Attributes:
        value: The value.
        file: The file's name.
        line: From 1.
        column: From 1.
        path: Where it is in the document: ``nodes.phone.networks[0].up``.
        size: How many values it has, itself included.
        keys: Line and column of each key of a dict.
    """

    value: Any
    file: str
    line: int
    column: int
    path: str
    size: int = 1
    keys: dict[str, tuple[int, int]] = attrs.field(factory=dict, repr=False)

    @property
    def place(self) -> Place:
        """Where it is: ``deployment.yml:12:7, nodes.phone.scale``."""
        return Place(self.file, self.line, self.column, self.path)

    def place_of(self, key: str) -> Place:
        """Where one key of a dict is."""
        line, column = self.keys[key]
        return Place(self.file, line, column, joined(self.path, key))

    @property
    def what(self) -> str:
        """The kind of value, for messages."""
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, tuple):
            return "a list"
        return "empty" if self.value is None else f"{self.plain!r:.60}"

    @property
    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: item.plain for key, item in self.value.items()}
        return [item.plain for item in self.value] if isinstance(self.value, tuple) else self.value


def joined(path: str, key: str) -> str:
    """The path of a dict's entry."""
    return f"{path}.{key}" if path else key


def read_document(path: Path, *, merge_keys: bool = False) -> Item:
    """Read a file; its name says whether it is JSON.

    Args:
        path: The file.
        merge_keys: Whether ``<<`` merges mappings.

    Raises:
        LoadError: It can't be read, is too large, or is no YAML (JSON), with the line and column.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise LoadError(f"it can't be read: {error.strerror or error}", where=str(path)) from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise LoadError("it is not UTF-8", where=Place(path.name, line)) from error
    if len(data) > MAX_BYTES:
        raise LoadError(f"it is larger than {MAX_BYTES // 2**20} MiB", where=str(path))
    return parse(text, path.name, as_json=path.suffix.lower() == ".json", merge_keys=merge_keys)


def parse(text: str, file: str, *, as_json: bool = False, merge_keys: bool = False) -> Item:
    """Parse a document.

    Args:
        text: YAML or JSON.
        file: The file's name, for messages.
        as_json: Whether it has to be JSON.
        merge_keys: Whether ``<<`` merges mappings, as in YAML 1.1; otherwise it is refused.

    Raises:
        LoadError: It is not, or has tags, duplicate keys, or too many or too deeply nested values.
    """
    if as_json:
        text = _checked_json(text, file)
    # libyaml takes no surrogate pairs, which JSON may have.
    loader = yaml.SafeLoader if as_json else getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder(file, yaml.parse(text, Loader=loader), merge_keys=merge_keys).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = file if mark is None else Place(file, mark.line + 1, mark.column + 1)
        what = " ".join(filter(None, (error.context, error.problem)))
        raise LoadError(f"it is no YAML: {what}", where=where) from error
    except yaml.YAMLError as error:
        raise LoadError(f"it is no YAML: {error}", where=file) from error


def plain_value(text: str) -> str | int | float | bool | None:
    """What text without quotes stands for.

    Raises:
        OverflowError: A number is too large for a float.
    """
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > MAX_DIGITS:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if not _FLOAT.fullmatch(text):
        return text
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise OverflowError(text)
    return number


def _checked_json(text: str, file: str) -> str:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise LoadError(
            f"it is no JSON: {error.msg}", where=Place(file, error.lineno, error.colno)
        ) from error
    except RecursionError as error:
        raise LoadError("it is nested too deeply", where=file) from error
    return text.replace("\t", " ")  # JSON's strings can't hold one; YAML does not take all between values


def _with_pairs_joined(text: str) -> str:
    """Text with each pair of surrogates, as JSON escapes characters beyond the BMP, made one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _is_merge_key(event: Any) -> bool:
    return isinstance(event, yaml.ScalarEvent) and event.value == "<<" and not event.style


class _Builder:
    """Makes items of the parser's events."""

    def __init__(self, file: str, events: Iterator[Any], *, merge_keys: bool) -> None:
        self._file = file
        self._events = events
        self._merge_keys = merge_keys
        self._anchors: dict[str, Item | None] = {}
        self._count = 0

    def document(self) -> Item:
        """The one document of the file."""
        next(self._events)  # the stream's start
        if isinstance(start := next(self._events), yaml.StreamEndEvent):
            return Item(None, self._file, 1, 1, "")
        del start
        root = self._item(next(self._events), "", 0)
        next(self._events)  # the document's end
        if not isinstance(more := next(self._events), yaml.StreamEndEvent):
            raise self._error(more, "a second document begins", hint="write one deployment to each file")
        return root

    def _error(self, event: Any, message: str, *, path: str = "", hint: str | None = None) -> LoadError:
        mark = event.start_mark
        where = Place(self._file, mark.line + 1, mark.column + 1, path)
        return LoadError(message, where=where, hint=hint)

    def _item(self, event: Any, path: str, depth: int) -> Item:
        if depth > MAX_DEPTH:
            raise self._error(event, f"it is nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        if event.tag not in (None, "!") or (event.tag == "!" and not isinstance(event, yaml.ScalarEvent)):
            raise self._error(
                event, f"the tag {event.tag!r} has no meaning here", path=path, hint="leave it out"
            )
        if event.anchor is not None:
            self._anchors[event.anchor] = None  # until it is whole, an alias of it would have no end
        self._add(1, event)
        item = self._made(event, path, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = item
        return item

    def _made(self, event: Any, path: str, depth: int) -> Item:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.ScalarEvent):
            return Item(self._scalar(event, path), self._file, line, column, path)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Item] = []
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                items.append(self._item(inner, f"{path}[{len(items)}]", depth + 1))
            return Item(tuple(items), self._file, line, column, path, 1 + sum(each.size for each in items))
        entries: dict[str, Item] = {}
        keys: dict[str, tuple[int, int]] = {}
        merged: list[Item] = []
        while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
            if self._merge_keys and _is_merge_key(inner):
                merged += self._merged(next(self._events), joined(path, "<<"), depth + 1)
                continue
            key = self._key(inner, path, keys)
            entries[key] = self._item(next(self._events), joined(path, key), depth + 1)
            keys[key] = inner.start_mark.line + 1, inner.start_mark.column + 1
        for other in merged:  # a mapping's own entries win, then those of the first that is merged
            entries = {**other.value, **entries}
            keys = {**other.keys, **keys}
        size = 1 + sum(each.size for each in entries.values())
        return Item(entries, self._file, line, column, path, size, keys)

    def _merged(self, event: Any, path: str, depth: int) -> list[Item]:
        """The mappings that a merge key names: one, or a list."""
        item = self._item(event, path, depth)
        found = list(item.value) if isinstance(item.value, tuple) else [item]
        for each in found:
            if not isinstance(each.value, dict):
                raise self._error(event, f"it is {each.what}, but only mappings can be merged", path=path)
        return found

    def _key(self, event: Any, path: str, keys: dict[str, tuple[int, int]]) -> str:
        if not isinstance(event, yaml.ScalarEvent) or event.tag not in (None, "!"):
            raise self._error(event, "a key has to be text", path=path)
        key = _with_pairs_joined(event.value)
        if _is_merge_key(event):
            raise self._error(
                event, "merge keys are no part of YAML 1.2", path=path, hint="write the entries themselves"
            )
        if key in keys:
            first = f"it is in line {keys[key][0]} already"
            raise self._error(event, f"the key {key!r} is there twice", path=path, hint=first)
        return key

    def _alias(self, event: Any, path: str) -> Item:
        item = self._anchors.get(event.anchor)
        if item is None:
            known = event.anchor in self._anchors
            what = "contains itself" if known else "names no anchor before it"
            raise self._error(event, f"the alias *{event.anchor} {what}", path=path)
        self._add(item.size, event)
        return item

    def _add(self, count: int, event: Any) -> None:
        self._count += count
        if self._count > MAX_ITEMS:
            raise self._error(event, f"it has more than {MAX_ITEMS} values, with those of aliases")

    def _scalar(self, event: Any, path: str) -> str | int | float | bool | None:
        text: str = event.value
        if event.style or event.tag == "!":
            return _with_pairs_joined(text)
        try:
            return plain_value(text)
        except OverflowError:
            raise self._error(event, f"{text} is too large a number", path=path) from None
