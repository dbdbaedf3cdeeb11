"""The sockets between an app's process and its node's agent. Launchers need these alone."""

from __future__ import annotations

import socket


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected packet sockets: the agent's, and the one that the app's process inherits."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
