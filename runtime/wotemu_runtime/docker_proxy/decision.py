"""Decides which requests may be forwarded to Docker, from their first line and headers. Pure.

What is not listed here is refused. A request that is allowed is built again from its parsed parts, so that no
text of a client reaches Docker unparsed.
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
"""The filters of each list. None by machines' labels: a stack may not see these, and filters reveal them."""

LABELS = ("com.docker.stack.", "org.wotemu.")
"""Prefixes of the labels that a stack may see, and filter by."""

# Strict patterns: what Docker's parsers and ours could read differently is refused.
_TARGET = re.compile(r"[!-~]+")
_NAME = "[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
_PATH = re.compile(rf"(?P<version>/v1\.[1-9][0-9])?/(?P<kind>_ping|[a-z]+)(?:/(?P<name>{_NAME}))?")
_ESCAPES = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=:/@-]{0,255}")
# Headers by which some servers take another method or path than that of the first line.
_OVERRIDES = frozenset(
    {"x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"}
)


@attrs.frozen
class Decision:
    """Whether a request is allowed, else why not; and the request to make of Docker.

    Attributes:
        allowed: Whether it is.
        reason: Why it is not, for the client.
        kind: What is requested.
        name: Name or id of one object; None for the list.
        version: Version prefix of the path, as ``/v1.43``, or empty.
        query: The query's keys and values, sorted.
    """

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
    """The request is refused; its text is the reason."""


def decide(method: str, raw_target: str, headers: Iterable[tuple[str, str]] = ()) -> Decision:
    """Decide on a request.

    Args:
        method: The method.
        raw_target: The target exactly as in the request's first line, still escaped.
        headers: Names and values, in their order.
    """
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
    checked: dict[str, str] = {}
    for pair in query.split("&"):
        key, sign, raw = pair.partition("=")
        if not sign or key in checked:
            raise _Refusal("the query must be KEY=VALUE pairs, each key once")
        value = _unescaped(raw)
        if key == "filters" and kind in FILTERS and name is None:
            checked[key] = _filters(kind, value)
        elif key == "status" and kind == "services" and name is None and value in ("true", "1", "false", "0"):
            checked[key] = "true" if value in ("true", "1") else "false"
        else:
            raise _Refusal(f"this query is not allowed here: {key!r:.40}")
    return tuple(sorted(checked.items()))


def _unescaped(raw: str) -> str:
    if _ESCAPES.fullmatch(raw) is None:
        raise _Refusal("the query has a broken escape")
    try:
        return unquote_to_bytes(raw.replace("+", " ")).decode("ascii")
    except UnicodeDecodeError:
        raise _Refusal("the query must be ASCII") from None


def _filters(kind: str, text: str) -> str:
    """Check filters, ``{key: [value]}`` or ``{key: {value: true}}``, and return them in the first form."""
    try:
        filters = json.loads(text, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError):
        raise _Refusal("the filters are not JSON") from None
    if not isinstance(filters, dict):
        raise _Refusal("the filters are not an object")
    checked = {
        key: _filter_values(key, value) for key, value in filters.items() if _allowed_filter(kind, key)
    }
    if sum(map(len, checked.values())) > MAX_FILTER_VALUES:
        raise _Refusal(f"there are more than {MAX_FILTER_VALUES} values to filter by")
    return json.dumps(checked, sort_keys=True, separators=(",", ":"))


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
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
