"""Collects what is wrong with a file, so that one reading finds all of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wotemu.errors import InputError, LoadError


class UnreadableError(LoadError):
    """A name is that of an object which is wrong itself: that one's problem says why, and is shown alone."""


class Problems:
    """The problems found so far."""

    def __init__(self) -> None:
        """None yet."""
        self._found: list[InputError] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note the error that the block raises, and go on after it."""
        try:
            yield
        except InputError as error:
            self.note(error)

    def note(self, error: InputError) -> None:
        """Note an error, and those that it has as `more`."""
        self._found += [error, *error.more]
        error.more = ()

    def check(self) -> None:
        """Raise the first problem of the file, with the others as its `more`.

        Raises:
            InputError: There is one.
        """
        real = [error for error in self._found if not isinstance(error, UnreadableError)] or self._found
        if real:
            first, *others = sorted(real, key=_position)
            first.more = tuple(others)
            raise first


def _position(error: InputError) -> tuple[int, int]:
    return (error.place.line, error.place.column or 0) if error.place is not None else (0, 0)
