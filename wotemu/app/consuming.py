"""`consume_from_catalogue`: finds a Thing in the catalogue of a host and consumes it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from wotemu.app.catalogue import Catalogue, quoted, session
from wotemu.app.conf import Conf
from wotemu.errors import WotemuError
from wotemu.topology.ports import Ports


class ThingNotFoundError(WotemuError, LookupError):
    """A catalogue has no Thing with this id or title."""


async def consume_from_catalogue(
    wot: Any,
    port_catalogue: int | None = None,
    servient_host: str = "",
    thing_id: str = "",
    *,
    conf: Conf | None = None,
    timeout: float = 20.0,
) -> Any:
    """Consume the Thing with this id or title in the catalogue of `servient_host`.

    Args:
        wot: the WoT entry point that the app was called with.
        port_catalogue: the catalogue's port; by default that of `conf`, else WoTPy's, 9090.
        servient_host: the host name of the node that exposes the Thing.
        thing_id: the Thing's id or title.
        conf: the app's surroundings, for the port.
        timeout: seconds for all requests together.

    Returns:
        WoTPy's ConsumedThing.

    Raises:
        ThingNotFoundError: the catalogue has no such Thing.
        OSError: the catalogue can't be reached; TimeoutError, which is one, within `timeout`.
        ValueError: what answers is no catalogue.
    """
    if not servient_host or not thing_id:
        raise TypeError("consume_from_catalogue needs servient_host=... and thing_id=...")
    port = port_catalogue or (conf.ports if conf else Ports()).catalogue
    async with asyncio.timeout(timeout), session(timeout) as client:
        catalogue = Catalogue(client, servient_host, port)
        await catalogue.load()
        title = await catalogue.title_of(thing_id)
        if title is not None:
            return wot.consume(json.dumps(_without_null_base(await catalogue.description(title))))
    raise ThingNotFoundError(
        f"no Thing has the id or title {thing_id!r}; there are {quoted(catalogue.paths)}",
        where=f"catalogue of {servient_host}:{port}",
        hint="wait for it with wait_node(conf, name, thing_ids=[...])",
    )


def _without_null_base(description: dict[str, Any]) -> dict[str, Any]:
    # WoTPy's catalogue gives null as the base of a servient without servers.
    return {key: value for key, value in description.items() if key != "base" or value is not None}
