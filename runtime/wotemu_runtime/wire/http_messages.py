"""The first lines of HTTP/1.0 and 1.1, at the beginning of a TCP segment. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from wotemu.app.catalogue import USER_AGENT
from wotemu_runtime.wire.exchange import MAX_PATH

OWN_AGENT = f"\r\nUser-Agent: {USER_AGENT}\r\n".encode()
"""A header of the requests that WoTemu's own client of catalogues makes."""

_REQUEST = re.compile(
    rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH) ([!-~\x80-\xff]+)(?: HTTP/1\.[01]\r?\n|(\Z))"
)
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9]\d\d)[ \r\n]")
_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


class RequestLine(NamedTuple):
    """Method and path of a request; the path is without its query, which may hold secrets."""

    method: str
    path: str


def request_line(data: bytes, *, is_cut: bool = False) -> RequestLine | None:
    """The request that begins here; None where none does.

    Args:
        data: What a segment carries, from its first byte on.
        is_cut: Whether it carries more, so that the line's end may be missing.
    """
    found = _REQUEST.match(data)
    if found is None or (found[3] is not None and not is_cut):
        return None
    target = _ABSOLUTE.sub("", found[2].decode("ascii", "backslashreplace"), count=1)
    path = target.partition("?")[0].partition("#")[0]
    return RequestLine(found[1].decode(), (path or "/")[:MAX_PATH])


def status_code(data: bytes) -> int | None:
    """The status of the answer that begins here; None where none does."""
    found = _STATUS.match(data)
    return None if found is None else int(found[1])
