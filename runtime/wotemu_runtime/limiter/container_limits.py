"""A container's limits in the terms of Docker's API. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from wotemu_runtime.agent.control_group import NO_MEMORY_LIMIT, bandwidth_us


@attrs.frozen
class ContainerLimits:
    """A quota and period of CPU time, in microseconds, and bytes of memory; None is no limit."""

    cpu_us: tuple[int, int] | None = None
    mem_bytes: int | None = None

    @classmethod
    def of(cls, cpu: float | None, mem_bytes: int | None) -> Self:
        """Limits of so many cores and bytes."""
        return cls(None if cpu is None else bandwidth_us(cpu), mem_bytes)

    @classmethod
    def held(cls, host_config: Mapping[str, Any]) -> Self:
        """Those that a container has, by Docker's ``HostConfig`` of it."""
        quota, period = int(host_config.get("CpuQuota") or 0), int(host_config.get("CpuPeriod") or 0)
        memory = int(host_config.get("Memory") or 0)
        if int(host_config.get("MemorySwap") or 0) != memory:  # Swarm's tasks may swap as much again
            memory = 0
        return cls((quota, period) if quota > 0 else None, memory if 0 < memory < NO_MEMORY_LIMIT else None)

    def update_from(self, held: ContainerLimits, *, cgroup_version: int) -> dict[str, int]:
        """The body of ``POST /containers/{id}/update`` that makes them hold; empty where they do.

        Args:
            held: Those that the container has.
            cgroup_version: The version of the machine's control groups.
        """
        body: dict[str, int] = {}
        if self.cpu_us != held.cpu_us:
            # 0 would leave both as they are.
            quota, period = self.cpu_us or (-1, held.cpu_us[1] if held.cpu_us else 0)
            body |= {"CpuQuota": quota, "CpuPeriod": period}
        if self.mem_bytes != held.mem_bytes:
            # Docker takes no -1 for memory. Memory and swap together, so that there is no swap, as without
            # Docker; no limit of swap is -1 in version 2, which version 1 refuses beside one of memory.
            memory = NO_MEMORY_LIMIT if self.mem_bytes is None else self.mem_bytes
            is_unlimited_2 = self.mem_bytes is None and cgroup_version == 2
            body |= {"Memory": memory, "MemorySwap": -1 if is_unlimited_2 else memory}
        return body
