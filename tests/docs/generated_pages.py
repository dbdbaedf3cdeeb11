"""Writes what the documentation has from the code itself: ``python -m tests.docs.generated_pages``.

`docs/commands.md` is the command line's help, `docs/api.md` the docstrings of public names, and the tables of
`docs/run-directory.md` are the records. A test fails where a page is not what this writes.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import click

import wotemu
import wotemu.app
import wotemu.scenario
from wotemu.cli import main
from wotemu.forms.deployment import form_schema
from wotemu.records import TABLES, TRANSIENT_TABLES
from wotemu.records.columns import meaning
from wotemu.records.event_kinds import EVENT_KINDS
from wotemu.records.schemas import SCHEMAS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
NOTE = "<!-- Written by `python -m tests.docs.generated_pages`; do not edit. -->"


def commands_page() -> str:
    """Every command with its help."""
    root = _context(main, "wotemu")
    shown = [name for name in main.list_commands(root) if not main.commands[name].hidden]
    parts = [
        NOTE,
        "# Commands\n\nThe help of every command, as `wotemu COMMAND --help` prints it.",
        _help(root),
        *(f"## wotemu {name}\n\n{_help(_context(main.commands[name], name, root))}" for name in shown),
    ]
    return "\n\n".join(parts) + "\n"


def _context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    settings = {**command.context_settings, "terminal_width": 100}
    return click.Context(command, parent=parent, info_name=name, **settings)


def _help(context: click.Context) -> str:
    lines = (line.rstrip() for line in context.get_help().strip().splitlines())
    return "```text\n" + "\n".join(lines) + "\n```"


# The API


def api_page() -> str:
    """Every public name with its signature and docstring."""
    return "\n\n".join([NOTE, _API_HEAD, *_api_parts()]) + "\n"


_API_HEAD = """# Python API

