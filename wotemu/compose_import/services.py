"""The services and networks of a compose file, with what they have in a deployment."""

from __future__ import annotations

from typing import Any

import attrs

from wotemu.compose_import import values
from wotemu.compose_import.left_out import SILENT, LeftOuts
from wotemu.errors import InputError, LoadError, Place
from wotemu.forms.document import Item
from wotemu.suggestions import did_you_mean
from wotemu.topology.models import NodeResources

DEFAULT = "default"
"""The network of services that name none."""
_USED = frozenset({"command", "entrypoint", "image", "environment", "networks", "network_mode", "deploy"})
_LIMITS = {
    "cpus": ("cpu_limit", values.cores),
    "mem_limit": ("mem_limit", values.memory),
    "mem_reservation": ("mem_reservation", values.memory),
}
"""Limits that a service itself may have."""
_DEPLOYED = {
    "limits": {
        "cpus": ("cpu_limit", values.cores),
        "memory": ("mem_limit", values.memory),
        "pids": ("pids_limit", values.whole),
    },
    "reservations": {
        "cpus": ("cpu_reservation", values.cores),
        "memory": ("mem_reservation", values.memory),
    },
}
"""Those below ``deploy.resources``."""


@attrs.frozen
class ComposeService:
    """A service of a compose file.

    Attributes:
        name: Its name in the file.
        place: Its place in the file.
        command: The entrypoint and command; empty where the image has them.
        image: The image, if it names one.
        image_place: The place of that; of the service without one.
        built: Whether it has a ``build``.
        env: Environment variables.
        networks: Names of networks in the file.
        scale: Replicas.
        resources: Arguments of `NodeResources`.
    """

    name: str
    place: Place
    command: tuple[str, ...]
    image: str | None
    image_place: Place
    built: bool
    env: dict[str, str]
    networks: tuple[str, ...]
    scale: int
    resources: dict[str, Any]


def read_services(document: Item, left: LeftOuts) -> list[ComposeService]:
    """The services of a compose file.

    Raises:
        LoadError: It is no compose file, with the place of what is wrong.
    """
    root = values.mapping(document)
    left.rest_of(root, SILENT | {"services", "networks"})
    networks = _networks(root, left)
    services = root.value.get("services")
    if services is None or not values.mapping(services).value:
        hint = "give a docker compose file: begin with `services:`"
        raise LoadError("there are no services", where=document.place, hint=hint)
    read = [
        _service(name, values.mapping(item), services.place_of(name), networks, left)
        for name, item in services.value.items()
        if not name.startswith("x-")
    ]
    for service in read:
        if service.scale == 0:
            left.add(service.place, "it has no replicas")
    if not any(service.scale for service in read):
        raise LoadError("no service has a replica", where=services.place)
    return [service for service in read if service.scale]


def _networks(root: Item, left: LeftOuts) -> frozenset[str]:
    found = root.value.get("networks")
    if found is None or found.value is None:
        return frozenset({DEFAULT})
    for item in values.mapping(found).value.values():
        if item.value is not None:
            left.rest_of(values.mapping(item), frozenset())
    return frozenset({DEFAULT, *found.value})


def _service(name: str, item: Item, place: Place, networks: frozenset[str], left: LeftOuts) -> ComposeService:
    given: dict[str, Item] = item.value
    left.rest_of(item, _USED | _LIMITS.keys() | {"scale"})
    scale = values.whole(given["scale"], left) if "scale" in given else 1
    deploy = given.get("deploy")
    if deploy is not None and deploy.value is not None:
        left.rest_of(values.mapping(deploy), frozenset({"replicas", "resources"}))
        if "replicas" in deploy.value:
            scale = values.whole(deploy.value["replicas"], left)
    return ComposeService(
        name,
        place,
        _whole_command(item, left),
        values.text(given["image"], left) if "image" in given else None,
        item.place_of("image") if "image" in given else place,
        "build" in given,
        values.environment(given["environment"], left) if "environment" in given else {},
        _attached(item, networks, left),
        scale,
        _resources(item, place, left),
    )


def _whole_command(item: Item, left: LeftOuts) -> tuple[str, ...]:
    entry, command = (
        values.command(item.value[key], left) if key in item.value else ()
        for key in ("entrypoint", "command")
    )
    return entry + command


def _attached(item: Item, networks: frozenset[str], left: LeftOuts) -> tuple[str, ...]:
    """The names of a service's networks."""
    mode = item.value.get("network_mode")
    if mode is not None:
        if mode.value == "none":
            return ()
        left.add(item.place_of("network_mode"), f"it is on the network {DEFAULT!r}, as nodes have their own")
        return (DEFAULT,)
    found = item.value.get("networks")
    if found is None or not found.value:
        return (DEFAULT,)
    if isinstance(found.value, tuple):
        named = [(values.text(each, left), each.place) for each in found.value]
    else:
        named = [(name, found.place_of(name)) for name in values.mapping(found).value]
        for options in found.value.values():
            if options.value is not None:
                left.rest_of(values.mapping(options), frozenset())
    for name, place in named:
        if name not in networks:
            raise LoadError(
                f"there is no network {name!r:.60}", where=place, hint=did_you_mean(name, sorted(networks))
            )
    return tuple(dict.fromkeys(name for name, _ in named))


def _resources(item: Item, place: Place, left: LeftOuts) -> dict[str, Any]:
    found: dict[str, Any] = {}
    given = [(item, _LIMITS)]
    deploy = item.value.get("deploy")
    resources = deploy.value.get("resources") if deploy is not None and deploy.value else None
    if resources is not None and resources.value is not None:
        left.rest_of(values.mapping(resources), frozenset(_DEPLOYED))
        for key, names in _DEPLOYED.items():
            part = resources.value.get(key)
            if part is not None and part.value is not None:
                left.rest_of(values.mapping(part), frozenset(names))
                given.append((part, names))
    for part, names in given:
        for key, (name, read) in names.items():
            if key in part.value and (value := read(part.value[key], left)):  # 0 is no limit
                found[name] = value
    try:
        NodeResources(**found)
    except InputError as error:
        left.add(place, f"its resources can't be taken over: {error.message}")
        return {}
    return found
