"""The named fixes of WoTPy 0.18's own defects that an app may opt in to, as data.

An emulation shows production as it is, so none is on unless `NodeApp(wotpy_fixes=...)` names it. The
runtime holds what each one does; here is only what a topology needs to check and to list them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

WOTPY_FIXES: Mapping[str, str] = MappingProxyType(
    {
        "coap-observe": "a CoAP observation delivers each notification once, not its last one endlessly",
        "http-clients": "HTTP requests and long polls may use 1000 connections at once, instead of 10",
        "mqtt-delivery": "an MQTT request ends when its answer came, instead of up to a second later",
        "td-cost": "a Thing's id and title are looked up, not built with its whole description each time",
        "ws-teardown": "a WebSocket request ends when its answer came, instead of a second later",
    }
)
"""What each fix does, by its name."""
