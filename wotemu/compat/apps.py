"""The modules that apps of 0.6 import, `wotemu.utils` and `wotemu.monitor.utils`, on top of today's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wotemu.app import Conf
from wotemu.app import consume_from_catalogue as _consume
from wotemu.app import wait_node as _wait_node
from wotemu.app import write_metric as _write_metric
from wotemu.app.waiting import NodeNotReadyError
from wotemu.compat.old_word import warn_of_old_word

NodeHTTPTimeout = NodeNotReadyError


async def wait_node(
    conf: Conf,
    name: str,
    wait: float = 2,  # noqa: ARG001
    timeout: float = 120,
    find_replicas: bool = True,
    thing_ids: Iterable[str] | None = None,
) -> None:
    """As `wotemu.app.wait_node`, with the arguments of 0.6.

    Args:
        conf: The app's surroundings.
        name: The node's name, or any host name.
        wait: Seconds between two tries in 0.6; today they begin at 0.1 s and grow.
        timeout: Seconds.
        find_replicas: Whether all replicas of the node are waited for, or whichever answers to `name`.
        thing_ids: Ids or titles of Things that the catalogue must list.

    Raises:
        NodeNotReadyError: `timeout` has expired.
    """
    warn_of_old_word(
        f"wotemu.utils.wait_node is now wotemu.app.wait_node(conf, name, thing_ids, timeout={timeout:g}), "
        "which waits without end where no timeout is given"
    )
    surroundings = (
        conf
        if find_replicas
        else Conf(node=conf.node, replica=conf.replica, hostname=conf.hostname, ports=conf.ports)
    )
    await _wait_node(surroundings, name, thing_ids, timeout)


async def consume_from_catalogue(wot: Any, port_catalogue: int, servient_host: str, thing_id: str) -> Any:
    """As `wotemu.app.consume_from_catalogue`."""
    warn_of_old_word("wotemu.utils.consume_from_catalogue is now wotemu.app.consume_from_catalogue")
    return await _consume(wot, port_catalogue, servient_host, thing_id)


async def write_metric(key: str, data: Mapping[str, Any]) -> None:
    """A metric for each number in `data`, named ``KEY.FIELD``; other values are in no table any more.

    Args:
        key: The metric's name.
        data: Its values by field.
    """
    warn_of_old_word(
        f"wotemu.monitor.utils.write_metric({key!r}, {{...}}) is now "
        f"wotemu.app.write_metric('{key}.FIELD', number)"
    )
    for field, value in data.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            _write_metric(f"{key}.{field}", value)
