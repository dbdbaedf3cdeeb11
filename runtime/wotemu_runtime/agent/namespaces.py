"""A node's namespaces as its agent uses them: sockets in its network, its host names and its processes."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import psutil

from wotemu.app.agent_socket import STATSD_PATH
from wotemu_gateways.netlink.namespaces import entered
from wotemu_gateways.packets import probe
from wotemu_runtime.agent import metric_socket, process_tree, resource_usage, tcp_connections
from wotemu_runtime.agent.process_tree import Process
from wotemu_runtime.agent.relay import relayed
from wotemu_runtime.agent.statsd import sockets as statsd
from wotemu_runtime.agent.tcp_connections import Socket
from wotemu_runtime.publishing.connecting import first_connection
from wotemu_runtime.roles.role import Role
from wotemu_runtime.roles.self_monitoring import report_interface_drops
from wotemu_runtime.wire.packet_reader import open_packets

if TYPE_CHECKING:
    import aiomqtt

    from wotemu_runtime.capture.node_packets import NodePackets

SO_TIMESTAMPNS = 35
"""Socket option (asm-generic/socket.h): the kernel stamps each datagram as it comes to the interface."""


OWN_GROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu")
"""Where a container has its own control group of the cpu controller mounted, version 2 or 1."""
BROKER_CLIENT = "wotemu-agent"
"""The MQTT client id by which brokers know their agent."""


class NodeNamespaces(Protocol):
    """What a node's agent reaches by the namespaces that its app runs in."""

    def listen_for_metrics(self) -> socket.socket:
        """A listening socket that every program of the node can connect to."""

    def open_statsd(self, port: int) -> list[socket.socket]:
        """Sockets that every program of the node can send StatsD's lines to: a Unix one, and UDP unless 0.

        Raises:
            OSError: the port is taken, or the Unix socket can't be made.
        """

    def open_probe_socket(self, address: str) -> socket.socket:
        """A UDP socket at the probes' port of one of the node's addresses, with arrival times.

        Raises:
            OSError: the port is taken, or the address is not the node's.
        """

    def address(self, host: str) -> str:
        """The address of a host name. Raises OSError where the node knows none."""

    def broker_client(
        self, port: int, user: str | None = None, password: str | None = None, *, tls: bool = False
    ) -> AbstractAsyncContextManager[aiomqtt.Client]:
        """A client of the broker that the node runs, connected in the block, logged in where a user is given.

        Raises:
            aiomqtt.MqttError, OSError: the broker does not answer.
        """

    async def connect(self, port: int) -> socket.socket:
        """A connection to a TCP port of the node, at its loopback interface or else at its addresses.

        Raises:
            OSError: nothing there takes it.
        """

    def app_processes(self) -> Mapping[int, Process]:
        """The processes of the node's app that are there now, by their id."""

    def read_network_file(self, name: str) -> str | None:
        """A file of the node's ``/proc/net``; None where its figures are not the app's alone.

        Raises:
            OSError: The node has ended.
        """

    def throttling_groups(self) -> tuple[str, ...]:
        """Directories of the control groups that limit the app's CPU, where the engine made none."""

    def tcp_sockets(self) -> list[Socket]:
        """The TCP sockets of the node's network. Raises OSError where the kernel does not list them."""

    def peer_name(self, address: str) -> str | None:
        """The name of a peer's address; None where it belongs to no emulated network."""

    def report_dropped_frames(self, role: Role) -> None:
        """Report frames that the kernel dropped at the node's interfaces."""

    def open_packets(
        self, node: str, networks: Mapping[str, str], *, ring_bytes: int, max_bytes: int | None = None
    ) -> NodePackets:
        """What passes the node's interfaces from now on. Raises OSError where the kernel refuses it."""

    def open_request_packets(self, coap_port: int) -> socket.socket:
        """Packets that requests and answers begin in, see `wire`. Raises OSError as `open_packets` does."""


