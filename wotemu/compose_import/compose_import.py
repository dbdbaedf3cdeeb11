"""Makes a deployment of a docker compose file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import attrs

from wotemu.compose_import.deployment_text import PLACEHOLDER, Member, deployment_text
from wotemu.compose_import.left_out import LeftOut, LeftOuts, by_line
from wotemu.compose_import.names import allowed_name
from wotemu.compose_import.services import ComposeService, read_services
from wotemu.forms.document import Item

_BROKER = re.compile(r"(eclipse-)?mosquitto|(emqx|hivemq|vernemq|nanomq)\d*(-(ce|ee|edge|enterprise))?|amqtt")
"""Names of images of MQTT brokers, without registry and tag."""
_OWN_BROKER = (
    "it is WoTemu's own MQTT broker, at port 1883 and without passwords: what its image, command and "
    "environment set is left out"
)


@attrs.frozen
class ComposeImport:
    """What became of a compose file.

    Attributes:
        text: The deployment, in Python.
        nodes: Names of its nodes.
        services: Names of its services.
        brokers: Names of its MQTT brokers.
        networks: Names of its networks.
        left_out: What the file had besides, each with its place.
    """

    text: str
    nodes: tuple[str, ...]
    services: tuple[str, ...]
    brokers: tuple[str, ...]
    networks: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def import_compose(document: Item) -> ComposeImport:
    """Make a deployment of a compose file. Nothing is run or looked up.

    A service with the image of an MQTT broker becomes the broker of the nodes that share a network with it.
    Of the others, one with a command, a build or replicas becomes a node; one with an image alone becomes a
    service of the nodes that share a network with it, or a node where there are none.

    Args:
        document: The file, read with merge keys.

    Raises:
        LoadError: It is no compose file, with the place of what is wrong.
    """
    left = LeftOuts()
    read = read_services(document, left)
    brokers, services = _brokers_and_services(read)
    members = _Members(brokers, services, *_names(read, left), left)
    nodes = [members.node(each) for each in read if each not in services and each not in brokers]
    plain = [members.member(each) for each in services]
    own = [members.member(each) for each in brokers]
    for broker in brokers:
        left.add(broker.image_place, _OWN_BROKER)
    declared = document.value.get("networks")
    for name in () if declared is None else declared.value or ():
        if name not in members.network_names:
            left.add(declared.place_of(name), "no service is on it")
    networks = list(members.network_names.values())
    left_out = tuple(sorted(left.found, key=by_line))
    return ComposeImport(
        deployment_text(document.file, networks, own, plain, nodes, left_out),
        tuple(each.name for each in nodes),
        tuple(each.name for each in plain),
        tuple(each.name for each in own),
        tuple(networks),
        left_out,
    )


@attrs.frozen
class _Members:
    """Makes members of a deployment of a compose file's services.

    Attributes:
        brokers: Those that become MQTT brokers.
        services: Those that become services.
        host_names: Names of members, by those of the file.
        network_names: The same of networks.
        left: Gets what is left out.
    """

    brokers: Sequence[ComposeService]
    services: Sequence[ComposeService]
    host_names: Mapping[str, str]
    network_names: Mapping[str, str]
    left: LeftOuts

    def node(self, one: ComposeService) -> Member:
        """A node, with the services and the broker that share a network with it."""
        if one.image is not None:
            self.left.add(
                one.image_place, "a node runs its command on this machine; see Node.image for a swarm"
            )
        used = [each for each in self.services if _meet(each, one)]
        broker = next((each for each in self.brokers if _meet(each, one)), None)
        return self.member(one, used, broker)

    def member(
        self, one: ComposeService, used: Iterable[ComposeService] = (), broker: ComposeService | None = None
    ) -> Member:
        """A member, with the services and the broker that it uses."""
        if not one.command and one not in self.brokers:
            self.left.add(one.place, f"only its image has its command: replace {PLACEHOLDER}")
        return Member(
            self.host_names[one.name],
            one.command,
            one.image,
            one.env,
            tuple(self.network_names[name] for name in one.networks),
            one.scale,
            one.resources,
            tuple(self.host_names[each.name] for each in used),
            None if broker is None else self.host_names[broker.name],
        )


def _brokers_and_services(
    read: Sequence[ComposeService],
) -> tuple[list[ComposeService], list[ComposeService]]:
    """The MQTT brokers that a node uses, which has one of them, and what becomes a service.

    A broker whose image no node uses is as any other image.
    """
    found = [each for each in read if _is_broker(each)]
    while True:
        others = [each for each in read if each not in found]
        services = _plain_services(others)
        nodes = [each for each in others if each not in services]
        met = [next((each for each in found if _meet(each, node)), None) for node in nodes]
        used = [each for each in found if each in met]
        if used == found:
            return found, services
        found = used


def _is_broker(one: ComposeService) -> bool:
    name = (one.image or "").rpartition("/")[2].partition("@")[0].partition(":")[0]
    return bool(_BROKER.fullmatch(name)) and not one.built and one.scale == 1


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
