"""The socket by which any program of a node reports metrics to the node's agent: one JSON text a packet.

The agent listens on an abstract Unix socket (SOCK_SEQPACKET), whose name is in the variable `VARIABLE`, after
an ``@``. Such a socket belongs to the node's network namespace: it needs no file, and no other node has it.
A packet is ``{"metric": KEY, "value": NUMBER}``, with the time on CLOCK_MONOTONIC as ``"t"`` where it is not
the time of arrival, ``{"lost": COUNT}`` of packets that could not be sent, or
``{"unmeasured": WHY, "program": NAME}`` of a program whose interactions are not recorded. It also takes lines
of StatsD, and the packets of programs that are measured (`wotemu_runtime.app_process.messages`).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from weakref import WeakSet

VARIABLE = "WOTEMU_SOCKET"
ADDRESS = "\0wotemu-agent"
"""An abstract address, as its first byte is 0: it belongs to the node's network namespace."""
STATSD_PATH = "/run/wotemu/statsd.sock"
"""A Unix datagram socket for lines of StatsD, in the node's file system."""
WAIT_S = 0.05
"""Seconds to wait for a full socket: long enough for a burst, short enough where the agent hangs."""


def address_of(environ: Mapping[str, str]) -> str | None:
    """The socket's address by the environment; None outside of WoTemu."""
    name = environ.get(VARIABLE)
    return None if not name else "\0" + name[1:] if name.startswith("@") else name


class GuardedSocket:
    """A connection to the agent in a process that may close or reuse any descriptor, as daemons do."""

    def __init__(self, connection: socket.socket) -> None:
        """A guard of one connection, and of those that replace it.

        Args:
            connection: A socket that is connected to the agent.
        """
        self._take(connection)

    def __repr__(self) -> str:
        return f"GuardedSocket({self.socket.fileno()})"

    def _take(self, connection: socket.socket) -> None:
        self.socket = connection
        self._inode = os.fstat(connection.fileno()).st_ino if connection.fileno() >= 0 else 0

    def send(self, packet: bytes) -> None:
        """Send one packet, over a new connection if the descriptor is no longer this socket's.

        Raises:
            OSError: it can't be sent.
        """
        if not self.is_own():
            timeout_s = self.socket.gettimeout()
            self.socket.detach()  # or its end would close the descriptor of somebody else
            found = connect()
            if found is None:
                raise ConnectionError("no agent")
            found.settimeout(timeout_s)
            self._take(found)
        self.socket.send(packet)

    def is_own(self) -> bool:
        """Whether the descriptor is still this socket's."""
        try:
            return os.fstat(self.socket.fileno()).st_ino == self._inode
        except OSError:
            return False


_to_reset: WeakSet[AgentSocket] = WeakSet()


def _reset_after_fork() -> None:
    for each in tuple(_to_reset):
        each.reset_after_fork()


os.register_at_fork(after_in_child=_reset_after_fork)


class AgentSocket:
    """Sends metrics to the agent. Drops and counts those that can't be sent within `WAIT_S`."""

    def __init__(self, connection: socket.socket) -> None:
        """A sender with nothing lost yet.

        Args:
            connection: A socket that is connected to the agent.
        """
        self._lock = threading.Lock()
        self._lost = 0
        self._socket = GuardedSocket(connection)
        connection.settimeout(WAIT_S)
        _to_reset.add(self)

    def __repr__(self) -> str:
        return f"AgentSocket(lost={self._lost})"

    def metric(self, key: str, value: float) -> None:
        """Send one metric, or count it as lost."""
        with self._lock:
            if self._lost and self._send({"lost": self._lost}):
                self._lost = 0
            if not self._send({"metric": key, "value": value, "t": time.monotonic()}):
                self._lost += 1

    def close(self) -> None:
        """Close the connection."""
        self._socket.socket.close()

    def reset_after_fork(self) -> None:
        """In a forked child: a thread of the parent's may have held the lock, and will report its losses."""
        self._lock = threading.Lock()
        self._lost = 0

    def _send(self, message: dict[str, object]) -> bool:
        try:
            self._socket.send(json.dumps(message).encode())
        except OSError:  # TimeoutError included
            return False
        return True


def connect(environ: Mapping[str, str] = os.environ) -> socket.socket | None:
    """A connection to this node's agent; None outside of WoTemu.

    Raises:
        OSError: the agent has ended.
    """
    address = address_of(environ)
    if address is None:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def report_unmeasured(program: str, why: str) -> None:
    """Report to this node's agent, if any, that a program's interactions are not recorded."""
    with contextlib.suppress(OSError):
        connection = connect()
        if connection is not None:
            with connection:
                connection.send(json.dumps({"unmeasured": why, "program": program}).encode())
