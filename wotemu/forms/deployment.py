"""A deployment as a form: networks, links, nodes, ... by name, and the scenario."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import attrs

from wotemu.errors import LoadError, Place
from wotemu.forms import events as _  # noqa: F401  # adds the kind of actions
from wotemu.forms import objectives as _objectives  # noqa: F401  # adds the kind of objectives
from wotemu.forms.calls import Argument, Call, guarded
from wotemu.forms.document import Item, read_document
from wotemu.forms.from_types import SECTIONS, call_of
from wotemu.forms.kinds import Kind, ListOf, Names, Schema, Target, check_keys
from wotemu.forms.problems import Problems
from wotemu.scenario.scenario import Scenario
from wotemu.scenario.vocabulary.targets import tag
from wotemu.topology.deployment_paths import relative_to
from wotemu.topology.models import Node, Topology

LINKED_BY_NAME = "links"


@attrs.frozen(eq=False)
class Section:
    """Objects by name: what is under each name are the other arguments."""

    call: Call
    first: str | None = "name"
    """The argument that the key is; None where Python has no name for it."""

    def read(self, name: str, item: Item, names: Names) -> Any:
        """The object of one name."""
        if self.first is None:
            return self.call.read(item, names)
        return self.call.called(
            item, names, lambda *args, **kwargs: self.call.function(name, *args, **kwargs)
        )

    def schema(self, defs: dict[str, Schema]) -> Schema:
        """An object of anything."""
        return {
            "type": "object",
            "additionalProperties": self.call.schema(defs),
            "description": self.call.title,
        }


@cache
def sections() -> dict[str, Section]:
    """The parts of a form that define objects, in the order in which they are read."""
    of_classes = {
        name: Section(call_of(cls), None)
        if name == LINKED_BY_NAME
        else Section(call_of(cls, leave=("name",)))
        for cls, name in SECTIONS.items()
    }
    targets = Argument(ListOf(Target(), 1), required=True, spread=True, positional=True)
    tags = Call(
        "tag",
        tag,
        {"targets": targets},
        "A name for a group of targets",
    )
    return {**of_classes, "nodes": Section(call_of(Node, leave=("name",))), "tags": Section(tags)}


@cache
def settings() -> dict[str, Kind]:
    """What else a topology has, and the scenario."""
    topology = call_of(Topology, leave=("nodes", "uplinks"))
    found: dict[str, Kind] = {name: argument.kind for name, argument in topology.arguments.items()}
    return {**found, "scenario": call_of(Scenario, by_name=True)}


def load_form(path: Path) -> tuple[Topology, Scenario]:
    """Read a topology and a scenario from a YAML or JSON file.

    Args:
        path: The file. Relative paths in it start from its folder.

    Raises:
        InputError: Something is wrong; `where` has the file, line, column and path in the document.
    """
    with relative_to(path.parent):
        return read_form(read_document(path))


def place_in_form(path: Path, *keys: str) -> Place:
    """Where in a form something is written, such as ``nodes``, ``van``, ``command``; or what is above it."""
    item = read_document(path)
    for key in keys:
        if not isinstance(item.value, dict) or key not in item.value:
            break
        item = item.value[key]
    return item.place


def read_form(document: Item) -> tuple[Topology, Scenario]:
    """The topology and scenario of a document.

    Raises:
        InputError: Something is wrong; `where` has the file, line, column and path in the document.
    """
    if not isinstance(document.value, dict):
        raise LoadError(
            f"it is {document.what}, but has to be a mapping",
            where=document.place,
            hint="begin with `nodes:`",
        )
    problems = Problems()
    with problems.noted():
        check_keys(document, [*sections(), *settings()], "there is no {}")
    if "nodes" not in document.value and not problems:  # it may be misspelled
        hint = "write `nodes:` with a name and an app or command below"
        problems.note(LoadError("there are no nodes", where=document.place, hint=hint))
    names = Names()
    for key, section in sections().items():
        if key in document.value:
            with problems.noted():
                _read_objects(document.value[key], key, section, names)
            with problems.noted():
                _check_apart(document.value[key], key, names)
    given = {key: document.value[key] for key in settings() if key in document.value}
    values: dict[str, Any] = {}
    for key, item in given.items():
        with problems.noted():
            values[key] = settings()[key].read(item, names)
    problems.check()
    scenario = values.pop("scenario", None) or Scenario()
    nodes, uplinks = (list(names.of((section,)).values()) for section in ("nodes", "uplinks"))
    return guarded(document, document.value, lambda: Topology(nodes, uplinks=uplinks, **values)), scenario


def _read_objects(item: Item, key: str, section: Section, names: Names) -> None:
    """Add the objects of one section to `names`."""
    found = names.objects[key] = {}
    wrong = names.wrong[key] = set()
    if not isinstance(item.value, dict):
        what = f"it is {item.what}, but has to be a mapping of names"
        raise LoadError(what, where=item.place, hint="write NAME: and what it has below")
    problems = Problems()
    for name, each in item.value.items():
        wrong.add(name)  # until it is made; what is defined so far can be named: a tag by a tag
        with problems.noted():
            found[name] = section.read(name, each, names)
            wrong.remove(name)
    problems.check()


def _check_apart(item: Item, section: str, names: Names) -> None:
    """Refuse links and tags that are called as something else: a target would have two meanings."""
    for name in names.objects[section]:
        for other, objects in names.objects.items():
            if other != section and name in objects and {other, section} & {LINKED_BY_NAME, "tags"}:
                raise LoadError(
                    f"{name!r} is one of the {other} already",
                    where=item.place_of(name),
                    hint="take another name",
                )


def form_schema() -> Schema:
    """The JSON Schema (draft 2020-12) of a form."""
    defs: dict[str, Schema] = {}
    parts: Mapping[str, Any] = {**sections(), **settings()}
    properties = {key: part.schema(defs) for key, part in parts.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A deployment of WoTemu",
        "type": "object",
        "properties": properties,
        "required": ["nodes"],
        "additionalProperties": False,
        "$defs": dict(sorted(defs.items())),
    }
