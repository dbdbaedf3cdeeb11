"""Lists commands in the help under headings, in the order of their use, and loads each when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

import click

from wotemu.errors import EXIT_INTERRUPTED


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name, each loaded the first time that it is looked up."""

    def __init__(self, places: Mapping[str, str], load: Callable[[str], click.Command]) -> None:
        """Nothing is loaded yet.

        Args:
            places: Where each command is, by its name, in the order of the help.
            load: Imports the command of a place.
        """
        self._places = places
        self._loaded: dict[str, click.Command | None] = dict.fromkeys(places)
        self._load = load

    def __repr__(self) -> str:
        return f"LazyCommands({list(self._loaded)})"

    def __getitem__(self, name: str) -> click.Command:
        command = self._loaded[name]
        if command is None:
            command = self._loaded[name] = self._load(self._places[name])
            _name_variables(command)
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)


class GroupedCommands(click.Group):
    """A group whose help has a heading for each group of commands."""

    def __init__(
        self,
        *given: object,
        groups: Mapping[str, Mapping[str, str]],
        load: Callable[[str], click.Command],
        former: Mapping[str, str],
        **options: object,
    ) -> None:
        """As click's own group.

        Args:
            given: As click's.
            groups: Where each command is, by heading and name, in the order of the help.
            load: Imports the command of a place.
            former: What to do in place of commands that WoTemu 0.6 had, by their names.
            options: As click's.
        """
        super().__init__(*given, **options)  # type: ignore[arg-type]  # as click's own
        self._groups = groups
        self._former = former
        places = {name: place for commands in groups.values() for name, place in commands.items()}
        self.commands = LazyCommands(places, load)

    def invoke(self, ctx: click.Context) -> Any:
        """Load the command and call it; an interrupt of the loading has the exit code of later ones."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All of them, in the order of the help."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments begin with; of one of WoTemu 0.6, what is done now."""
        if args and args[0] in self._former:
            ctx.fail(f"{args[0]!r} was a command of WoTemu 0.6: {self._former[args[0]]}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write a section for each heading."""
        widest = max(map(len, self.commands))
        for heading, names in self._groups.items():
            if rows := self._rows(names, widest):
                with formatter.section(heading):
                    formatter.write_dl(rows, col_max=widest)

    def _rows(self, names: Iterable[str], widest: int) -> list[tuple[str, str]]:
        shown = ((name, self.commands[name]) for name in names)
        return [
            (name.ljust(widest), command.get_short_help_str(100))
            for name, command in shown
            if not command.hidden
        ]


def _name_variables(command: click.Command) -> None:
    """Give each of a command's options its environment variable."""
    for option in command.params:
        if isinstance(option, click.Option) and option.envvar is None:
            option.envvar = environment_variable(command, option)


def environment_variable(command: click.Command, option: click.Option) -> str:
    """The variable of an option: ``WOTEMU_RUN_JSON`` for ``--json`` of ``wotemu run``."""
    long = next(each for each in option.opts if each.startswith("--"))
    return f"WOTEMU_{command.name}_{long.removeprefix('--')}".upper().replace("-", "_")
