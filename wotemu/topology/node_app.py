"""A node's WoTPy app: where it is, which servers it has, and what it is called with."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from wotemu.topology._fields import Checked, fail, flag, named_errors, text

AppFunction = Callable[..., Coroutine[Any, Any, Any]]
"""An app: ``async def sensor(wot, conf, loop, **params)``."""

WOTPY_FIXES: Mapping[str, str] = MappingProxyType(
    {
        "coap-observe": "a CoAP observation delivers each notification once, not its last one endlessly",
        "http-clients": "HTTP requests and long polls may use 1000 connections at once, instead of 10",
        "mqtt-delivery": "an MQTT request ends when its answer came, instead of up to a second later",
        "next-address": "HTTP and WebSocket clients try a name's next address after 0.3 s without an answer",
        "td-cost": "a Thing's id and title are looked up, not built with its whole description each time",
        "ws-teardown": "a WebSocket request ends when its answer came, instead of a second later",
    }
)
"""What each named fix of a defect of WoTPy 0.18 does. The runtime has the fixes themselves.

An emulation shows production as it is, so none is on unless `NodeApp(wotpy_fixes=...)` names it.
"""


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


def _names_an_app(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not callable(value):
        text(instance, attribute, value)
        if value.startswith(("http://", "https://")):
            raise fail(
                instance,
                attribute.name,
                "apps are not downloaded",
                hint="save it beside the deployment's file, and give its name",
            )
    elif not inspect.iscoroutinefunction(value):
        name = getattr(value, "__name__", repr(value))
        hint = f"write `async def {name}(wot, conf, loop)`"
        raise fail(instance, attribute.name, f"{name} is not a coroutine function", hint)


_IN_URL = re.compile(r"[A-Za-z0-9._~-]+")
"""The characters that a URL holds as they are (RFC 3986, section 2.3)."""


@attrs.frozen(field_transformer=named_errors)
class NodeApp(Checked):
    """A WoTPy app.

    Attributes:
        path: The name of a built-in app, a file (whose function is `app`), ``file.py:function``,
            ``module:function``, or the coroutine function itself, which travels to the node with what it
            uses.
        http, ws, mqtt, coap: Which servers its servient has.
        params: Keyword arguments of the app's function; values that JSON can hold.
        credentials: User name and password that its MQTT client and server log in at brokers with; see
            `Broker.users`.
        wotpy_fixes: Names of `WOTPY_FIXES` to turn on; by default none is on, but for built-in apps.

    Raises:
        TopologyError: A value is not what it has to be; the error names the field.
    """

    path: str | AppFunction = attrs.field(validator=_names_an_app)
    http: bool = attrs.field(default=False, kw_only=True, converter=flag)
    ws: bool = attrs.field(default=False, kw_only=True, converter=flag)
    mqtt: bool = attrs.field(default=False, kw_only=True, converter=flag)
    coap: bool = attrs.field(default=False, kw_only=True, converter=flag)
    params: Mapping[str, Any] = attrs.field(factory=dict, kw_only=True)
    credentials: tuple[str, str] | None = attrs.field(default=None, kw_only=True, repr=False)
    wotpy_fixes: tuple[str, ...] = attrs.field(default=(), kw_only=True, converter=_names, validator=_fixes)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.params, Mapping) or not all(isinstance(key, str) for key in self.params):
            raise fail(self, "params", f"{self.params!r} is not a dict of keyword arguments")
        object.__setattr__(self, "params", dict(self.params))
        self._check_credentials()
        for key, value in self.params.items():
            if not _is_json(value):
                raise fail(
                    self,
                    f"params[{key!r}]",
                    f"{value!r} can't travel to the node",
                    hint="pass JSON values: numbers, strings, lists, dicts",
                )

    def _check_credentials(self) -> None:
        """Make `credentials` a tuple. What is refused is never shown: it may be a password."""
        if self.credentials is None:
            return
        pair = () if isinstance(self.credentials, str) else tuple(self.credentials)
        if len(pair) != 2 or not all(isinstance(text, str) and text for text in pair):
            raise fail(self, "credentials", "it is no pair of texts", hint='write ("user", "password")')
        # WoTPy writes them into the broker's URL as they are.
        if not all(_IN_URL.fullmatch(text) for text in pair):
            raise fail(
                self,
                "credentials",
                "a character of them can't be in a URL, which WoTPy puts them into",
                hint="use letters, digits, '-', '.', '_' and '~'",
            )
        object.__setattr__(self, "credentials", pair)

    @property
    def function(self) -> AppFunction | None:
        """The function, where the app is given as one."""
        return None if isinstance(self.path, str) else self.path

    @property
    def target(self) -> str:
        """The app as text; of a function its module and name, for people."""
        if isinstance(self.path, str):
            return str(self.path)
        named = inspect.unwrap(getattr(self.path, "func", self.path))
        return f"{named.__module__}:{named.__name__}"

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