Every public name, from its docstring. Durations, rates and sizes are strings with units
([concepts](concepts.md#units)); `QuantityLike` is such a string or a number. Of values that are parsed,
signatures have the type that they become: `Seconds`, `Rate` (bits a second), `Fraction` (a share) and `Bytes`
are numbers. The words of a scenario are in [vocabulary](vocabulary.md), with examples."""


def _api_parts() -> Iterator[str]:
    yield "## wotemu"
    for name in wotemu.__all__:
        yield from described(name, getattr(wotemu, name))
    yield "## What `at` and `during` return"
    for word in (wotemu.at(0), wotemu.during(0, 1), wotemu.every(1), wotemu.when(wotemu.event("app.ready"))):
        yield from described(type(word).__name__, type(word))
    yield "## wotemu.app\n\nWhat an app imports."
    for name in wotemu.app.__all__:
        if name not in wotemu.__all__:
            yield from described(name, getattr(wotemu.app, name))
    yield "## wotemu.scenario\n\nBeside the names that `wotemu` has, too."
    for name in wotemu.scenario.__all__:
        if name not in wotemu.__all__:
            yield from described(name, getattr(wotemu.scenario, name))
    yield f"## The pytest plugin\n\n{_plugin()}"


def described(name: str, thing: Any) -> Iterator[str]:
    """A heading, signature and docstring, and those of a class' own public members."""
    yield f"### {name}\n\n{signature(name, thing)}{text(inspect.getdoc(thing) or '')}".rstrip()
    if inspect.isclass(thing):
        if "__init__" in vars(thing) and not attrs.has(thing) and not issubclass(thing, Exception):
            yield text(inspect.getdoc(thing.__init__) or "")
        members = [
            (key, member)
            for key, member in _members(thing)
            if inspect.getdoc(getattr(thing, key)) and not isinstance(member, type)
        ]
        if members:
            yield "\n".join(_member_line(key, thing, member) for key, member in members)


_INTERNAL = {"ERROR", "hint_for", "to_dict", "from_dict", "replaced", "count", "index", "FIELD", "ALIASES"}


def _members(thing: type) -> list[tuple[str, Any]]:
    """The public members that a class has of WoTemu's own classes, in the order of their definition."""
    own = [base for base in reversed(thing.__mro__) if base.__module__.startswith("wotemu")]
    found = {key: member for base in own for key, member in vars(base).items() if _is_member(member)}
    return [(key, found[key]) for key in found if not key.startswith("_") and key not in _INTERNAL]


def _is_member(member: Any) -> bool:
    return isinstance(member, property | classmethod | staticmethod) or inspect.isfunction(member)


def _member_line(key: str, thing: type, member: Any) -> str:
    doc = text(inspect.getdoc(getattr(thing, key)) or "").replace("\n", "\n  ")
    if isinstance(member, property):
        return f"- **`{key}`** {doc}"
    try:
        arguments = str(inspect.signature(getattr(thing, key)))
    except ValueError:
        arguments = "(...)"
    kind = "await " if inspect.iscoroutinefunction(member) else ""
    return f"- **`{kind}{key}{_tidy(arguments)}`**\n\n  {doc}\n"


def signature(name: str, thing: Any) -> str:
    """The signature as a block of code; nothing for exceptions and enumerations."""
    if inspect.isclass(thing) and issubclass(thing, Exception | str):
        return ""
    found = inspect.signature(thing)
    kinds = (
        {field.alias or field.name: field.type for field in attrs.fields(thing)} if attrs.has(thing) else {}
    )
    parameters = [  # what a converter takes has no annotation: what it gives says more
        each.replace(annotation=kinds.get(key, each.annotation)) if each.annotation in ("Any", Any) else each
        for key, each in found.parameters.items()
    ]
    kind = "await " if inspect.iscoroutinefunction(thing) else ""
    return f"```text\n{kind}{name}{_tidy(str(found.replace(parameters=parameters)))}\n```\n\n"


def _tidy(arguments: str) -> str:
    """A signature without what does not help its reader: quotes of annotations, classes of defaults."""
    text = re.sub(r"^\(self(, )?", "(", arguments).replace("'None'", "None")
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)
    text = re.sub(r"\b(?:Seconds|Fraction|Rate|Bytes)\('([^']*)'\)", r"\1", text)
    return (
        re.sub(r"Placement\(constraints=.*?None\)", "Placement()", text)
        .replace("NOTHING", "...")
        .removesuffix(" -> None")
    )


def text(docstring: str) -> str:
    """A docstring as Markdown: sections as lists, one item a name."""
    docstring = re.sub(r"``(.+?)``", r"`\1`", docstring)
    head, *sections = re.split(r"(?m)^(?=(?:Args|Returns|Raises|Attributes|Yields):$)", docstring)
    return "\n\n".join([head.strip(), *map(_section, sections)])


def _section(block: str) -> str:
    title, _, body = block.partition("\n")
    if title in ("Returns:", "Yields:"):
        return f"{title[:-1]}: {' '.join(body.split())}"
    items: list[str] = []
    trailing: list[str] = []
    for line in body.splitlines():
        if line and not line.startswith(" "):
            trailing.append(line)
        elif re.match(r"^    \S", line):
            name, _, meaning_of = line.strip().partition(": ")
            items.append(f"- `{name}`: {meaning_of}")
        elif line.strip():
            items[-1] += f" {line.strip()}"
    rest = f"\n\n{' '.join(trailing)}" if trailing else ""
    return f"{title[:-1]}:\n\n" + "\n".join(items) + rest


def _plugin() -> str:
    import wotemu.pytest_plugin as plugin

    head, _, rest = (inspect.getdoc(plugin) or "").partition("\n\n")
    code, _, _ = rest.partition("\n\npytest loads")
    options = "\n".join(
        f"- `{name}`: {what}"
        for name, what in re.findall(
            r'"(--wotemu-[a-z]+)".*?help="(.+?)"', inspect.getsource(plugin.pytest_addoption), re.DOTALL
        )
    )
    body = "\n".join(line.removeprefix("    ") for line in code.splitlines())
    return (
        f"{head}\n\n```text\n{body}\n```\n\nMarker: `{plugin.MARKER}`\n\nFixtures:\n\n"
        f"- `emulation`: {inspect.getdoc(plugin._emulation)}\n"
        "- `recorded_run`: The marked deployment, run to its end.\n\nOptions of pytest:\n\n"
        f"{options}"
    )


# Records


def tables_part() -> str:
    """Every stored table with its columns."""
    parts = []
    for name, kind in TABLES.items():
        if name in TRANSIENT_TABLES or name not in SCHEMAS:
            continue
        head = text(inspect.getdoc(kind) or "")
        rows = "\n".join(
            f"| `{column}` | {dtype} | {meaning(name, column)} |" for column, dtype in SCHEMAS[name].items()
        )
        parts.append(
            f"### {name}\n\n{head}\n\n| column | type | unit or values |\n|---|---|---|\n{_escaped(rows)}"
        )
    return "\n\n".join(parts)


def _escaped(rows: str) -> str:
    return rows.replace("`|`", "`\\|`")


def kinds_part() -> str:
    """Every kind of event."""
    rows = (f"| `{name}` | {kind.severity} | {kind.says} |" for name, kind in EVENT_KINDS.items())
    return "| kind | severity | what happened |\n|---|---|---|\n" + "\n".join(rows)


def schema_page() -> str:
    """The JSON Schema of deployments in YAML and JSON."""
    return json.dumps(form_schema(), indent=1) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "api.md": api_page,
    "wotemu.schema.json": schema_page,
}
PARTS: dict[tuple[str, str], Callable[[], str]] = {
    ("run-directory.md", "tables"): tables_part,
    ("run-directory.md", "event kinds"): kinds_part,
}


def with_parts(page: str, content: str) -> str:
    """The page with what is between its markers written again."""
    for (owner, part), make in PARTS.items():
        if owner == page:
            begin, end = f"<!-- generated: {part} -->", f"<!-- end: {part} -->"
            before, _, rest = content.partition(begin)
            _, _, after = rest.partition(end)
            content = f"{before}{begin}\n\n{make()}\n\n{end}{after}"
    return content


def expected() -> dict[str, str]:
    """What each page with something generated has to be."""
    partly = {page for page, _ in PARTS}
    made = {page: make() for page, make in PAGES.items()}
    return made | {page: with_parts(page, (DOCS / page).read_text()) for page in partly}


if __name__ == "__main__":
    for page, content in expected().items():
        (DOCS / page).write_text(content)
