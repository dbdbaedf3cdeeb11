"""The arguments of 0.6 of what a topology is made of, made those of today."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from wotemu.compat.builtin_params import current_params
from wotemu.compat.conditions import conditions_of_netem
from wotemu.compat.old_word import warn_of_old_word
from wotemu.errors import TopologyError
from wotemu.topology.builtin_apps import BuiltinApps

Arguments = dict[str, Any]

_NOTHING: tuple[Any, ...] = (None, {}, [], ())

POSITIONS: Mapping[str, tuple[str, ...]] = {
    "Topology": ("nodes", "ports", "redis", "docker_proxy", "brokers"),
    "Network": ("name", "netem", "conditions", "args_compose_net", "args_compose_gw"),
    "Node": (
        *("name", "app", "networks", "broker", "broker_network"),
        *("image", "resources", "scale", "args_compose", "services"),
    ),
    "NodeApp": ("path", "http", "ws", "mqtt", "coap", "params"),
    "NodeResources": ("cpu_limit", "mem_limit", "cpu_reservation", "mem_reservation", "target_cpu_speed"),
    "Broker": ("name", "networks", "args_compose"),
}
"""The order of arguments in 0.6, where more of them could be given by their places than can today."""

PLACES: Mapping[str, int] = {
    "Topology": 1,
    "Network": 1,
    "Node": 2,
    "NodeApp": 1,
    "NodeResources": 0,
    "Broker": 2,
}
"""How many arguments today's have the same places, and mean the same."""

_FIRST: Mapping[str, str] = {"Topology": "nodes", "NodeApp": "path"}
"""The names of first arguments that are looked at."""

OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "Topology": ("ports", "redis", "docker_proxy"),
    "Network": ("conditions",),
    "Node": ("scale", "services"),
    "NodeApp": ("params",),
}
"""Arguments that could be None in 0.6, and are left out now."""

COMPOSE_KEYS: Mapping[str, str] = {
    "environment": "Node(env={...})",
    "image": "Node(image=...)",
    "command": "Node(command=[...])",
    "deploy": "Node(placement=Placement(...), resources=NodeResources(...), scale=...)",
    "networks": "Node(networks=[...])",
    "volumes": "files beside the deployment's, which each node has",
    "ports": "a Node that shares a network with whatever asks",
}
"""Today's replacements of a compose file's keys."""


def current_arguments(
    kind: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Arguments]:
    """Arguments that today's class takes.

    Args:
        kind: The class's name.
        args: As they were given by place.
        kwargs: As they were given by name.

    Returns:
        The arguments by place and by name; as they came where there is no old word among them.

    Raises:
        TopologyError: An old word can't be said any more; the hint has what to write.
    """
    given = dict(kwargs)
    args = _by_name(kind, tuple(args), given)
    first = _FIRST.get(kind)
    if args and first is not None and first not in given:
        given[first], args = args[0], args[1:]
    name = given.get("name", args[0] if args and kind in ("Network", "Node", "Broker", "Service") else None)
    place = f"{kind} {name!r}" if isinstance(name, str) else kind
    for each in OPTIONAL.get(kind, ()):
        if each in given and given[each] is None:
            del given[each]
            warn_of_old_word(f"{place}: leave {each}=None out")
    translate = _TRANSLATE.get(kind)
    if translate is not None:
        translate(given, place)
    return args, given


def _by_name(kind: str, args: tuple[Any, ...], given: Arguments) -> tuple[Any, ...]:
    """Move arguments whose places were others in 0.6 to `given`; the rest is returned."""
    order, places = POSITIONS.get(kind, ()), PLACES.get(kind, len(args))
    if len(args) <= places or len(args) > len(order):
        return args
    if kind == "Network" and not isinstance(args[1], list | None):
        return args  # today's Network("field", conditions)
    names = order[places : len(args)]
    if any(name in given for name in names):
        return args  # given twice: today's class says so
    given.update(zip(names, args[places:], strict=True))
    named = ", ".join(f"{name}=..." for name in names)
    warn_of_old_word(f"{kind}: name its arguments: {named}")
    return args[:places]


