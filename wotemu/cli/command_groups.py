"""Lists commands in the help under headings, in the order that a user needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence


class GroupedCommands(click.Group):
    """A group whose help has a heading for each group of commands."""

    def __init__(self, *given: object, **options: object) -> None:
        """As click's own group."""
        super().__init__(*given, **options)  # type: ignore[arg-type]  # as click's own
        self._groups: dict[str, list[str]] = {}

    def add_group(self, heading: str, *commands: click.Command) -> None:
        """Add commands under a heading, and give each of their options its environment variable."""
        for command in commands:
            for option in command.params:
                if isinstance(option, click.Option) and option.envvar is None:
                    option.envvar = environment_variable(command, option)
            self.add_command(command)
            self._groups.setdefault(heading, []).append(str(command.name))

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All of them, in the order of the help."""
        grouped = [name for names in self._groups.values() for name in names]
        return [*grouped, *(name for name in self.commands if name not in grouped)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write a section for each heading; what was added without one is under "Others"."""
        grouped = {name for names in self._groups.values() for name in names}
        others = [name for name in self.commands if name not in grouped]
        widest = max(map(len, self.commands))
        for heading, names in {**self._groups, "Others": others}.items():
            if rows := self._rows(names, widest):
                with formatter.section(heading):
                    formatter.write_dl(rows, col_max=widest)

    def _rows(self, names: Sequence[str], widest: int) -> list[tuple[str, str]]:
        shown = ((name, self.commands[name]) for name in names)
        return [
            (name.ljust(widest), command.get_short_help_str(100))
            for name, command in shown
            if not command.hidden
        ]


def environment_variable(command: click.Command, option: click.Option) -> str:
    """The variable of an option: ``WOTEMU_RUN_JSON`` for ``--json`` of ``wotemu run``."""
    long = next(each for each in option.opts if each.startswith("--"))
    return f"WOTEMU_{command.name}_{long.removeprefix('--')}".upper().replace("-", "_")
