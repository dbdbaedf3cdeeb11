"""Takes a JSON array apart as it arrives, so that a long one never lies in memory whole."""

from __future__ import annotations

import codecs
import json
from typing import Any

_DECODER = json.JSONDecoder()
_BETWEEN = " \t\r\n"


class Elements:
    """A JSON array of objects. `feed` returns those that have come whole; `ended` says that it is closed.

    Raises ValueError for anything else, and for an object of more than `max_chars`.
    """

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._text = ""
        self._bytes = codecs.getincrementaldecoder("utf-8")()
        self._began = False
        self._needs_comma = False
        self.ended = False

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take the next bytes."""
        self._text += self._bytes.decode(data)
        found: list[dict[str, Any]] = []
        while self._punctuation():
            try:
                element, end = _DECODER.raw_decode(self._text)
            except ValueError:  # not whole yet
                element, end = None, len(self._text)
            if end > self._max_chars:
                raise ValueError(f"of an object of more than {self._max_chars} characters")
            if element is None:
                break
            found.append(element)
            self._text = self._text[end:]
            self._needs_comma = True
        return found

    def _punctuation(self) -> bool:
        """Step over what stands between objects; whether the text now begins with one."""
        text = self._text.lstrip(_BETWEEN)
        if not self._began and text:
            self._began, text = True, self._after(text, "[").lstrip(_BETWEEN)
        if self._began and not self.ended and text.startswith("]"):
            self.ended, text = True, text[1:].lstrip(_BETWEEN)
        elif self._needs_comma and text:
            self._needs_comma, text = False, self._after(text, ",").lstrip(_BETWEEN)
        self._text = text
        if text and (self.ended or not text.startswith("{")):
            raise ValueError("not an array of objects")
        return bool(text)

    @staticmethod
    def _after(text: str, sign: str) -> str:
        if not text.startswith(sign):
            raise ValueError("not an array of objects")
        return text[1:]
