"""What an app on WoTPy may import: its surroundings (`Conf`), finding and consuming Things, and metrics.

An app is ``async def app(wot, conf, loop, **params)``. It needs nothing from here to be measured. All of this
also works outside of WoTemu, so that production code can keep its calls. Each name is loaded on first use: a
node's agent needs `agent_socket` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wotemu.lazy_names import lazy_names

if TYPE_CHECKING:
    from wotemu.app.conf import Conf
    from wotemu.app.consuming import ThingNotFoundError, consume_from_catalogue
    from wotemu.app.metrics import write_metric
    from wotemu.app.waiting import NodeNotReadyError, wait_node
    from wotemu.topology.ports import Ports

__all__ = [
    "Conf",
    "NodeNotReadyError",
    "Ports",
    "ThingNotFoundError",
    "consume_from_catalogue",
    "wait_node",
    "write_metric",
]

_MODULE_OF = {
    "Conf": "wotemu.app.conf",
    "NodeNotReadyError": "wotemu.app.waiting",
    "Ports": "wotemu.topology.ports",
    "ThingNotFoundError": "wotemu.app.consuming",
    "consume_from_catalogue": "wotemu.app.consuming",
    "wait_node": "wotemu.app.waiting",
    "write_metric": "wotemu.app.metrics",
}

__getattr__, __dir__ = lazy_names(__name__, _MODULE_OF, __all__)
