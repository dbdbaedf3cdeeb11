"""What has to run for a topology, whatever engine places it: pure values, worked out beforehand."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from wotemu.app import Conf
from wotemu.errors import InputError, TopologyError
from wotemu.scenario.state import base_conditions
from wotemu.scenario.timeline import Timeline
from wotemu.topology.builtin_apps import BUILTIN_FIXES, BuiltinApps
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.network import Network
from wotemu.topology.node import Node
from wotemu.topology.node_app import NodeApp
from wotemu.topology.service import Broker, Service, service_network
from wotemu.topology.topology import Topology
from wotemu.topology.uplink import Uplink
from wotemu_runtime.app_process.broker_ca import CA_TEXT
from wotemu_runtime.app_process.loading.function_code import pack_function
from wotemu_runtime.app_process.loading.loader import check_app
from wotemu_runtime.app_process.loading.spec import AppSpec
from wotemu_runtime.app_process.loading.static_check import check_target
from wotemu_runtime.app_process.scratch import IN_CONTAINER, IN_NAMESPACE
from wotemu_runtime.apps.parameters import checked
from wotemu_runtime.planning.broker_settings import BrokerSettings, environment
from wotemu_runtime.planning.models import Plan, PlannedNetwork, Replica
from wotemu_runtime.planning.mosquitto import find_mosquitto
from wotemu_runtime.planning.probe_schedule import interval_s
from wotemu_runtime.planning.statsd_variables import statsd_variables
from wotemu_runtime.planning.uplink_programs import INSTALL, PROGRAMS, find_program

if TYPE_CHECKING:
    from wotemu_runtime.planning.broker_certificates import BrokerAuthority

MAX_OVERLAY_MTU = 1450
"""Of Docker's overlays between machines on Ethernet: VXLAN takes 50 bytes."""


def make_plan(
    topology: Topology, timeline: Timeline, *, stack: str, root: Path, on_this_machine: bool = True
) -> Plan:
    """The plan; `TopologyError` where an app, or what is to run `on_this_machine`, isn't there."""
    if on_this_machine:
        _check_machine(topology, root)
    else:
        _refuse_devices(topology)
        _check_swarm(topology)
    hosts = {node.name: node.replicas for node in topology.nodes}
    scratch = IN_NAMESPACE if on_this_machine else IN_CONTAINER
    authority = _authority(topology)
    replicas = [
        *(
            replica
            for node in topology.nodes
            for replica in _node(topology, timeline, node, stack, root, hosts, scratch, authority)
        ),
        *(_broker(topology, broker, scratch, authority) for broker in topology.brokers),
        *(_service(service) for service in topology.services),
        *(_uplink(uplink) for uplink in topology.uplinks),
    ]
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


def _node(
    topology: Topology,
    timeline: Timeline,
    node: Node,
    stack: str,
    root: Path,
    hosts: Mapping[str, tuple[str, ...]],
    scratch: str,
    authority: BrokerAuthority | None,
) -> list[Replica]:
    networks = [link.network.name for link in node.links]
    networks += [service_network(service.name) for service in node.services if not service.networks]
    if node.app is not None and node.image is None:  # an image may bring its own apps
        _check_app(node.name, node.app, root)
    broker_url = None
    if node.broker is not None:
        scheme = "mqtts" if node.broker.tls else "mqtt"
        broker_url = f"{scheme}://{node.broker_host}:{topology.ports.mqtt}"
    brokers = [
        broker for broker in topology.brokers if any(link.network.name in networks for link in broker.links)
    ]
    _check_login(node)
    code, replicas = _code(node), []
    for name in node.replicas:
        conf = Conf(
            node=node.name,
            replica=name,
            hostname=name,
            ports=topology.ports,
            broker_url=broker_url,
            hosts=hosts,
            run_name=stack,
            seed=timeline.seed,
            scratch=scratch,
        )
        env = {"WOTEMU_NODE": node.name, "WOTEMU_REPLICA": name, "PYTHONUNBUFFERED": "1"}
        env["WOTEMU_SCRATCH"] = scratch
        env |= {**statsd_variables(node), **node.env}
        if authority is not None and any(broker.tls for broker in brokers):
            env[CA_TEXT] = authority.certificate
        if broker_url is not None:
            env.setdefault("WOTEMU_BROKER_URL", broker_url)
        replicas.append(
            Replica(
                name=name,
                node=node.name,
                kind="node",
                networks=tuple(networks),
                app=_app_spec(node, conf, root, code, has_broker=bool(brokers)),
                command=node.command or (),
                env=env,
                resources=node.resources,
                image=node.image,
                placement=node.placement,
                publish=node.publish,
            )
        )
    return replicas


def _check_login(node: Node) -> None:
    """A WoT app that serves over MQTT has to log in where its broker has users; wrong ones may be meant."""
    app, broker = node.app, node.broker
    if app is not None and app.mqtt and app.credentials is None and broker is not None and broker.users:
        raise TopologyError(
            f"its broker {broker.name!r} lets only its users in",
            where=f"Node {node.name!r}, field 'app'",
            field="app",
            owner=("nodes", node.name),
            hint='give NodeApp(credentials=("user", "password")), one of Broker(users=...)',
        )


def _code(node: Node) -> str:
    """The app as text, where it is given as a function."""
    function = None if node.app is None else node.app.function
    return "" if function is None else pack_function(function, f"Node {node.name!r}, field 'app'")


