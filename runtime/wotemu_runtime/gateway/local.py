"""The gateway role of the local engine: reads its nodes' TAPs, or connects nodes to a bridge for NetEm."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from typing import Any

import uvloop

from wotemu_gateways.shaper import Member, Shaper
from wotemu_gateways.userspace.tap_device import set_carrier
from wotemu_gateways.userspace.tun_shaper import TunShaper
from wotemu_runtime.gateway.role import Gateway, Plugs, network_state, serve_network
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.role import on_bus


def run_local_gateway(data: dict[str, Any], fds: Mapping[str, int], channel: Channel) -> int:
    """Run a gateway in this process, in its network namespace, until the coordinator commands it to stop.

    Args:
        data: The assignment.
        fds: Descriptors by replica: of their TAPs, or of their network namespaces under NetEm.
        channel: Gets a message once the nodes are connected, or the error, and is closed.

    Returns:
        The process's exit code.
    """
    assignment = Assignment.from_dict(data)
    # With autogroup scheduling, processors are shared among sessions: a gateway gets a share of its own.
    os.setsid()
    try:
        _connect(assignment.data, fds)
    except OSError as error:
        channel.send({"error": str(error), "errno": error.errno or 0})
        return 1
    channel.send({"connected": True})
    channel.close()
    uvloop.run(_gateway(assignment, fds))
    return 0


def _connect(data: dict[str, Any], fds: Mapping[str, int]) -> None:
    """Connect the nodes to a bridge; under the tun shaper their TAPs are all that it needs.

    Raises:
        OSError: The kernel refused it.
    """
    if data["shaper"] == TunShaper.name:
        return
    # Imported only here, as the start of an emulation under the tun shaper need not wait for it.
    from wotemu_gateways.netlink import bridge, routing

    members = {member["replica"]: member for member in data["members"]}
    nodes = [
        bridge.Attachment(fd, member["interface"], member["address"], data["prefix"], member["is_first"])
        for name, fd in fds.items()
        for member in [members[name]]
    ]
    bridge.build(data["gateway"], nodes, mtu=data["mtu"])
    if not routing.disable_strict_rp_filter():
        raise OSError("strict reverse path filtering can't be turned off")


async def _gateway(assignment: Assignment, fds: Mapping[str, int]) -> None:
    state = network_state(assignment.data)
    async with on_bus(assignment) as (role, group):
        await serve_network(
            role, group, Gateway(role, _shaper(assignment.data, fds), state, _plugs(assignment.data, fds))
        )


class _Taps:
    """The TAPs that are nodes' interfaces, by their descriptors."""

    def __init__(self, fds: Mapping[str, int]) -> None:
        self._fds = fds

    def set(self, replica: str, *, is_in: bool) -> None:
        """See `Plugs`."""
        set_carrier(self._fds[replica], is_on=is_in)


class _Ports:
    """The ports of the bridge that nodes' interfaces end at, in the nodes' order."""

    def __init__(self, replicas: Iterable[str]) -> None:
        self._numbers = {replica: number for number, replica in enumerate(replicas)}

    def set(self, replica: str, *, is_in: bool) -> None:
        """See `Plugs`."""
        from wotemu_gateways.netlink import bridge  # as below

        bridge.set_port(self._numbers[replica], is_up=is_in)


def _plugs(data: dict[str, Any], fds: Mapping[str, int]) -> Plugs:
    return _Taps(fds) if data["shaper"] == TunShaper.name else _Ports(fds)


def _shaper(data: dict[str, Any], fds: Mapping[str, int]) -> Shaper:
    loop = asyncio.get_running_loop()
    network, seed = data["network"], data["seed"]
    members = [
        Member(m["replica"], m["address"], bytes.fromhex(m["mac"].replace(":", ""))) for m in data["members"]
    ]
    ports = {port: name for name, port in data["ports"].items()}
    if data["shaper"] == TunShaper.name:
        return TunShaper(network, members, fds, loop, ports=ports, seed=seed, by_address=True)
    from wotemu_gateways.netem.netem_shaper import NetemShaper  # as above

    subnet = IPv4Network((data["gateway"], data["prefix"]), strict=False)
    return NetemShaper(
        network, members, ports=ports, seed=seed, shared=data["shared"], loop=loop, subnet=subnet
    )


__all__ = ["run_local_gateway"]
