"""What may be asked of Docker. Pure: a request's line and headers to a decision.

Everything is refused that is not on the list. What is allowed is written anew from its parts, so nothing of
what a client sent reaches Docker as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args
from urllib.parse import quote, unquote_to_bytes

import attrs

Collection = Literal["services", "tasks", "networks", "nodes"]
Kind = Literal["ping", "version", "services", "tasks", "networks", "nodes"]

COLLECTIONS: frozenset[str] = frozenset(get_args(Collection))
METHODS = frozenset({"GET", "HEAD"})
MAX_TARGET = 4096
MAX_HEADERS = 40
MAX_FILTER_VALUES = 200

FILTERS: Mapping[str, frozenset[str]] = {
    "services": frozenset({"id", "label", "mode", "name"}),
    "tasks": frozenset({"desired-state", "id", "label", "name", "node", "service"}),
    "networks": frozenset({"driver", "id", "label", "name", "scope", "type"}),
    "nodes": frozenset({"id", "membership", "name", "role"}),
}
"""The filters of each list. A node's labels are none of a stack's business, so nor is asking by them."""

LABELS = ("com.docker.stack.", "org.wotemu.")
"""How the labels begin that a stack may see, and filter by."""

_TARGET = re.compile(r"[!-~]+")
_NAME = "[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
_PATH = re.compile(rf"(?P<version>/v1\.[1-9][0-9])?/(?P<kind>_ping|[a-z]+)(?:/(?P<name>{_NAME}))?")
_ESCAPES = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=:/@-]{0,255}")
_OVERRIDES = frozenset(
    {"x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"}
)


@attrs.frozen
class Decision:
    """Whether a request may pass, why not, and what is asked of Docker instead of it."""

    allowed: bool
    reason: str = ""
    kind: Kind = "ping"
    name: str | None = None
    version: str = ""
    query: tuple[tuple[str, str], ...] = ()

    @property
    def target(self) -> str:
        """The request target for Docker."""
        parts = ["_ping" if self.kind == "ping" else self.kind, *([self.name] if self.name else [])]
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in self.query)
        return f"{self.version}/{'/'.join(parts)}" + (f"?{query}" if query else "")


class _Refusal(Exception):  # noqa: N818  # it never leaves this module
    pass


def decide(method: str, raw_target: str, headers: Iterable[tuple[str, str]] = ()) -> Decision:
    """What to do about ``METHOD raw_target``, just as it stood in the request's first line."""
    try:
        return _decide(method, raw_target, headers)
    except _Refusal as refusal:
        return Decision(allowed=False, reason=str(refusal))


def _decide(method: str, raw_target: str, headers: Iterable[tuple[str, str]]) -> Decision:
    if method not in METHODS:
        raise _Refusal("only GET and HEAD are allowed")
    _check_headers(headers)
    if len(raw_target) > MAX_TARGET:
        raise _Refusal(f"the request target is longer than {MAX_TARGET} characters")
    if not raw_target.startswith("/"):
        raise _Refusal("the request target must be a path")
    if _TARGET.fullmatch(raw_target) is None or set(raw_target) & set(";\\#"):
        raise _Refusal("the request target has characters that no allowed one needs")
    path, mark, query = raw_target.partition("?")
    if "%" in path:
        raise _Refusal("the path must be written without escapes")
    match = _PATH.fullmatch(path)
    if match is None:
        raise _Refusal("this path is not on the list of what may be read")
    kind, name = _object(match["kind"], match["name"])
    return Decision(
        allowed=True,
        kind=kind,
        name=name,
        version=match["version"] or "",
        query=_query(kind, name, query) if mark else (),
    )


def _object(kind: str, name: str | None) -> tuple[Kind, str | None]:
    if kind in ("_ping", "version"):
        if name is not None:
            raise _Refusal("this path is not on the list of what may be read")
        return "ping" if kind == "_ping" else "version", None
    if kind not in COLLECTIONS:
        raise _Refusal("this path is not on the list of what may be read")
    if name in ("create", "prune"):
        raise _Refusal("this path is for changes, and nothing may be changed")
    return kind, name  # type: ignore[return-value]  # a member of COLLECTIONS


def _check_headers(headers: Iterable[tuple[str, str]]) -> None:
    count = 0
    for key, value in headers:
        count += 1
        name = key.lower()
        if name in _OVERRIDES:
            raise _Refusal(f"the header {name} is refused: a request is what its first line says")
        if name == "upgrade" or (name == "connection" and "upgrade" in value.lower()):
            raise _Refusal("no connection is upgraded")
        if name in ("transfer-encoding", "expect") or (name == "content-length" and value.strip() != "0"):
            raise _Refusal("a request can't have a body")
    if count > MAX_HEADERS:
        raise _Refusal(f"there are more than {MAX_HEADERS} headers")


def _query(kind: Kind, name: str | None, query: str) -> tuple[tuple[str, str], ...]:
    sane: dict[str, str] = {}
    for pair in query.split("&"):
        key, sign, raw = pair.partition("=")
        if not sign or key in sane:
            raise _Refusal("the query must be KEY=VALUE pairs, each key once")
        value = _unescaped(raw)
        if key == "filters" and kind in FILTERS and name is None:
            sane[key] = _filters(kind, value)
        elif key == "status" and kind == "services" and name is None and value in ("true", "1", "false", "0"):
            sane[key] = "true" if value in ("true", "1") else "false"
        else:
            raise _Refusal(f"this query is not allowed here: {key!r:.40}")
    return tuple(sorted(sane.items()))


def _unescaped(raw: str) -> str:
    if _ESCAPES.fullmatch(raw) is None:
        raise _Refusal("the query has a broken escape")
    try:
        return unquote_to_bytes(raw.replace("+", " ")).decode("ascii")
    except UnicodeDecodeError:
        raise _Refusal("the query must be ASCII") from None


def _filters(kind: str, text: str) -> str:
    """Docker's filters, ``{key: [value]}`` or ``{key: {value: true}}``, checked and in the first form."""
    try:
        filters = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise _Refusal("the filters are not JSON") from None
    if not isinstance(filters, dict):
        raise _Refusal("the filters are not an object")
    sane = {key: _filter_values(key, value) for key, value in filters.items() if _allowed_filter(kind, key)}
    if sum(map(len, sane.values())) > MAX_FILTER_VALUES:
        raise _Refusal(f"there are more than {MAX_FILTER_VALUES} values to filter by")
    return json.dumps(sane, sort_keys=True, separators=(",", ":"))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _Refusal("the filters have a key twice")
    return dict(pairs)


def _allowed_filter(kind: str, key: str) -> bool:
    if key not in FILTERS[kind]:
        raise _Refusal(f"this filter is not allowed here: {key!r:.40}")
    return True


def _filter_values(key: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        if any(flag is not True for flag in value.values()):
            raise _Refusal("a filter's values must be a list, or all true")
        value = list(value)
    if not isinstance(value, list):
        raise _Refusal("a filter's values must be a list")
    for item in value:
        if not isinstance(item, str) or _VALUE.fullmatch(item) is None:
            raise _Refusal("a filter's value has characters that none needs")
        if key == "label" and not item.startswith(LABELS):
            raise _Refusal(f"a label to filter by must begin with {' or '.join(LABELS)}")
    return sorted(value)
