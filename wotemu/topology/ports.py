"""The ports that nodes, brokers and probes use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import attrs

from wotemu.topology._fields import Checked, fail, named_errors
from wotemu.topology.reserved_ports import PROBE_PORT


def is_port(value: object) -> bool:
    """Whether a value is the number of a port."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536


def published(value: Mapping[int, int]) -> dict[int, int]:
    """The converter of published ports; keys may be text, as those of JSON are."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is no mapping of ports: write {{8080: 80}}")
    found: dict[int, int] = {}
    for here, there in value.items():
        port = int(here) if isinstance(here, str) and here.isdecimal() else here
        for each in (port, there):
            if not is_port(each):
                raise ValueError(f"{each!r} is not a port: it must be from 1 to 65535")
        if port in found:
            raise ValueError(f"port {port} is there twice")
        found[port] = there
    return found


@attrs.frozen(kw_only=True, field_transformer=named_errors)
class Ports(Checked):
    """The ports that every node's servient and every broker listens on.

    Attributes:
        http: HTTP server of a servient.
        ws: WebSocket server of a servient.
        coap: CoAP server of a servient, over UDP.
        mqtt: MQTT brokers.
        catalogue: HTTP server of a servient that lists its Things.

    Raises:
        TopologyError: A value is no port, two TCP ports are the same, or CoAP's is that of probes.
    """

    http: int = 8080
    ws: int = 8081
    coap: int = 5683
    mqtt: int = 1883
    catalogue: int = 9090

    def __attrs_post_init__(self) -> None:
        for name, port in attrs.asdict(self).items():
            if not is_port(port):
                raise fail(self, name, f"{port!r} is not a port: it must be from 1 to 65535")
        tcp = Counter(port for name, port in attrs.asdict(self).items() if name != "coap")
        for name, port in attrs.asdict(self).items():
            if name != "coap" and tcp[port] > 1:
                raise fail(self, name, f"port {port} is taken twice")
        if self.coap == PROBE_PORT:
            raise fail(self, "coap", f"port {PROBE_PORT} is where WoTemu's own probes go, on every node")
