"""How much of a machine a node may use."""

from __future__ import annotations

import attrs

from wotemu.topology._fields import (
    Checked,
    fail,
    kind_of,
    named_errors,
    optional_bytes,
    optional_cores,
    optional_hertz,
)
from wotemu.units import Bytes, Hertz


@attrs.frozen(kw_only=True, field_transformer=named_errors)
class NodeResources(Checked):
    """How much of a machine each replica of a node may use.

    Attributes:
        cpu_limit: Cores, such as 0.5.
        mem_limit: Bytes, such as ``"150M"``; 4 MiB at least.
        cpu_reservation: Cores that the swarm engine reserves.
        mem_reservation: Bytes that the swarm engine reserves.
        target_cpu_speed: A clock rate, such as ``"1.2GHz"``. It becomes a CPU limit by the clock rate of the
            machine that the node runs on; it and `cpu_limit` exclude each other.

    Raises:
        TopologyError: A value can't be read, or contradicts another one.
    """

    cpu_limit: float | None = attrs.field(default=None, converter=optional_cores)
    mem_limit: Bytes | None = attrs.field(default=None, converter=optional_bytes)
    cpu_reservation: float | None = attrs.field(default=None, converter=optional_cores)
    mem_reservation: Bytes | None = attrs.field(default=None, converter=optional_bytes)
    target_cpu_speed: Hertz | None = attrs.field(default=None, converter=optional_hertz)

    def __attrs_post_init__(self) -> None:
        if self.cpu_limit is not None and self.target_cpu_speed is not None:
            raise fail(
                self, "target_cpu_speed", "it and cpu_limit exclude each other", hint="keep one of the two"
            )
        if self.mem_limit is not None and self.mem_limit < 4 * 1024**2:
            raise fail(
                self,
                "mem_limit",
                f"{self.mem_limit} is too little for any process",
                hint='write "64M" or more',
            )
        for what in ("cpu", "mem"):
            limit, reservation = getattr(self, f"{what}_limit"), getattr(self, f"{what}_reservation")
            if limit is not None and reservation is not None and reservation > limit:
                raise fail(self, f"{what}_reservation", f"{reservation} is more than {what}_limit {limit}")


is_resources_or_none = kind_of(NodeResources, "NodeResources", optional=True)
"""A validator."""
