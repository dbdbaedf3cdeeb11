"""A door leads clients to a machine that has no way to them, and its answers back."""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from wotemu_gateways.netlink import dnat
from wotemu_gateways.netlink.request_socket import CREATE, Netlink, Request
from wotemu_gateways.packets import probe

from .lab import Namespace

pytestmark = pytest.mark.namespaces

CLIENT, DOOR, DOOR_INSIDE, SERVER, OTHER = "10.71.0.1", "10.71.0.2", "10.72.0.2", "10.72.0.3", "10.72.0.4"
WAIT_S = 5.0
NOTHING_S = 0.3


@pytest.fixture
def places() -> Iterator[dict[str, Namespace]]:
    """client - door - server: the server has no route to the client's network."""
    made = {name: Namespace() for name in ("client", "door", "server")}
    door = made["door"]
    try:
        for name, near, far in (("client", "out0", CLIENT), ("server", "in0", SERVER)):
            pid = door_pid(made[name])
            door.run(f"ip link add {near} type veth peer name eth0 netns {pid}")
            made[name].run(f"ip addr add {far}/24 dev eth0")
            made[name].run("ip link set eth0 up")
            door.run(f"ip link set {near} up")
        made["server"].run(f"ip addr add {OTHER}/24 dev eth0")
        door.run(f"ip addr add {DOOR}/24 dev out0")
        door.run(f"ip addr add {DOOR_INSIDE}/24 dev in0")
        with door.entered():
            Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
        lead(door, SERVER)
        yield made
    finally:
        for namespace in made.values():
            namespace.close()


def door_pid(namespace: Namespace) -> int:
    return namespace._keeper.pid


def lead(door: Namespace, server: str) -> None:
    with door.entered():
        dnat.redirect_to("in0", {"out0": DOOR}, server)


def listening(place: Namespace, kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    with place.entered():
        sock = socket.socket(socket.AF_INET, kind)
    sock.settimeout(WAIT_S)
    sock.bind((address, port))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


def test_a_connection_reaches_the_server_and_its_answer_comes_back(places: dict[str, Namespace]) -> None:
    with (
        listening(places["server"], socket.SOCK_STREAM, SERVER, 5432) as server,
        listening(places["client"], socket.SOCK_STREAM, CLIENT, 0) as unused,
    ):
        unused.close()
        with places["client"].entered():
            client = socket.create_connection((DOOR, 5432), WAIT_S)
        connection, peer = server.accept()
        assert peer[0] == DOOR_INSIDE, "the server sees the door, and so answers to it"
        connection.sendall(b"answer")
        assert client.recv(16) == b"answer"
        assert client.getpeername() == (DOOR, 5432)
        client.close()
        connection.close()


def test_datagrams_and_pings_pass_but_probes_stay(places: dict[str, Namespace]) -> None:
    with (
        listening(places["server"], socket.SOCK_DGRAM, SERVER, 5683) as server,
        listening(places["server"], socket.SOCK_DGRAM, SERVER, probe.PORT) as missed,
        listening(places["door"], socket.SOCK_DGRAM, DOOR, probe.PORT) as probes,
        listening(places["client"], socket.SOCK_DGRAM, CLIENT, 0) as client,
    ):
        client.sendto(b"question", (DOOR, 5683))
        data, peer = server.recvfrom(16)
        server.sendto(data[::-1], peer)
        assert client.recvfrom(16) == (b"noitseuq", (DOOR, 5683))
        client.sendto(b"probe", (DOOR, probe.PORT))
        assert probes.recvfrom(16)[0] == b"probe"
        missed.settimeout(NOTHING_S)
        with pytest.raises(TimeoutError):
            missed.recvfrom(16)
    assert "1 received" in places["client"].run(f"ping -c 1 -W 5 {DOOR}")


def test_a_server_that_moved_is_found_again(places: dict[str, Namespace]) -> None:
    with (
        listening(places["server"], socket.SOCK_DGRAM, SERVER, 5683) as before,
        listening(places["server"], socket.SOCK_DGRAM, OTHER, 5683) as after,
    ):
        for place, other in ((before, SERVER), (after, OTHER)):
            lead(places["door"], other)
            with listening(places["client"], socket.SOCK_DGRAM, CLIENT, 0) as client:
                client.sendto(b"who", (DOOR, 5683))
                assert place.recvfrom(16)[0] == b"who"


def test_what_the_server_begins_reaches_nobody(places: dict[str, Namespace]) -> None:
    """It would come past the gateways: better not at all than not shaped."""
    with (
        listening(places["client"], socket.SOCK_STREAM, CLIENT, 9000),
        places["server"].entered(),
        pytest.raises(OSError, match="unreachable"),
    ):
        socket.create_connection((CLIENT, 9000), WAIT_S)


def test_what_is_for_others_is_not_passed_on(places: dict[str, Namespace]) -> None:
    """A door may have the address of a gateway that is gone: what comes for others is not its to lead on."""
    places["client"].run(f"ip route add 10.72.0.0/24 via {DOOR}")
    places["server"].run(f"ip route add 10.71.0.0/24 via {DOOR_INSIDE}")
    lost = "ping -c 1 -W 1 {}".format
    for place, other in (("client", OTHER), ("server", CLIENT)):
        ran = subprocess.run(places[place].command(*lost(other).split()), capture_output=True, check=False)
        assert ran.returncode == 1, f"{place} reaches {other}"


def test_what_fails_leaves_what_was_there_before(places: dict[str, Namespace]) -> None:
    """A transaction is done as a whole: here its first request could be, its second could not."""
    family = struct.pack("!BBH", socket.AF_INET, 0, 0)
    named = [(1, b"other\0")]
    with places["door"].entered(), Netlink(12) as netlink:
        new, drop = (Request((10 << 8) | kind, family, named, CREATE) for kind in (0, 2))
        with pytest.raises(OSError, match="No such file"):
            netlink.transact(10, new, attrs.evolve(drop, attributes=[(1, b"absent\0")]))
        with pytest.raises(OSError, match="No such file"):
            netlink.transact(10, drop)
    kept = subprocess.run(
        places["client"].command("ping", "-c", "1", "-W", "5", DOOR), capture_output=True, check=False
    )
    assert kept.returncode == 0, "what was there before still holds"