def _topology(given: Arguments, place: str) -> None:
    redis, proxy = given.get("redis"), given.get("docker_proxy")
    if isinstance(redis, OldRedis):
        del given["redis"]
        if not redis.enabled:
            given["redis"] = redis.redis_url
        warn_of_old_word(f"{place}: TopologyRedis is now redis='redis://...', or left out")
    if isinstance(proxy, OldDockerProxy):
        given["docker_proxy"] = proxy.enabled
        warn_of_old_word(f"{place}: TopologyDockerProxy is now docker_proxy={proxy.enabled}")
    brokers = given.pop("brokers", None) or ()
    if not brokers:
        return
    given["nodes"] = tuple(given.get("nodes", ()))
    users = [node for node in given["nodes"] if getattr(node, "broker", None) is not None]
    named = {node.broker.name for node in users}
    for broker in brokers:
        if broker.name not in named:
            raise TopologyError(
                f"no node names Broker {broker.name!r}",
                where=f"{place}, field 'brokers'",
                hint="give Node(broker=...): a topology has the brokers that its nodes name",
            )
        warn_of_old_word(f"{place}: leave brokers= out: its brokers are those that nodes name")


def _network(given: Arguments, place: str) -> None:
    netem = given.pop("netem", None)
    if netem:
        where = f"{place}, field 'netem'"
        given["conditions"] = conditions_of_netem(netem, where)  # it had precedence over a preset
        warn_of_old_word(f"{place}: netem= is now conditions=NetworkConditions(...)")
    for name in ("args_compose_net", "args_compose_gw"):
        _no_compose(given, place, name, "a network's options are Network's own fields")


def _node_or_broker(given: Arguments, place: str) -> None:
    _no_compose(given, place, "args_compose")


def _app(given: Arguments, place: str) -> None:
    path = given.get("path")
    if isinstance(path, str) and path.startswith("wotemu_"):
        given["path"] = path.removeprefix("wotemu_").removeprefix("mongo_")
        warn_of_old_word(f"{place}: {path!r} is now {given['path']!r}")
    if given.get("path") in set(BuiltinApps) and isinstance(given.get("params"), Mapping):
        given["params"] = current_params(given["path"], given["params"], place)


def _service(given: Arguments, place: str) -> None:
    if given.pop("restart_policy", None) is not None:
        warn_of_old_word(f"{place}: leave restart_policy= out: a service that ends is started again")
    if given.pop("labels", None):
        warn_of_old_word(f"{place}: leave labels= out: nothing reads a service's own labels")
    mode = given.pop("mode", None)
    if mode is not None:
        raise TopologyError(
            f"{mode!r:.80}: a service has one task",
            where=f"{place}, field 'mode'",
            hint="leave it out; for several, write several Services",
        )


def _no_compose(given: Arguments, place: str, name: str, otherwise: str = "") -> None:
    """Refuse options of a compose file, which no other engine could follow."""
    options = given.pop(name, None)
    if options in _NOTHING:
        return
    keys = list(options) if isinstance(options, Mapping) else []
    hints = [f"for {key}: {COMPOSE_KEYS[key]}" for key in keys if key in COMPOSE_KEYS]
    raise TopologyError(
        "a deployment is no compose file any more, as it runs without Docker, too",
        where=f"{place}, field {name!r}",
        hint="; ".join(hints) or otherwise or "use the fields of Node, or change what `wotemu compose` wrote",
    )


_TRANSLATE: Mapping[str, Callable[[Arguments, str], None]] = {
    "Topology": _topology,
    "Network": _network,
    "Node": _node_or_broker,
    "NodeApp": _app,
    "Broker": _node_or_broker,
    "Service": _service,
}


@attrs.frozen
class OldRedis:
    """``TopologyRedis`` of 0.6: the event bus of a stack.

    Attributes:
        enabled: Whether the stack has one of its own.
        host: Its name in the stack; nothing depends on it any more.
        redis_url: The server that is used where it has none.
    """

    enabled: bool = True
    host: str = "redis"
    redis_url: str | None = None

    def __attrs_post_init__(self) -> None:
        if not self.enabled and not self.redis_url:
            raise TopologyError(
                "without a Redis of its own, a stack needs the URL of another",
                where="TopologyRedis, field 'redis_url'",
                hint="write Topology(redis='redis://HOST')",
            )


@attrs.frozen
class OldDockerProxy:
    """``TopologyDockerProxy`` of 0.6: the proxy through which a stack's roles read Docker's API."""

    enabled: bool = True
    host: str = "docker_proxy"