def _app_spec(node: Node, conf: Conf, root: Path, code: str, *, has_broker: bool) -> AppSpec | None:
    app = node.app
    if app is None:
        return None
    target = app.target
    is_builtin = target in set(BuiltinApps)
    return AppSpec(
        target=target,
        code=code,
        root=str(root),
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


def _authority(topology: Topology) -> BrokerAuthority | None:
    """The run's authority; None without brokers that use TLS."""
    if not any(broker.tls for broker in topology.brokers):
        return None
    from wotemu_runtime.planning.broker_certificates import BrokerAuthority  # its library is large

    return BrokerAuthority()


def _broker(topology: Topology, broker: Broker, scratch: str, authority: BrokerAuthority | None) -> Replica:
    command = (sys.executable, "-m", "wotemu_runtime.broker.server", str(topology.ports.mqtt))
    networks = tuple(link.network.name for link in broker.links)
    settings = BrokerSettings(users=broker.users)
    if broker.persistence:
        settings = attrs.evolve(settings, store=scratch, store_every_s=int(broker.persistence))
    if broker.tls and authority is not None:
        names = [broker.name, *(f"{broker.name}.{network}" for network in networks)]
        certificate, key = authority.certify(names)
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


def _uplink(uplink: Uplink) -> Replica:
    program = find_program()
    if program is None:
        raise TopologyError(
            f"a way out of the emulation needs {' or '.join(PROGRAMS)}, and neither is installed here",
            where=f"Uplink {uplink.name!r}",
            field="networks",
            owner=("uplinks", uplink.name),
            hint=INSTALL,
        )
    networks = tuple(link.network.name for link in uplink.links)
    return Replica(name=uplink.name, node=uplink.name, kind="uplink", networks=networks, command=(program,))


def _check_swarm(topology: Topology) -> None:
    """Refuse what only nodes on this machine can have."""
    for uplink in topology.uplinks:
        raise TopologyError(
            "nodes on a swarm have no way out of the emulation",
            where=f"Uplink {uplink.name!r}",
            field="networks",
            owner=("uplinks", uplink.name),
            hint="leave it out, or use the local engine",
        )
    for node in topology.nodes:
        if node.publish:
            raise TopologyError(
                "nodes on a swarm publish no ports",
                where=f"Node {node.name!r}, field 'publish'",
                field="publish",
                owner=("nodes", node.name),
                hint="leave it out, or use the local engine",
            )
    for network in topology.networks:
        if network.mtu is not None and network.mtu > MAX_OVERLAY_MTU:
            raise TopologyError(
                f"an overlay of a swarm carries packets of at most {MAX_OVERLAY_MTU} bytes",
                where=f"Network {network.name!r}, field 'mtu'",
                field="mtu",
                owner=("networks", network.name),
            )


def _check_machine(topology: Topology, root: Path) -> None:
    """What the nodes and services run has to be on this machine."""
    for node in topology.nodes:
        if node.command is not None:
            _check_command(node, node.command, root)
    for broker in topology.brokers:
        if broker.persistence and find_mosquitto() is None:
            raise TopologyError(
                "there is no Mosquitto on this machine, and amqtt's broker stores nothing",
                where=f"Broker {broker.name!r}, field 'persistence'",
                field="persistence",
                owner=("brokers", broker.name),
                hint="install it (sudo apt install mosquitto), or use --engine swarm, whose image has it",
            )
    for service in topology.services:
        if service.command is None:
            raise TopologyError(
                f"it has only an image ({service.image}), which the local engine can't run",
                where=f"Service {service.name!r}, field 'command'",
                field="command",
                owner=("services", service.name),
                hint="give Service(command=[...]) to run it here, or use --engine swarm",
            )
        _check_command(service, service.command, root)


def _refuse_devices(topology: Topology) -> None:
    """A device is a share of a machine that was measured; Swarm has one limit for all machines."""
    members: tuple[Node | Service, ...] = (*topology.nodes, *topology.services)
    for each in members:
        if each.resources is None or each.resources.device is None:
            continue
        section = "services" if isinstance(each, Service) else "nodes"
        raise TopologyError(
            f"Swarm chooses the machine, so no share of it can be as fast as {each.resources.device}",
            where=f"{type(each).__name__} {each.name!r}, field 'resources'",
            field="resources",
            owner=(section, each.name),
            hint="measure the machines (wotemu calibrate on each), and write cpu_limit= MIPS of the device"
            f" ({each.resources.device.single_mips:,.0f}) by those of a machine; or use --engine local",
        )


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


def _check_app(node: str, app: NodeApp, root: Path) -> None:
    try:
        if app.function is None:
            check_target(app.target, root)
        else:
            check_app(app.function, app.params, root)
    except InputError as error:
        inside = "" if error.where is None or error.where.startswith("NodeApp") else f", {error.where}"
        where = f"Node {node!r}, field 'app'{inside}"
        raise TopologyError(
            error.message, where=where, hint=error.hint, field="app", owner=("nodes", node)
        ) from error


def _check_command(owner: Node | Service, command: tuple[str, ...], root: Path) -> None:
    program = command[0]
    by_path = "/" in program
    if shutil.which(str(root / program) if by_path else program, path=owner.env.get("PATH")) is not None:
        return
    there = by_path and (root / program).is_file()
    raise TopologyError(
        f"{program!r} is not executable" if there else f"there is no program {program!r}",
        where=f"{type(owner).__name__} {owner.name!r}, field 'command'",
        field="command",
        owner=("nodes" if isinstance(owner, Node) else "services", owner.name),
        hint=f"chmod +x {root / program}" if there else "install it, or give its path from the file's folder",
    )


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