class OwnNamespaces:
    """The namespaces of this process, for an agent that runs beside its app; `hosts` is its hosts file."""

    def __init__(self, hosts: Path = Path("/etc/hosts")) -> None:
        self._hosts = HostsFile(hosts)

    def __repr__(self) -> str:
        return "OwnNamespaces()"

    def listen_for_metrics(self) -> socket.socket:
        """Listen on the node's abstract socket."""
        return metric_socket.listen()

    def open_statsd(self, port: int) -> list[socket.socket]:
        """Open StatsD's sockets."""
        return _statsd_sockets(port, Path("/"))

    def open_probe_socket(self, address: str) -> socket.socket:
        """Bind the probes' port at an address."""
        return _probe_socket(address)

    def address(self, host: str) -> str:
        """Look a name up in /etc/hosts."""
        return self._hosts.address(host)

    def broker_client(
        self, port: int, user: str | None = None, password: str | None = None, *, tls: bool = False
    ) -> AbstractAsyncContextManager[aiomqtt.Client]:
        """Connect over the loopback interface, which no gateway shapes."""
        import aiomqtt

        return aiomqtt.Client(
            "127.0.0.1",
            port,
            username=user,
            password=password,
            identifier=BROKER_CLIENT,
            tls_context=_on_loopback() if tls else None,
        )

    async def connect(self, port: int) -> socket.socket:
        """Connect here."""
        return await _connected(contextlib.nullcontext, port)

    def app_processes(self) -> Mapping[int, Process]:
        """All of the PID namespace but its first process, this one, and who entered it from outside."""
        return resource_usage.app_processes()

    def read_network_file(self, name: str) -> str | None:  # noqa: ARG002
        """None: the agent's own connections are counted there, too."""
        return None

    def throttling_groups(self) -> tuple[str, ...]:
        """The container's, where it sees them."""
        return OWN_GROUPS

    def tcp_sockets(self) -> list[Socket]:
        """Those of the container, the agent's own included."""
        return tcp_connections.sockets()

    def peer_name(self, address: str) -> str | None:
        """The name of a node; None for the bus and everything else that only the agent speaks to."""
        return self._hosts.name(address)

    def report_dropped_frames(self, role: Role) -> None:
        """Report the drops at all interfaces but the loopback one."""
        report_interface_drops(role)

    def open_packets(
        self, node: str, networks: Mapping[str, str], *, ring_bytes: int, max_bytes: int | None = None
    ) -> NodePackets:
        """Open them here."""
        from wotemu_runtime.capture.node_packets import NodePackets  # few nodes have a use for it

        return NodePackets(node, networks, ring_bytes=ring_bytes, max_bytes=max_bytes)

    def open_request_packets(self, coap_port: int) -> socket.socket:
        """Open them here."""
        return open_packets(coap_port)


