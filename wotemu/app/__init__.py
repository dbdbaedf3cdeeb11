"""What an app on WoTPy may import: its surroundings (`Conf`), and helpers to find and consume Things.

An app is ``async def app(wot, conf, loop, **params)``. It needs nothing from here to be measured; the
helpers also work outside of WoTemu, so that production code can keep its calls.
"""

from wotemu.app.helpers import (
    Conf,
    NodeNotReadyError,
    Ports,
    ThingNotFoundError,
    consume_from_catalogue,
    wait_node,
    write_metric,
)

__all__ = [
    "Conf",
    "NodeNotReadyError",
    "Ports",
    "ThingNotFoundError",
    "consume_from_catalogue",
    "wait_node",
    "write_metric",
]
