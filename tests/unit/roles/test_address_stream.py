"""Which role has which address, when roles move and Docker assigns their addresses again."""

from __future__ import annotations

from wotemu_runtime.roles.address_stream import AddressDirectory, RoleAddress, addresses_by_replica


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
