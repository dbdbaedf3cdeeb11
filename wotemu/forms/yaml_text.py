"""Plain values as YAML that `document` reads as the same: short mappings and lists in one line."""

from __future__ import annotations

from typing import Any

import yaml

from wotemu.forms.document import plain_value

WIDTH = 100
"""Characters of a line, about."""
SHORT = 80
"""A mapping or list of at most so many characters is written in one line."""


def yaml_text(document: dict[str, Any]) -> str:
    """A mapping as YAML: its entries, and theirs, begin lines of their own."""
    options = {"sort_keys": False, "allow_unicode": True, "width": WIDTH}
    return str(yaml.dump(document, Dumper=_Dumper, **options))


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # it has no types
    _outer: tuple[Any, ...] = ()

    def represent(self, data: Any) -> None:
        """Write a document."""
        self._outer = (data, *data.values())
        super().represent(data)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Values that are there twice are written twice."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Items of a list are indented below its key."""
        super().increase_indent(flow, False)

    def represent_text(self, data: str) -> yaml.ScalarNode:
        """Text, in quotes where it would be read as another value."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if _is_text(data) else '"')

    def represent_entries(self, data: dict[str, Any]) -> yaml.MappingNode:
        """A mapping."""
        return self.represent_mapping("tag:yaml.org,2002:map", data, flow_style=self._in_one_line(data))

    def represent_items(self, data: list[Any]) -> yaml.SequenceNode:
        """A list."""
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=self._in_one_line(data))

    def _in_one_line(self, data: Any) -> bool:
        return not data or (_length(data) <= SHORT and not any(data is each for each in self._outer))


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(dict, _Dumper.represent_entries)
_Dumper.add_representer(list, _Dumper.represent_items)


def _is_text(data: str) -> bool:
    """Whether text without quotes is read as this text."""
    try:
        return data.isprintable() and isinstance(plain_value(data), str)
    except OverflowError:
        return False


def _length(data: Any) -> int:
    """The characters of a value in one line, about."""
    if isinstance(data, dict):
        return 2 + sum(len(key) + 4 + _length(value) for key, value in data.items())
    return 2 + sum(2 + _length(each) for each in data) if isinstance(data, list) else len(str(data))
