"""Makes the plan of a topology: replicas and networks as values, for any engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from wotemu.app import Conf
from wotemu.scenario.state import base_conditions
from wotemu.scenario.timeline import Timeline
from wotemu.topology.builtin_apps import BUILTIN_FIXES, BuiltinApps
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.network import Network
from wotemu.topology.node import Node
from wotemu.topology.service import Broker, Service, service_network
from wotemu.topology.topology import Topology
from wotemu.topology.uplink import Uplink
from wotemu_runtime.app_process.broker_ca import CA_TEXT
from wotemu_runtime.app_process.loading.function_code import pack_function
from wotemu_runtime.app_process.loading.spec import AppSpec
from wotemu_runtime.app_process.scratch import IN_CONTAINER, IN_NAMESPACE
from wotemu_runtime.apps.parameters import checked
from wotemu_runtime.planning.broker_settings import BrokerSettings, environment
from wotemu_runtime.planning.machine_checks import check_apps, check_machine, check_swarm
from wotemu_runtime.planning.models import Plan, PlannedNetwork, Replica
from wotemu_runtime.planning.probe_schedule import interval_s
from wotemu_runtime.planning.refusal import refusal
from wotemu_runtime.planning.statsd_variables import statsd_variables
from wotemu_runtime.planning.uplink_programs import INSTALL, PROGRAMS, find_program

if TYPE_CHECKING:
    from wotemu_runtime.planning.broker_certificates import BrokerAuthority


def make_plan(
    topology: Topology, timeline: Timeline, *, stack: str, root: Path, on_this_machine: bool = True
) -> Plan:
    """Plan a run.

    Args:
        topology: What runs.
        timeline: What changes and when.
        stack: Name of the run.
        root: The folder that relative paths start from.
        on_this_machine: Whether nodes run on this machine, else on a swarm.

    Raises:
        TopologyError: An app or a program is not there, or the topology asks for what can't be had there.
    """
    if on_this_machine:
        check_machine(topology, root)
    else:
        check_swarm(topology)
    check_apps(topology, root)
    scratch = IN_NAMESPACE if on_this_machine else IN_CONTAINER
    replicas = list(_Replicas(topology, timeline.seed, stack, root, scratch, _authority(topology)).all())
    networks = [_network(topology, network, replicas) for network in topology.networks]
    networks += [
        _service_network(service, replicas, has_gateway=on_this_machine)
        for service in topology.services
        if not service.networks
    ]
    networks = [
        attrs.evolve(network, probe_every_s=interval_s(network, timeline.changes)) for network in networks
    ]
    return Plan(
        stack=stack,
        root=root,
        topology=topology,
        timeline=timeline,
        replicas=tuple(replicas),
        networks=tuple(networks),
        seed=timeline.seed,
        publishes_over_bus=not on_this_machine,
    )


def unplaced(plan: Plan) -> list[str]:
    """What asks for a place, where one machine is all that there is."""
    nodes = {replica.node: replica.placement for replica in plan.replicas}
    gateways = {f"the gateway of {network.name}": network.placement for network in plan.networks}
    return [
        f"{name}: its placement; everything runs on this machine"
        for name, placement in {**nodes, **gateways}.items()
        if placement
    ]


@attrs.frozen
class _Replicas:
    """Makes the replicas of a topology.

    Attributes:
        topology: What runs.
        seed: Of the run.
        stack: Name of the run.
        root: The folder that relative paths start from.
        scratch: The path of each replica's own folder.
        authority: Signs brokers' certificates; None where no broker uses TLS.
    """

    topology: Topology
    seed: int
    stack: str
    root: Path
    scratch: str
    authority: BrokerAuthority | None

    def all(self) -> Iterator[Replica]:
        """Those of nodes, brokers, services and uplinks."""
        for node in self.topology.nodes:
            yield from self._of_node(node)
        yield from map(self._broker, self.topology.brokers)
        yield from map(_service, self.topology.services)
        yield from map(_uplink, self.topology.uplinks)

    def _of_node(self, node: Node) -> Iterator[Replica]:
        networks = [link.network.name for link in node.links]
        networks += [service_network(service.name) for service in node.services if not service.networks]
        brokers = [
            broker
            for broker in self.topology.brokers
            if any(link.network.name in networks for link in broker.links)
        ]
        env = self._environment(node, has_tls=any(broker.tls for broker in brokers))
        code = _code(node)
        for name in node.replicas:
            yield Replica(
                name=name,
                node=node.name,
                kind="node",
                networks=tuple(networks),
                app=self._app_spec(node, name, code, has_broker=bool(brokers)),
                command=node.command or (),
                env={"WOTEMU_REPLICA": name, **env},
                resources=node.resources,
                image=node.image,
                placement=node.placement,
                publish=node.publish,
            )

    def _environment(self, node: Node, *, has_tls: bool) -> dict[str, str]:
        """The variables of all replicas of a node; its own ones replace those of the same name."""
        env = {"WOTEMU_NODE": node.name, "PYTHONUNBUFFERED": "1", "WOTEMU_SCRATCH": self.scratch}
        env |= {**statsd_variables(node), **node.env}
        if has_tls and self.authority is not None:
            env[CA_TEXT] = self.authority.certificate
        if (broker_url := self._broker_url(node)) is not None:
            env.setdefault("WOTEMU_BROKER_URL", broker_url)
        return env

    def _broker_url(self, node: Node) -> str | None:
        if node.broker is None:
            return None
        scheme = "mqtts" if node.broker.tls else "mqtt"
        return f"{scheme}://{node.broker_host}:{self.topology.ports.mqtt}"

    def _app_spec(self, node: Node, replica: str, code: str, *, has_broker: bool) -> AppSpec | None:
        app = node.app
        if app is None:
            return None
        target = app.target
        is_builtin = target in set(BuiltinApps)
        conf = Conf(
            node=node.name,
            replica=replica,
            hostname=replica,
            ports=self.topology.ports,
            broker_url=self._broker_url(node),
            hosts={each.name: each.replicas for each in self.topology.nodes},
            run_name=self.stack,
            seed=self.seed,
            scratch=self.scratch,
        )
        return AppSpec(
            target=target,
            code=code,
            root=str(self.root),
            conf=conf,
            params=checked(target, app.params, node.name) if is_builtin else app.params,
            http=app.http,
            ws=app.ws,
            coap=app.coap,
            mqtt=app.mqtt,
            mqtt_client=has_broker,
            credentials=app.credentials,
            wotpy_fixes=app.wotpy_fixes or (BUILTIN_FIXES if is_builtin else ()),
        )

    def _broker(self, broker: Broker) -> Replica:
        command = (sys.executable, "-m", "wotemu_runtime.broker.server", str(self.topology.ports.mqtt))
        networks = tuple(link.network.name for link in broker.links)
        settings = BrokerSettings(users=broker.users)
        if broker.persistence:
            settings = attrs.evolve(settings, store=self.scratch, store_every_s=int(broker.persistence))
        if broker.tls and self.authority is not None:
            names = [broker.name, *(f"{broker.name}.{network}" for network in networks)]
            certificate, key = self.authority.certify(names)
            settings = attrs.evolve(settings, certificate=certificate, key=key)
        return Replica(
            name=broker.name,
            node=broker.name,
            kind="broker",
            networks=networks,
            command=command,
            env=environment(settings),
            placement=broker.placement,
        )


def _code(node: Node) -> str:
    """The app as text, where it is given as a function."""
    function = None if node.app is None else node.app.function
    return "" if function is None else pack_function(function, f"Node {node.name!r}, field 'app'")


def _authority(topology: Topology) -> BrokerAuthority | None:
    """The run's authority; None without brokers that use TLS."""
    if not any(broker.tls for broker in topology.brokers):
        return None
    from wotemu_runtime.planning.broker_certificates import BrokerAuthority  # its library is large

    return BrokerAuthority()


