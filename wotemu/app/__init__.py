"""What an app on WoTPy may import: its surroundings (`Conf`), finding and consuming Things, and metrics.

An app is ``async def app(wot, conf, loop, **params)``. It needs nothing from here to be measured. All of this
also works outside of WoTemu, so that production code can keep its calls.
"""

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
