"""Names of the hosts that an app exchanges messages with: replicas of the plan, by the node's hosts file."""

from __future__ import annotations

import time
from pathlib import Path

_HOSTS = Path("/etc/hosts")
_CHECK_S = 1.0
"""Seconds between two looks at whether the file has changed: nodes of a swarm may get new addresses."""
_MAPPED = "::ffff:"
"""Prefix of an IPv4 address that an IPv6 socket reports (RFC 4291, section 2.5.5.2)."""


class Peers:
    """Finds the replica that has an address.

    Args:
        own: the replica whose process this is, which loopback addresses belong to.
        hosts: the hosts file; the first name of each line is a replica's.
    """

    def __init__(self, own: str, hosts: Path = _HOSTS) -> None:
        self._own = own
        self._hosts = hosts
        self._names: dict[str, str] = {}
        self._changed_ns = -1
        self._checked = 0.0

    def __repr__(self) -> str:
        return f"Peers({self._own!r}, {len(self._names)} addresses)"

    def name(self, address: str) -> str:
        """The replica with this address; the address, or a name that it is already, where there is none."""
        address = address.strip("[]").removeprefix(_MAPPED)
        if address.startswith("127.") or address in ("::1", "localhost"):
            return self._own
        now = time.monotonic()
        if now - self._checked > _CHECK_S or not self._checked:
            self._checked = now
            self._read()
        return self._names.get(address, address)

    def _read(self) -> None:
        try:
            changed_ns = self._hosts.stat().st_mtime_ns
            if changed_ns == self._changed_ns:
                return
            lines = self._hosts.read_text().splitlines()
        except (OSError, ValueError):
            return
        self._changed_ns = changed_ns
        names = (line.partition("#")[0].split() for line in lines)
        # The first line with an address counts, as it does for resolvers.
        self._names = {fields[0]: fields[1] for fields in reversed([*names]) if len(fields) > 1}
