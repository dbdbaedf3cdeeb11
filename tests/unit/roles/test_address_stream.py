"""Which role has which address, when roles move and Docker assigns their addresses again."""

from __future__ import annotations

import asyncio

from wotemu_runtime.bus import Streams
from wotemu_runtime.roles.address_stream import (
    AddressDirectory,
    AddressStream,
    RoleAddress,
    addresses_by_replica,
)
from wotemu_runtime.testing import MemoryBus, on_jumping_clock


def test_an_address_belongs_to_the_role_that_announced_it_last() -> None:
    """A lost gateway's address may be a node's soon: nobody sends to it as the gateway's any more."""
    directory = AddressDirectory()
    directory.update(RoleAddress("gateway:field", "field", "10.0.1.5", "one"))
    directory.update(RoleAddress("agent:a", "field", "10.0.1.6", "one"))
    assert directory.address("gateway:field", "field") == "10.0.1.5"
    directory.update(RoleAddress("agent:b", "field", "10.0.1.5", "two"))
    assert directory.address("gateway:field", "field") is None
    assert directory.address("agent:b", "field") == "10.0.1.5"
    directory.update(RoleAddress("agent:c", "other", "10.0.1.5", "two"))
    assert directory.address("agent:b", "field") == "10.0.1.5", "another network's address is another"
    directory.update(RoleAddress("gateway:field", "field", "10.0.1.9", "one"))
    assert directory.address("gateway:field", "field") == "10.0.1.9"


def test_a_role_that_moved_has_its_new_address_alone() -> None:
    directory = AddressDirectory()
    for address in ("10.0.1.6", "10.0.1.8"):
        directory.update(RoleAddress("agent:a", "field", address, "one"))
    assert [each.address for each in directory] == ["10.0.1.8"]


def test_gateways_are_no_replicas() -> None:
    announced = [
        RoleAddress("agent:a", "field", "10.0.1.6", "one"),
        RoleAddress("gateway:field", "field", "10.0.1.5", "one"),
        RoleAddress("agent:a", "core", "10.0.2.6", "one"),
        RoleAddress("agent:a", "field", "10.0.1.8", "two"),
    ]
    assert addresses_by_replica(announced) == {"a": {"field": "10.0.1.8", "core": "10.0.2.6"}}


@on_jumping_clock
async def test_a_node_reads_addresses_once_all_its_gateways_have_announced_themselves() -> None:
    addresses, loop = AddressStream(MemoryBus().client, Streams("s")), asyncio.get_running_loop()
    waiting = asyncio.ensure_future(addresses.wait_for_gateways(["field", "core"]))
    for role, network in (("agent:a", "field"), ("gateway:field", "field"), ("gateway:other", "other")):
        await addresses.announce(RoleAddress(role, network, "10.0.1.6", "one"))
    await asyncio.sleep(5)
    assert not waiting.done()
    loop.call_later(
        5,
        lambda: loop.create_task(addresses.announce(RoleAddress("gateway:core", "core", "10.0.2.5", "one"))),
    )
    await waiting
    assert loop.time() >= 10
    assert [each.role for each in await addresses.read()] == [
        "agent:a",
        "gateway:field",
        "gateway:other",
        "gateway:core",
    ]
