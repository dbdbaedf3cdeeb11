"""Decides what follows an end of the app that nobody asked for: a restart, and when, or no further start."""

from __future__ import annotations

import attrs

from wotemu.errors import InputError
from wotemu_runtime.app_process.messages import Failure
from wotemu_runtime.processes.fork import exit_text

START_ATTEMPTS = 3
"""Starts in a row that may fail before the app was ready for the first time; then it is given up."""
FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.5, 10.0
SETTLED_AFTER_S = 10.0
"""An app that ran for longer gets the first, short backoff at its next restart."""
DELIBERATE_ERROR = "DeliberateError"
"""The error of the built-in app `error`: a crash that the run is to show, however soon it comes."""


@attrs.frozen
class Finished:
    """The app succeeded; it is not started again."""


@attrs.frozen
class NeverStarted:
    """The app can't be started, and why; another try would fail as well."""

    failure: Failure


@attrs.frozen
class Restart:
    """Start the app again after so many seconds."""

    after_s: float


Decision = Finished | NeverStarted | Restart


@attrs.define
class RestartPolicy:
    """The restart policy of one app, and what it knows of earlier starts.

    `is_wot` says that the app reports when it is ready and up; a command is ready as soon as it is started.
    """

    is_wot: bool
    _was_ready: bool = attrs.field(default=False, init=False)
    _was_up: bool = attrs.field(default=False, init=False)
    _failed_starts: int = attrs.field(default=0, init=False)

    @property
    def attempt(self) -> int:
        """The number of the current start, from 1, since the app was last up."""
        return self._failed_starts + 1

    def ready(self) -> None:
        """The app is prepared and waits for T0."""
        self._was_ready = True

    def up(self) -> None:
        """The app runs."""
        self._was_ready = self._was_up = True
        self._failed_starts = 0

    def ended(self, status: int, failure: Failure | None, last_line: str, lived_s: float) -> Decision:
        """Decide what follows.

        Args:
            status: the main process's wait(2) status.
            failure: what the app reported, if it did.
            last_line: the last line that it wrote to standard error.
            lived_s: how long it ran.
        """
        if status == 0 and failure is None and (self._was_ready or not self.is_wot):
            return Finished()
        if self._is_hopeless(failure):
            return NeverStarted(failure or Failure("start", "", last_line or exit_text(status)))
        self._failed_starts = 1 if lived_s > SETTLED_AFTER_S else self._failed_starts + 1
        return Restart(min(FIRST_BACKOFF_S * 2 ** (self._failed_starts - 1), MAX_BACKOFF_S))

    def _is_hopeless(self, failure: Failure | None) -> bool:
        """Whether a further start would fail as this one did."""
        if self._was_up:
            return False  # it can run, so a crash is part of what the run is to show
        if failure is not None and failure.type == InputError.__name__:
            return True  # its parameters will be the same
        if failure is not None and failure.type == DELIBERATE_ERROR:
            return False
        return (failure is not None and failure.stage == "prepare") or self.attempt >= START_ATTEMPTS
