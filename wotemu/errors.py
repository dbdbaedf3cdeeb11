"""Every error that WoTemu raises on purpose, and what its user can do about each.

WotemuError
├── InputError            the user's file, arguments or app are wrong: correct them, exit code 2
│   ├── TopologyError     ... the topology; `where` names the object and the field
│   ├── ScenarioError     ... the scenario
│   ├── LoadError         ... the Python file itself
│   └── AppStartError     ... an app or command that never got past its start
├── HostError             this machine lacks what the engine needs (namespaces, /dev/net/tun), exit code 2
└── EmulationError        the emulation itself failed: a bug or a broken machine, exit code 3
"""

from __future__ import annotations

EXIT_BAD_INPUT = 2
"""Exit code: the input is wrong, or this machine lacks something; click's own for wrong arguments, too."""
EXIT_FAILED = 3
"""Exit code: the emulation, its certificate (with ``--strict``) or its report failed."""
EXIT_INTERRUPTED = 130
"""Exit code: ended by a signal, as shells report SIGINT (128 + 2)."""


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
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class InputError(WotemuError, ValueError):
    """What the user gave is wrong; nothing was started."""

    exit_code = EXIT_BAD_INPUT


class TopologyError(InputError):
    """An object of the topology can't be as it is written."""


class ScenarioError(InputError):
    """The scenario names what does not exist, or asks for what can't be."""


class LoadError(InputError):
    """The Python file can't be read, run, or holds no topology."""


class AppStartError(InputError):
    """An app raised, or a command failed, at each of its first starts."""


class HostError(WotemuError):
    """This machine lacks what the engine needs."""

    exit_code = EXIT_BAD_INPUT


class EmulationError(WotemuError):
    """The emulation itself failed."""
