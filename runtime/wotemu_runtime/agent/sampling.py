"""The samples that a node's agent takes: of its app each second, of its connections every few."""

from __future__ import annotations

import contextlib

from wotemu_runtime.agent.namespaces import NodeNamespaces
from wotemu_runtime.agent.process_limit import ProcessLimit
from wotemu_runtime.agent.resource_usage import BUSY_CPU_S, Sampler
from wotemu_runtime.agent.tcp_connections import ConnectionMeter
from wotemu_runtime.roles.role import Role

SAMPLE_EVERY_S = 1.0
CONNECTIONS_EVERY = 5
"""In samples. A look at a node's connections costs three times as much as a sample of an idle node."""


class Sampling:
    """Samples one node.

    Args:
        role: The node's role; its assignment's data has the replica, its limits and control groups.
        namespaces: The node's namespaces.
    """

    def __init__(self, role: Role, namespaces: NodeNamespaces) -> None:
        data = role.assignment.data
        self._role = role
        self._namespaces = namespaces
        self.usage = Sampler(
            data["replica"],
            tuple(data["cgroups"]),
            data["cpu_limit"],
            data["mem_limit_bytes"],
            namespaces.app_processes,
            namespaces.read_network_file,
            namespaces.throttling_groups(),
        )
        self._process_limit = ProcessLimit(role, data.get("pids_limit"), data["cgroups"])
        self._connections = ConnectionMeter(data["replica"], namespaces.peer_name)
        self._samples = 0
        self._looked_at_s = 0.0

    def sample(self) -> None:
        """Record what is to be recorded now."""
        self._sample_usage()
        self._samples += 1
        if self._samples % CONNECTIONS_EVERY == 0 and self.usage.cpu_s - self._looked_at_s > BUSY_CPU_S:
            self.sample_connections()

    def finish(self) -> None:
        """Record what came since the last samples, before the app ends."""
        self._sample_usage(is_last=True)
        self.sample_connections()

    def _sample_usage(self, *, is_last: bool = False) -> None:
        for each in self.usage.sample(self._role.now(), is_last=is_last):
            self._role.publisher.put(each)
        self._process_limit.look(self.usage.threads)

    def sample_connections(self) -> None:
        """Record the connections that are open now."""
        self._looked_at_s = self.usage.cpu_s
        with contextlib.suppress(OSError):  # the node has ended, or its kernel lists no sockets
            for each in self._connections.rows(self._role.now(), self._namespaces.tcp_sockets()):
                self._role.publisher.put(each)
