"""The Python text of a deployment."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from wotemu.compose_import.left_out import LeftOut
from wotemu.compose_import.names import variable

PLACEHOLDER = "PROGRAM_OF_THE_IMAGE"
_WIDTH = 100


@attrs.frozen
class Member:
    """A node or service of the deployment.

    Attributes:
        name: Its host name.
        command: The program and its arguments; empty where only the image has them.
        image: The image, if it has one.
        env: Environment variables.
        networks: Names of networks.
        scale: Replicas; 1 for a service.
        resources: Arguments of `NodeResources`.
        services: Names of the services that a node uses.
        broker: Name of the MQTT broker that it uses.
    """

    name: str
    command: tuple[str, ...]
    image: str | None
    env: Mapping[str, str]
    networks: tuple[str, ...]
    scale: int
    resources: Mapping[str, Any]
    services: tuple[str, ...] = ()
    broker: str | None = None


def deployment_text(
    source: str,
    networks: Sequence[str],
    brokers: Sequence[Member],
    services: Sequence[Member],
    nodes: Sequence[Member],
    left_out: Iterable[LeftOut],
) -> str:
    """The Python file of a deployment, with comments on what to do next and on what was left out.

    Args:
        source: The compose file's name.
        networks: Names of networks.
        brokers: MQTT brokers.
        services: Services that are not nodes.
        nodes: The nodes, one at least.
        left_out: What the file had besides.
    """
    names = _Variables.of(networks, brokers, services)
    return "\n".join(
        [
            *_head(source, networks, brokers, services, nodes),
            *_topology(names, brokers, services, nodes),
            *_scenario(),
            *_left_out(source, left_out),
            "",
        ]
    )


@attrs.frozen
class _Variables:
    """The variables that hold networks, brokers and services, by their names."""

    network_of: Mapping[str, str]
    broker_of: Mapping[str, str]
    service_of: Mapping[str, str]

    @classmethod
    def of(cls, networks: Sequence[str], brokers: Sequence[Member], services: Sequence[Member]) -> _Variables:
        taken: set[str] = set()
        return cls(
            {name: variable(name, "network", taken) for name in networks},
            {each.name: variable(each.name, "broker", taken) for each in brokers},
            {each.name: variable(each.name, "service", taken) for each in services},
        )


def _head(
    source: str,
    networks: Sequence[str],
    brokers: Sequence[Member],
    services: Sequence[Member],
    nodes: Sequence[Member],
) -> list[str]:
    """The docstring, the imports, and the command that stands for unknown programs."""
    members = [*services, *nodes]
    used = (
        ["Broker"] * bool(brokers)
        + ["Network"] * bool(networks)
        + ["Node"]
        + ["NodeResources"] * any(m.resources for m in members)
    )
    used += ["Scenario"] + ["Service"] * bool(services) + ["Topology"]
    lines = [
        '"""A deployment: see its networks and nodes with `wotemu plan`, run it with `wotemu run`."""',
        "",
        _comment(f"Made from {source}. What was left out is at the end of this file."),
        "",
        f"from wotemu import {', '.join(used)}",
        "",
    ]
    if all(each.command for each in members):
        return lines
    return [
        *lines,
        "# Stands for a program that only an image knows (see its Dockerfile), and does nothing:",
        "# write the program's command where this is used.",
        f'{PLACEHOLDER} = ["sleep", "infinity"]',
        "",
    ]


def _topology(
    names: _Variables, brokers: Sequence[Member], services: Sequence[Member], nodes: Sequence[Member]
) -> list[str]:
    lines = ["", "def topology() -> Topology:"]
    if names.network_of:
        lines += [
            "    # A network has no conditions yet. Give it some:",
            '    # Network("field", NetworkConditions(latency="20ms", loss="1%")), or NetworkConditions.LTE',
            *(f"    {variable} = Network({_quoted(name)})" for name, variable in names.network_of.items()),
        ]
    for broker in brokers:
        on = _list(names.network_of[name] for name in broker.networks)
        lines += _call(
            f"    {names.broker_of[broker.name]} = Broker", [_quoted(broker.name), f"networks={on}"]
        )
    if services:
        lines += [
            "    # Used by nodes, and not part of the study. The local engine runs the command; on a swarm,",
            "    # it is the arguments of the image: delete it there if the image needs none.",
        ]
    for service in services:
        first = [_quoted(service.name), f"image={_quoted(service.image or '')}"]
        start = f"    {names.service_of[service.name]} = Service"
        lines += _call(start, [*first, *_arguments(service, names)])
    lines += ["    return Topology(", "        ["]
    for node in nodes:
        if node.image is not None:
            lines.append(" " * 12 + _comment(f"Its image was {node.image}; see Node.image for a swarm."))
        arguments = [_quoted(node.name), *_arguments(node, names)]
        lines += _call(" " * 12 + "Node", arguments, end=",")
    return [*lines, "        ]", "    )", "", ""]


def _scenario() -> list[str]:
    return [
        "def scenario() -> Scenario:",
        '    # What changes while it runs: events=[during("20s", "40s").set(NETWORK, loss="5%")]; then',
        "    # networks have to be made outside of topology(), as both functions name them.",
        '    return Scenario(duration="60s")',
    ]


def _left_out(source: str, left_out: Iterable[LeftOut]) -> list[str]:
    """Comments on what of the compose file is not in the deployment."""
    found = [_comment(f"- {each.place}: {each.reason}") for each in left_out]
    return ["", "", _comment(f"Left out of {source}:"), *found] if found else []


def _arguments(member: Member, names: _Variables) -> list[str]:
    found = [f"command={_list(map(_quoted, member.command)) if member.command else PLACEHOLDER}"]
    if member.networks:
        found.append(f"networks={_list(names.network_of[name] for name in member.networks)}")
    if member.broker is not None:
        found.append(f"broker={names.broker_of[member.broker]}")
    if member.services:
        found.append(f"services={_list(names.service_of[name] for name in member.services)}")
    if member.scale != 1:
        found.append(f"scale={member.scale}")
    if member.resources:
        limits = ", ".join(f"{name}={json.dumps(value)}" for name, value in member.resources.items())
        found.append(f"resources=NodeResources({limits})")
    if member.env:
        entries = ", ".join(f"{_quoted(name)}: {_quoted(value)}" for name, value in member.env.items())
        found.append(f"env={{{entries}}}")
    return found


def _call(start: str, arguments: Sequence[str], end: str = "") -> list[str]:
    """A call in one line, or with a line for each argument."""
    line = f"{start}({', '.join(arguments)}){end}"
    if len(line) <= _WIDTH:
        return [line]
    indent = " " * (len(start) - len(start.lstrip()))
    return [f"{start}(", *(f"{indent}    {each}," for each in arguments), f"{indent}){end}"]


def _list(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"


def _quoted(text: str) -> str:
    """A string literal; what is in it can't end it."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else ascii(character)[1:-1]


def _comment(text: str) -> str:
    """A comment, in one line whatever the text."""
    return "# " + "".join(character if character.isprintable() else " " for character in text)
