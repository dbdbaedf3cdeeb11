"""Checks that the apps and programs of a topology are there, and that what it asks for can be had there."""

from __future__ import annotations

import shutil
from pathlib import Path

from wotemu.errors import InputError
from wotemu.topology.node import Node
from wotemu.topology.node_app import NodeApp
from wotemu.topology.service import Service
from wotemu.topology.topology import Topology
from wotemu_runtime.app_process.loading.loader import check_app
from wotemu_runtime.app_process.loading.static_check import check_target
from wotemu_runtime.planning.mosquitto import find_mosquitto
from wotemu_runtime.planning.refusal import refusal

MAX_OVERLAY_MTU = 1450
"""Of Docker's overlays between machines on Ethernet: VXLAN takes 50 bytes."""


def check_apps(topology: Topology, root: Path) -> None:
    """Check that apps can be loaded from a folder, and may log in to their brokers.

    Raises:
        TopologyError: One can't.
    """
    for node in topology.nodes:
        if node.app is not None and node.image is None:  # an image may bring its own apps
            _check_app(node, node.app, root)
        _check_login(node)


def check_machine(topology: Topology, root: Path) -> None:
    """Check that what nodes and services run is on this machine.

    Raises:
        TopologyError: A program is not, or is one that only a swarm can run.
    """
    for node in topology.nodes:
        if node.command is not None:
            _check_command(node, node.command, root)
    for broker in topology.brokers:
        if broker.persistence and find_mosquitto() is None:
            raise refusal(
                broker,
                "persistence",
                "there is no Mosquitto on this machine, and amqtt's broker stores nothing",
                hint="install it (sudo apt install mosquitto), or use --engine swarm, whose image has it",
            )
    for service in topology.services:
        if service.command is None:
            raise refusal(
                service,
                "command",
                f"it has only an image ({service.image}), which the local engine can't run",
                hint="give Service(command=[...]) to run it here, or use --engine swarm",
            )
        _check_command(service, service.command, root)


def check_swarm(topology: Topology) -> None:
    """Refuse what only nodes on this machine can have.

    Raises:
        TopologyError: The topology asks for it.
    """
    for service in topology.services:
        _check_no_device(service)
    for uplink in topology.uplinks:
        raise refusal(
            uplink,
            "networks",
            "nodes on a swarm have no way out of the emulation",
            hint="leave it out, or use the local engine",
        )
    for network in topology.networks:
        if network.mtu is not None and network.mtu > MAX_OVERLAY_MTU:
            raise refusal(
                network, "mtu", f"an overlay of a swarm carries packets of at most {MAX_OVERLAY_MTU} bytes"
            )


def _check_no_device(service: Service) -> None:
    """A service has no agent that waits for its share of a machine; Swarm has one limit for all machines."""
    device = None if service.resources is None else service.resources.device
    if device is not None:
        raise refusal(
            service,
            "resources",
            f"Swarm chooses the machine, so no share of it can make a service as fast as {device}",
            hint=f"write cpu_limit= MIPS of the device ({device.single_mips:,.0f}) by those of a machine"
            " (wotemu calibrate --engine swarm), make it a Node, or use --engine local",
        )


def _check_app(node: Node, app: NodeApp, root: Path) -> None:
    try:
        if app.function is None:
            check_target(app.target, root)
        else:
            check_app(app.function, app.params, root)
    except InputError as error:
        inside = "" if error.where is None or error.where.startswith("NodeApp") else error.where
        raise refusal(node, "app", error.message, hint=error.hint, inside=inside) from error


def _check_login(node: Node) -> None:
    """A WoT app that serves over MQTT has to log in where its broker has users; wrong ones may be meant."""
    app, broker = node.app, node.broker
    if app is not None and app.mqtt and app.credentials is None and broker is not None and broker.users:
        raise refusal(
            node,
            "app",
            f"its broker {broker.name!r} lets only its users in",
            hint='give NodeApp(credentials=("user", "password")), one of Broker(users=...)',
        )


def _check_command(owner: Node | Service, command: tuple[str, ...], root: Path) -> None:
    program = command[0]
    by_path = "/" in program
    if shutil.which(str(root / program) if by_path else program, path=owner.env.get("PATH")) is not None:
        return
    if by_path and (root / program).is_file():
        raise refusal(owner, "command", f"{program!r} is not executable", hint=f"chmod +x {root / program}")
    raise refusal(
        owner,
        "command",
        f"there is no program {program!r}",
        hint="install it, or give its path from the file's folder",
    )
