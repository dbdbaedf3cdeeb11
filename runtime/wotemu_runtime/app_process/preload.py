"""Imports WoTPy in the process that apps are forked from, so that no start has to."""

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
    "wotemu_runtime.app_process.main",
    "wotemu_runtime.app_process.measuring.wotpy_hooks",
    "wotemu_runtime.app_process.wotpy_patches",
    "aiohttp",
)
"""Modules that every app on WoTPy imports: all bindings, our hooks and patches, the catalogue's client."""


def preload() -> None:
    """Import all of `WOT_IMPORTS`."""
    for name in WOT_IMPORTS:
        importlib.import_module(name)
