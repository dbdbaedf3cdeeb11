"""Shared by the built-in apps that expose a Thing: its Thing Description."""

from __future__ import annotations

import json
from typing import Any


def produce(wot: Any, thing_id: str, title: str, **affordances: dict[str, dict[str, Any]]) -> Any:
    """Produce, but do not yet expose, a Thing that asks for no credentials.

    `affordances` are its ``properties``, ``actions`` and ``events``, as a Thing Description has them.
    """
    description = {
        "@context": "https://www.w3.org/2022/wot/td/v1.1",
        "id": thing_id,
        "title": title,
        "security": ["nosec_sc"],
        "securityDefinitions": {"nosec_sc": {"scheme": "nosec"}},
        **affordances,
    }
    return wot.produce(json.dumps(description))
