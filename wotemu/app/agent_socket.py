"""The socket by which any program of a node reports metrics to the node's agent: one JSON text a packet.

The agent listens on an abstract Unix socket (SOCK_SEQPACKET), whose name is in the variable `VARIABLE`, after
an ``@``. Such a socket belongs to the node's network namespace: it needs no file, and no other node has it.
A packet is ``{"metric": KEY, "value": NUMBER}``, with the time on CLOCK_MONOTONIC as ``"t"`` where it is not
the time of arrival, or ``{"lost": COUNT}`` of packets that could not be sent.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Mapping

VARIABLE = "WOTEMU_SOCKET"
ADDRESS = "\0wotemu-agent"
"""An abstract address, as its first byte is 0: it belongs to the node's network namespace."""
WAIT_S = 0.05
"""Seconds to wait for a full socket: long enough for a burst, short enough where the agent hangs."""


def address_of(environ: Mapping[str, str]) -> str | None:
    """The socket's address by the environment; None outside of WoTemu."""
    name = environ.get(VARIABLE)
    return None if not name else "\0" + name[1:] if name.startswith("@") else name


class AgentSocket:
    """Sends metrics to the agent. Drops and counts those that can't be sent within `WAIT_S`."""

    def __init__(self, connection: socket.socket) -> None:
        """A sender with nothing lost yet.

        Args:
            connection: A socket that is connected to the agent.
        """
        self._lock = threading.Lock()
        self._lost = 0
        self._socket = connection
        self._socket.settimeout(WAIT_S)

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
        self._socket.close()

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