def _service(service: Service) -> Replica:
    env = {"PYTHONUNBUFFERED": "1", **service.env}
    networks = tuple(link.network.name for link in service.links) or (service_network(service.name),)
    return Replica(
        name=service.name,
        node=service.name,
        kind="service",
        networks=networks,
        command=service.command or (),
        env=env,
        resources=service.resources,
        image=service.image,
        placement=service.placement,
    )


def _uplink(uplink: Uplink) -> Replica:
    program = find_program()
    if program is None:
        raise refusal(
            uplink,
            "networks",
            f"a way out of the emulation needs {' or '.join(PROGRAMS)}, and neither is installed here",
            hint=INSTALL,
        )
    networks = tuple(link.network.name for link in uplink.links)
    return Replica(name=uplink.name, node=uplink.name, kind="uplink", networks=networks, command=(program,))


def _network(topology: Topology, network: Network, replicas: list[Replica]) -> PlannedNetwork:
    hops = tuple(
        {"node": node, "direction": direction, "conditions": conditions.to_dict()}
        for (name, node, direction), conditions in base_conditions(topology).items()
        if name == network.name
    )
    members = tuple(replica.name for replica in replicas if network.name in replica.networks)
    return PlannedNetwork(
        name=network.name,
        shared=network.shared,
        members=members,
        hops=hops,
        mtu=network.mtu,
        placement=network.placement,
    )


def _service_network(service: Service, replicas: list[Replica], *, has_gateway: bool) -> PlannedNetwork:
    name = service_network(service.name)
    members = [replica for replica in replicas if name in replica.networks]
    free = NetworkConditions().to_dict()
    nodes: list[str | None] = [None, *dict.fromkeys(replica.node for replica in members)]
    hops = tuple(
        {"node": node, "direction": way, "conditions": free} for node in nodes for way in ("up", "down")
    )
    return PlannedNetwork(
        name=name,
        shared=False,
        members=tuple(m.name for m in members),
        hops=hops,
        has_gateway=has_gateway,
    )
