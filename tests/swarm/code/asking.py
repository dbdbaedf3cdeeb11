"""Asks two plain services the same again and again, and prints how long each took to let it in, in ms."""

from __future__ import annotations

import json
import socket
import time


def took_ms(host: str) -> float:
    """How long a handshake takes: there and back once."""
    started = time.monotonic()
    with socket.create_connection((host, 6379), 5) as connection:
        took = time.monotonic() - started
        connection.sendall(b"PING\r\n")
        if connection.recv(16) != b"+PONG\r\n":
            raise OSError(f"{host} gives another answer")
    return took * 1000


if __name__ == "__main__":
    while True:
        print(json.dumps({host: took_ms(host) for host in ("shaped", "direct")}), flush=True)
        time.sleep(0.1)
