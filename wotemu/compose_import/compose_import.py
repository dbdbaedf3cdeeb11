"""Makes a deployment of a docker compose file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from wotemu.compose_import.deployment_text import PLACEHOLDER, Member, deployment_text
from wotemu.compose_import.left_out import LeftOut, LeftOuts, by_line
from wotemu.compose_import.names import allowed_name
from wotemu.compose_import.services import ComposeService, read_services
from wotemu.forms.document import Item


@attrs.frozen
class ComposeImport:
    """What became of a compose file.

    Attributes:
        text: The deployment, in Python.
        nodes: Names of its nodes.
        services: Names of its services.
        networks: Names of its networks.
        left_out: What the file had besides, each with its place.
    """

    text: str
    nodes: tuple[str, ...]
    services: tuple[str, ...]
    networks: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def import_compose(document: Item) -> ComposeImport:
    """Make a deployment of a compose file. Nothing is run or looked up.

    A service with a command, a build or replicas becomes a node. One with an image alone becomes a service of
    the nodes that share a network with it, or a node where there are none.

    Args:
        document: The file, read with merge keys.

    Raises:
        LoadError: It is no compose file, with the place of what is wrong.
    """
    left = LeftOuts()
    read = read_services(document, left)
    services = _plain_services(read)
    host_names, network_names = _names(read, left)

    def member(one: ComposeService, used: Iterable[ComposeService] = ()) -> Member:
        if not one.command:
            left.add(one.place, f"only its image has its command: replace {PLACEHOLDER}")
        return Member(
            host_names[one.name],
            one.command,
            one.image,
            one.env,
            tuple(network_names[name] for name in one.networks),
            one.scale,
            one.resources,
            tuple(host_names[each.name] for each in used),
        )

    for node in read:
        if node.image is not None and node not in services:
            left.add(node.image_place, "a node runs its command on this machine; see Node.image for a swarm")
    nodes = [
        member(each, [service for service in services if _meet(service, each)])
        for each in read
        if each not in services
    ]
    plain = [member(each) for each in services]
    declared = document.value.get("networks")
    for name in () if declared is None else declared.value or ():
        if name not in network_names:
            left.add(declared.place_of(name), "no service is on it")
    networks = list(network_names.values())
    left_out = tuple(sorted(left.found, key=by_line))
    return ComposeImport(
        deployment_text(document.file, networks, plain, nodes, left_out),
        tuple(each.name for each in nodes),
        tuple(each.name for each in plain),
        tuple(networks),
        left_out,
    )


def _plain_services(read: Sequence[ComposeService]) -> list[ComposeService]:
    """Those that become services: an image alone, which a node can reach."""
    images = [
        each
        for each in read
        if each.image is not None and not (each.command or each.built) and each.scale == 1
    ]
    return [each for each in images if any(_meet(each, node) for node in read if node not in images)]


def _meet(one: ComposeService, other: ComposeService) -> bool:
    return bool({*one.networks} & {*other.networks})


def _names(read: Sequence[ComposeService], left: LeftOuts) -> tuple[dict[str, str], dict[str, str]]:
    """Host names by services' names, and networks' names by those of the file."""
    taken: set[str] = set()
    hosts = {each.name: allowed_name(each.name, each.scale, taken) for each in read}
    for each in read:
        if hosts[each.name] != each.name:
            what = f"its name is {hosts[each.name]!r} here: write this wherever a program names it"
            left.add(each.place, what)
    taken = set()
    used = dict.fromkeys(name for each in read for name in each.networks)
    return hosts, {name: allowed_name(name, 1, taken) for name in used}