class NamespacesOf:
    """The namespaces of a node of this machine, for an agent that serves many of them from outside.

    Sockets are made inside of the node's network namespace and used from here.

    Args:
        first: the id, in this PID namespace, of the first process of the node's.
        hosts: the node's hosts file, by its path here.
    """

    def __init__(self, first: int, hosts: Path) -> None:
        self._first = first
        self._hosts = HostsFile(hosts)

    def __repr__(self) -> str:
        return f"NamespacesOf({self._first})"

    def listen_for_metrics(self) -> socket.socket:
        """Listen on an abstract socket of the node's."""
        with self._in_network():
            return metric_socket.listen()

    def open_statsd(self, port: int) -> list[socket.socket]:
        """Open StatsD's sockets, the Unix one in the node's file system."""
        with self._in_network():
            return _statsd_sockets(port, Path(f"/proc/{self._first}/root"))

    def open_probe_socket(self, address: str) -> socket.socket:
        """Bind the probes' port at an address."""
        with self._in_network():
            return _probe_socket(address)

    def address(self, host: str) -> str:
        """Look a name up in the node's hosts file."""
        return self._hosts.address(host)

    @asynccontextmanager
    async def broker_client(
        self, port: int, user: str | None = None, password: str | None = None, *, tls: bool = False
    ) -> AsyncIterator[aiomqtt.Client]:
        """Connect over the node's loopback interface, which no gateway shapes."""
        import aiomqtt

        # It makes its socket itself, in a thread: it is given one of this namespace, and relayed.
        path = f"\0wotemu-broker-{self._first}"
        async with (
            relayed(path, lambda: self.connect(port)),
            aiomqtt.Client(
                path,
                username=user,
                password=password,
                identifier=BROKER_CLIENT,
                transport="unix",
                tls_context=_on_loopback() if tls else None,
            ) as client,
        ):
            yield client

    async def connect(self, port: int) -> socket.socket:
        """Connect in the node's network namespace."""
        return await _connected(self._in_network, port)

    def app_processes(self) -> Mapping[int, Process]:
        """All that the node's first process has started."""
        return process_tree.descendants(self._first)

    def read_network_file(self, name: str) -> str | None:
        """Read it through the node's first process."""
        return process_tree.read_file(f"/proc/{self._first}/net/{name}")

    def throttling_groups(self) -> tuple[str, ...]:
        """None: the engine's are all that there are."""
        return ()

    def tcp_sockets(self) -> list[Socket]:
        """Those of the node."""
        with self._in_network():
            return tcp_connections.sockets()

    def peer_name(self, address: str) -> str | None:
        """The name of a node, or the address of another machine; None at the loopback interface."""
        return None if address.startswith(("127.", "::1")) else self._hosts.name(address) or address

    def report_dropped_frames(self, role: Role) -> None:
        """Report the drops at all the node's interfaces but the loopback one."""
        with self._in_network():
            report_interface_drops(role)

    def open_packets(
        self, node: str, networks: Mapping[str, str], *, ring_bytes: int, max_bytes: int | None = None
    ) -> NodePackets:
        """Open them in the node's network namespace."""
        from wotemu_runtime.capture.node_packets import NodePackets

        with self._in_network():
            return NodePackets(node, networks, ring_bytes=ring_bytes, max_bytes=max_bytes)

    def open_request_packets(self, coap_port: int) -> socket.socket:
        """Open them in the node's network namespace."""
        with self._in_network():
            return open_packets(coap_port)

    @contextmanager
    def _in_network(self) -> Iterator[None]:
        """Move this thread to the node's network namespace; `OSError` where the node is gone."""
        fd = os.open(f"/proc/{self._first}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with entered(fd):
                yield
        finally:
            os.close(fd)


async def _connected(in_network: Callable[[], AbstractContextManager[None]], port: int) -> socket.socket:
    """A connection to a port of a network namespace, which `in_network` moves this thread to."""
    with in_network():
        addresses = [
            each.address
            for interface in psutil.net_if_addrs().values()
            for each in interface
            if each.family is socket.AF_INET
        ]
    loopback_first = sorted(addresses, key=lambda each: not each.startswith("127."))
    return await first_connection(loopback_first, port, in_network)


class _ToAnyName(ssl.SSLContext):
    """Names no server: paho-mqtt gives a Unix socket's address, which is no host name."""

    def wrap_socket(self, sock: socket.socket, *given: Any, **options: Any) -> ssl.SSLSocket:
        """See `ssl.SSLContext`."""
        options.pop("server_hostname", None)
        return super().wrap_socket(sock, *given, **options)


def _on_loopback() -> ssl.SSLContext:
    """TLS to the node's own broker, which nobody else can be."""
    context = _ToAnyName(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _statsd_sockets(port: int, root: Path) -> list[socket.socket]:
    """StatsD's sockets of this thread's network namespace."""
    opened = [statsd.open_unix(root / STATSD_PATH.lstrip("/"))]
    try:
        return [*opened, statsd.open_udp(port)] if port else opened
    except OSError:
        opened[0].close()
        raise


def _probe_socket(address: str) -> socket.socket:
    """A socket of this thread's network namespace."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        opened.bind((address, probe.PORT))
    except OSError:
        opened.close()
        raise
    return opened


class HostsFile:
    """Looks names up in a hosts file alone: the resolver would ask a name server, and block on it."""

    def __init__(self, path: Path = Path("/etc/hosts")) -> None:
        self._path = str(path)
        self._changed_at_ns = 0
        self._addresses: dict[str, str] = {}
        self._names: dict[str, str | None] = {}

    def __repr__(self) -> str:
        return f"HostsFile({self._path!r})"

    def name(self, address: str) -> str | None:
        """The first name of an address in the file; None where there is none."""
        self._forget_if_changed()
        if address not in self._names:
            lines = (line.partition("#")[0].split() for line in Path(self._path).read_text().splitlines())
            self._names[address] = next(
                (line[1] for line in lines if len(line) > 1 and line[0] == address), None
            )
        return self._names[address]

    def _forget_if_changed(self) -> None:
        changed_at_ns = os.stat(self._path).st_mtime_ns  # noqa: PTH116  # for each probe: twice as fast
        if changed_at_ns != self._changed_at_ns:  # nodes that move get new addresses during a run
            self._changed_at_ns = changed_at_ns
            self._addresses.clear()
            self._names.clear()

    def address(self, name: str) -> str:
        """The last address of `name` in the file. Raises OSError where there is none."""
        self._forget_if_changed()
        # A node asks for a few of the hundreds of names.
        address = self._addresses.get(name)
        if address is None:
            address = self._addresses[name] = _address_in(Path(self._path).read_text(), name)
        return address


def _address_in(hosts: str, name: str) -> str:
    """The last address of a name in the text of a hosts file. Raises OSError where there is none."""
    at = len(hosts)
    while (at := hosts.rfind(name, 0, at)) >= 0:  # splitting all lines takes twenty times as long
        start = hosts.rfind("\n", 0, at) + 1
        address, *names = hosts[start:].partition("\n")[0].partition("#")[0].split() or [""]
        if name in names:
            return address
    raise OSError(f"no address for {name}")
