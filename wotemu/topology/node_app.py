"""A node's WoTPy app: where it is, which servers it has, and what it is called with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from wotemu.topology._fields import Checked, fail, flag, named_errors, text
from wotemu.topology.wotpy_fixes import WOTPY_FIXES


def _names(value: Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _fixes(instance: Any, attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    for name in value:
        if name not in WOTPY_FIXES:
            raise fail(
                instance,
                attribute.name,
                f"{name!r} is no known fix: known are {', '.join(sorted(WOTPY_FIXES))}",
            )


@attrs.frozen(field_transformer=named_errors)
class NodeApp(Checked):
    """A WoTPy app.

    `path` is a built-in one's name, a file (its function `app`), ``file.py:function`` or ``module:function``.
    `http`, `ws`, `mqtt` and `coap` say which servers its servient has. `params` are the keyword arguments
    of the app's function. `wotpy_fixes` turns on named fixes of WoTPy's own defects; none is on by default.
    """

    path: str = attrs.field(validator=text)
    http: bool = attrs.field(default=False, kw_only=True, converter=flag)
    ws: bool = attrs.field(default=False, kw_only=True, converter=flag)
    mqtt: bool = attrs.field(default=False, kw_only=True, converter=flag)
    coap: bool = attrs.field(default=False, kw_only=True, converter=flag)
    params: Mapping[str, Any] = attrs.field(factory=dict, kw_only=True)
    wotpy_fixes: tuple[str, ...] = attrs.field(default=(), kw_only=True, converter=_names, validator=_fixes)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.params, Mapping) or not all(isinstance(key, str) for key in self.params):
            raise fail(self, "params", f"{self.params!r} is not a dict of keyword arguments")
        object.__setattr__(self, "params", dict(self.params))
        for key, value in self.params.items():
            if not _is_json(value):
                raise fail(
                    self,
                    f"params[{key!r}]",
                    f"{value!r} can't travel to the node",
                    hint="pass JSON values: numbers, strings, lists, dicts",
                )

    def __hash__(self) -> int:
        return hash(
            (self.path, self.http, self.ws, self.mqtt, self.coap, repr(self.params), self.wotpy_fixes)
        )


def _is_json(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return value is None or isinstance(value, str | int | float | bool)
