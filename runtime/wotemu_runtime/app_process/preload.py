"""Imports once what every start of an app needs, in the process that apps are forked from."""

from __future__ import annotations

import importlib

WOT_IMPORTS = (
    "wotpy.wot.servient",
    "wotpy.wot.wot",
    "wotpy.protocols.http.client",
    "wotpy.protocols.http.server",
    "wotpy.protocols.ws.client",
    "wotpy.protocols.ws.server",
    "wotpy.protocols.coap.client",
    "wotpy.protocols.coap.server",
    "wotpy.protocols.mqtt.client",
    "wotpy.protocols.mqtt.server",
    "wotemu_runtime.app_process.measuring.wotpy_hooks",
    "wotemu_runtime.app_process.wotpy_patches",
    "aiohttp",
)
"""What apps on WoTPy need."""


def preload() -> None:
    """Import it all."""
    for name in WOT_IMPORTS:
        importlib.import_module(name)
