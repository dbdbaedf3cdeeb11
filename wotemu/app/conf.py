"""`Conf`: where an app runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

import attrs

from wotemu.topology.ports import Ports


def _hosts(value: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(replicas) for name, replicas in value.items()}


@attrs.frozen(kw_only=True)
class Conf:
    """Where an app runs: its names, its ports, its MQTT broker and the other nodes.

    Args:
        node: the node's name in the topology.
        replica: the name of this replica of the node; the same as `node` where there is only one.
        hostname: the host name in the forms of the app's Things.
        ports: the ports of this node's servers and of brokers.
        broker_url: ``mqtt://HOST:PORT`` of the node's broker; None where it has none.
        hosts: the host names of each node's replicas, by the node's name.
        run_name: the name of the run.
        seed: the scenario's seed. Random choices that derive from it and from `replica` repeat with it.
        scratch: an own folder of this replica, empty when the run begins; what is in it stays when the app is
            restarted, and is gone with the run. ``WOTEMU_SCRATCH`` has it for other programs.
        restarts: how often the app was started before in this run.

    `port_http`, `port_ws`, `port_coap`, `port_mqtt`, `port_catalogue` and `mqtt_url` are aliases of
    `ports.http` and so on, for apps that were written for the original WoTemu.
    """

    node: str
    replica: str
    hostname: str
    ports: Ports = attrs.field(factory=Ports)
    broker_url: str | None = None
    hosts: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, converter=_hosts, hash=False)
    run_name: str = ""
    seed: int = 0
    scratch: str = ""
    restarts: int = 0

    @property
    def port_http(self) -> int:
        """Alias of ``ports.http``."""
        return self.ports.http

    @property
    def port_ws(self) -> int:
        """Alias of ``ports.ws``."""
        return self.ports.ws

    @property
    def port_coap(self) -> int:
        """Alias of ``ports.coap``."""
        return self.ports.coap

    @property
    def port_mqtt(self) -> int:
        """Alias of ``ports.mqtt``."""
        return self.ports.mqtt

    @property
    def port_catalogue(self) -> int:
        """Alias of ``ports.catalogue``."""
        return self.ports.catalogue

    @property
    def mqtt_url(self) -> str | None:
        """Alias of `broker_url`."""
        return self.broker_url

    def replicas_of(self, name: str) -> tuple[str, ...]:
        """The host names of a node's replicas; `name` itself where no node has this name.

        ``NODE.NETWORK`` are those of the replicas on this network.
        """
        node, dot, network = name.partition(".")
        return tuple(f"{replica}{dot}{network}" for replica in self.hosts.get(node, ())) or (name,)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {**attrs.asdict(self), "hosts": {name: list(hosts) for name, hosts in self.hosts.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(**{**data, "ports": Ports(**data["ports"])})
