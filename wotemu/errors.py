"""The errors that WoTemu raises on purpose, and what the user can do about each.

WotemuError
├── InputError            the user's file, arguments or app are wrong: correct them, exit code 2
│   ├── TopologyError     ... the topology; `where` names the object and the field
│   ├── ScenarioError     ... the scenario
│   ├── LoadError         ... the file itself
│   └── AppStartError     ... an app or command that never got past its start
├── NotInTimeError        what was waited for did not happen within its timeout, exit code 3
├── NotRunningError       the emulation has not begun, is over, or its process is gone, exit code 2
├── HostError             this machine lacks what the engine needs (namespaces, /dev/net/tun), exit code 2
└── EmulationError        the emulation itself failed: a bug or a broken machine, exit code 3
"""

from __future__ import annotations

from typing import NamedTuple

EXIT_OBJECTIVE_FAILED = 1
"""Exit code: the emulation went well, and an objective of its scenario did not pass."""
EXIT_BAD_INPUT = 2
"""Exit code: the input is wrong, or this machine lacks something; click's own for wrong arguments, too."""
EXIT_FAILED = 3
"""Exit code: the emulation or its report failed."""
EXIT_INVALID = 4
"""Exit code: the fidelity certificate says INVALID, with ``--strict``."""
EXIT_INTERRUPTED = 130
"""Exit code: ended by a signal, as shells report SIGINT (128 + 2)."""


class Place(NamedTuple):
    """Where in the user's file something is written.

    Attributes:
        file: The file's name.
        line: From 1.
        column: From 1; None where only the line is known.
        path: Of a value in YAML or JSON: ``nodes.phone.networks[0].up``; "" in Python.
    """

    file: str
    line: int
    column: int | None = None
    path: str = ""

    def __str__(self) -> str:
        column = "" if self.column is None else f":{self.column}"
        return f"{self.file}:{self.line}{column}" + (f", {self.path}" if self.path else "")


class WotemuError(Exception):
    """Base of all of them.

    Attributes:
        message: What is wrong.
        where: The object, option or file that it is wrong in; None where the message says it.
        hint: What the user can do about it.
        exit_code: The command line's exit code for it.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        """See the attributes of the class."""
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class InputError(WotemuError, ValueError):
    """The user's input is wrong; nothing was started. Also a `ValueError`, as for any wrong argument.

    Attributes:
        place: The file, line, column and path; None where it is in no file, or the file is not known.
        field: The argument that is wrong: ``latency``; None where it is no single one.
        owner: Whose argument it is, as YAML has it, where only the plan shows that it is wrong:
            ``("nodes", "van")``.
        more: What else is wrong with the same input, where more than the first problem was looked for.
    """

    exit_code = EXIT_BAD_INPUT

    def __init__(
        self,
        message: str,
        *,
        where: str | Place | None = None,
        hint: str | None = None,
        field: str | None = None,
        owner: tuple[str, str] | None = None,
    ) -> None:
        """See the attributes of the class; a `Place` as `where` is the `place`, too."""
        super().__init__(message, where=None if where is None else str(where), hint=hint)
        self.place = where if isinstance(where, Place) else None
        self.field = field
        self.owner = owner
        self.more: tuple[InputError, ...] = ()


class TopologyError(InputError):
    """An object of the topology is wrong; `where` names it and the field."""


class ScenarioError(InputError):
    """The scenario names something that does not exist, or asks for something impossible."""


class LoadError(InputError):
    """The file can't be read or run, or defines no topology."""


class AppStartError(InputError):
    """An app raised, or a command failed, each time that it was started at first."""


class NotInTimeError(WotemuError, TimeoutError):
    """What was waited for did not happen in time. Also a `TimeoutError`, as of `asyncio.timeout`."""


class NotRunningError(WotemuError):
    """What is asked needs a run that goes on; this one has not begun, is over, or its process is gone."""

    exit_code = EXIT_BAD_INPUT


class HostError(WotemuError):
    """This machine lacks something that the engine needs; `hint` says how to get it."""

    exit_code = EXIT_BAD_INPUT


class EmulationError(WotemuError):
    """The emulation failed, by a bug or a machine that broke; not by the deployment."""
