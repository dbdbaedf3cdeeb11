"""Parses a JSON array of objects as it arrives, so that a long one is never in memory as a whole."""

from __future__ import annotations

import codecs
import json
from typing import Any

_DECODER = json.JSONDecoder()
_WHITESPACE = " \t\r\n"


class JsonArrayParser:
    """An incremental parser of one JSON array of objects.

    Args:
        max_chars: The longest object that is accepted, so that no input makes the buffer grow without bound.
    """

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._text = ""
        # A chunk may end amid a character.
        self._bytes = codecs.getincrementaldecoder("utf-8")()
        self._has_begun = False
        self._needs_comma = False
        self.is_complete = False
        """Whether the array is closed."""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Parse the next bytes.

        Returns:
            The objects that are complete with them.

        Raises:
            ValueError: It is no array of objects, or an object is too long.
        """
        self._text += self._bytes.decode(data)
        found: list[dict[str, Any]] = []
        while self._skip_punctuation():
            try:
                element, end = _DECODER.raw_decode(self._text)
            except ValueError:  # more of the object is to come, or it is malformed and will exceed the limit
                element, end = None, len(self._text)
            if end > self._max_chars:
                raise ValueError(f"of an object of more than {self._max_chars} characters")
            if element is None:
                break
            found.append(element)
            self._text = self._text[end:]
            self._needs_comma = True
        return found

    def _skip_punctuation(self) -> bool:
        """Remove brackets, commas and spaces before the next object; False if none has begun."""
        text = self._text.lstrip(_WHITESPACE)
        if not self._has_begun and text:
            self._has_begun, text = True, _after("[", text).lstrip(_WHITESPACE)
        if self._has_begun and not self.is_complete and text.startswith("]"):
            self.is_complete, text = True, text[1:].lstrip(_WHITESPACE)
        elif self._needs_comma and text:
            self._needs_comma, text = False, _after(",", text).lstrip(_WHITESPACE)
        self._text = text
        if text and (self.is_complete or not text.startswith("{")):
            raise ValueError("not an array of objects")
        return bool(text)


def _after(sign: str, text: str) -> str:
    if not text.startswith(sign):
        raise ValueError("not an array of objects")
    return text[1:]


__all__ = ["JsonArrayParser"]
