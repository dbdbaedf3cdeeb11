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
    """

    name: str
    command: tuple[str, ...]
    image: str | None
    env: Mapping[str, str]
    networks: tuple[str, ...]
    scale: int
    resources: Mapping[str, Any]
    services: tuple[str, ...] = ()


def deployment_text(
    source: str,
    networks: Sequence[str],
    services: Sequence[Member],
    nodes: Sequence[Member],
    left_out: Iterable[LeftOut],
) -> str:
    """The Python file of a deployment, with comments on what to do next and on what was left out.

    Args:
        source: The compose file's name.
        networks: Names of networks.
        services: Services that are not nodes.
        nodes: The nodes, one at least.
        left_out: What the file had besides.
    """
    taken: set[str] = set()
    network_of = {name: variable(name, "network", taken) for name in networks}
    service_of = {each.name: variable(each.name, "service", taken) for each in services}
    members = [*services, *nodes]
    used = ["Network"] * bool(networks) + ["Node"] + ["NodeResources"] * any(m.resources for m in members)
    used += ["Scenario"] + ["Service"] * bool(services) + ["Topology"]
    lines = [
        '"""A deployment: see its networks and nodes with `wotemu plan`, run it with `wotemu run`."""',
        "",
        _comment(f"Made from {source}. What was left out is at the end of this file."),
        "",
        f"from wotemu import {', '.join(used)}",
        "",
    ]
    if any(not each.command for each in members):
        lines += [
            "# Stands for a program that only an image knows (see its Dockerfile), and does nothing:",
            "# write the program's command where this is used.",
            f'{PLACEHOLDER} = ["sleep", "infinity"]',
            "",
        ]
    lines += ["", "def topology() -> Topology:"]
    if networks:
        lines += [
            "    # A network has no conditions yet. Give it some:",
            '    # Network("field", NetworkConditions(latency="20ms", loss="1%")), or NetworkConditions.LTE',
            *(f"    {network_of[name]} = Network({_quoted(name)})" for name in networks),
        ]
    if services:
        lines += [
            "    # Used by nodes, and not part of the study. The local engine runs the command; on a swarm,",
            "    # it is the arguments of the image: delete it there if the image needs none.",
        ]
    for service in services:
        first = [_quoted(service.name), f"image={_quoted(service.image or '')}"]
        lines += _call(
            f"    {service_of[service.name]} = Service", [*first, *_arguments(service, network_of, {})]
        )
    lines.append("    return Topology(")
    lines.append("        [")
    for node in nodes:
        if node.image is not None:
            lines.append(" " * 12 + _comment(f"Its image was {node.image}; see Node.image for a swarm."))
        arguments = [_quoted(node.name), *_arguments(node, network_of, service_of)]
        lines += _call(" " * 12 + "Node", arguments, end=",")
    lines += ["        ]", "    )", "", "", "def scenario() -> Scenario:"]
    lines += [
        '    # What changes while it runs: events=[during("20s", "40s").set(NETWORK, loss="5%")]; then',
        "    # networks have to be made outside of topology(), as both functions name them.",
        '    return Scenario(duration="60s")',
    ]
    left = [f"- {each.place}: {each.reason}" for each in left_out]
    if left:
        lines += ["", "", _comment(f"Left out of {source}:"), *map(_comment, left)]
    return "\n".join(lines) + "\n"


def _arguments(member: Member, network_of: Mapping[str, str], service_of: Mapping[str, str]) -> list[str]:
    found = [f"command={_list(map(_quoted, member.command)) if member.command else PLACEHOLDER}"]
    if member.networks:
        found.append(f"networks={_list(network_of[name] for name in member.networks)}")
    if member.services:
        found.append(f"services={_list(service_of[name] for name in member.services)}")
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
