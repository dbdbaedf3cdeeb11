"""The evidence for and against a run's fidelity, as values for `judge`."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class Goodput:
    """How much a rate served while packets waited for it all the time: for `waited_s` seconds altogether.

    `short` is the share of what the rate allows that is missing, in the stretch in which most is.
    """

    waited_s: float
    short: float


@attrs.frozen(kw_only=True)
class Delays:
    """Probes of one hop of which like delays were expected, in seconds: those that are furthest off.

    `expected_s` is the median of what was expected of them, `error_s` the median of how much longer each took
    (below zero: less long), and `measured_s` the two together. `scatter_s` is how far the median of so many
    errors strays by the jitter alone, in all but one of 100,000 cases, and `clocks_s` how far the clocks of
    the agents that measured may be apart.
    """

    probes: int
    expected_s: float
    measured_s: float
    error_s: float
    scatter_s: float = 0.0
    clocks_s: float = 0.0


@attrs.frozen(kw_only=True)
class Losses:
    """Probes of one hop that could be lost only by the loss that is imposed.

    `expected` is that loss's share; `memory` the correlation of a probe's fate with the next one's (0 to 1).
    """

    probes: int
    lost: int
    expected: float
    memory: float = 0.0


@attrs.frozen(kw_only=True)
class HopEvidence:
    """One hop of one replica, or a shared network's rate (its `node` is "", its `direction` ``shared``).

    `early` probes came sooner than anything can under the conditions, `leaked` ones came although they were
    cut off: both count at the sender's `up`. `unjudged` counts the probes of which nothing certain can be
    expected, by the state that says why (see `wotemu.records.Probe`). 95 % of the packets left at most
    `late_p95_s` after they were due. `rate_excess` is the share by which it sent more than its rate in its
    worst second (None: no rate), `goodput` what it served while packets waited (None: none did, or nobody
    knows).
    """

    network: str
    node: str
    direction: str
    probes: int = 0
    delays: Delays | None = None
    losses: Losses | None = None
    early: int = 0
    leaked: int = 0
    unjudged: Mapping[str, int] = attrs.field(factory=dict)
    late_p95_s: float | None = None
    late_max_s: float | None = None
    rate_excess: float | None = None
    goodput: Goodput | None = None
    packets: int = 0
    dropped: int = 0
    backlog_max: int = 0

    @property
    def where(self) -> str:
        """For people: ``reader@field up``."""
        return (
            f"{self.node}@{self.network} {self.direction}" if self.node else f"{self.network}'s shared rate"
        )

    @property
    def gateway(self) -> str:
        """The role that imposes its conditions."""
        return f"gateway:{self.network}"


@attrs.frozen(kw_only=True)
class RoleChanges:
    """One role's changes: `missing` ones were never answered."""

    role: str
    failed: int = 0
    missing: int = 0
    late_p95_s: float | None = None


@attrs.frozen(kw_only=True)
class ChangeEvidence:
    """When the changes took hold, those of all roles together and by role.

    Changes of nodes' limits are measured apart, as `limits_late_p95_s`: Docker makes them on a swarm.
    `refused_by_hand` are those that somebody made while the run went on and that could not be applied: the
    run is judged by what held without them.
    """

    planned: int = 0
    late_p50_s: float | None = None
    late_p95_s: float | None = None
    late_max_s: float | None = None
    limits_late_p95_s: float | None = None
    roles: tuple[RoleChanges, ...] = ()
    refused_by_hand: int = 0

    @property
    def failed(self) -> int:
        """How many failed."""
        return sum(role.failed for role in self.roles)

    @property
    def missing(self) -> int:
        """How many were never answered."""
        return sum(role.missing for role in self.roles)


@attrs.frozen
class StallEvidence:
    """How often and how long at most a role did not run."""

    source: str
    count: int
    longest_s: float


@attrs.frozen
class HostEvidence:
    """A machine's mean load during the run, as shares of its time, and its clock (seconds).

    `clock_offset_s` is the median of what was to be added to its clock; `clock_error_s` is by how much that
    was uncertain at worst.
    """

    host: str
    cpu: float
    steal: float
    clock_offset_s: float | None = None
    clock_error_s: float | None = None


@attrs.frozen(kw_only=True)
class GatewayEvidence:
    """A gateway's busiest window: from `since_s` after T0, `lasted_s` long.

    `cpu` is the share of one core that its process used meanwhile, `packets_per_s` what it carried.
    """

    role: str
    since_s: float
    lasted_s: float
    cpu: float
    packets_per_s: float


@attrs.frozen
class LossEvidence:
    """What one role lost."""

    source: str
    what: str
    count: int


@attrs.frozen
class FaultEvidence:
    """A fault that did not have its effect: whose it was, and what was seen instead, in words."""

    source: str
    text: str


@attrs.frozen(kw_only=True)
class Evidence:
    """All of one run, from T0 to its end.

    `records` counts the records that came, but for lines of logs: what is lost of those, `log_lines_lost`,
    is no measurement. `probes_missing` names networks whose members should have probed each other and did
    not at all. `gateways` has those whose processes move packets.
    """

    changes: ChangeEvidence = ChangeEvidence()
    hops: tuple[HopEvidence, ...] = ()
    stalls: tuple[StallEvidence, ...] = ()
    hosts: tuple[HostEvidence, ...] = ()
    gateways: tuple[GatewayEvidence, ...] = ()
    frames_dropped: tuple[LossEvidence, ...] = ()
    records_lost: tuple[LossEvidence, ...] = ()
    log_lines_lost: tuple[LossEvidence, ...] = ()
    records: int = 0
    probes_missing: tuple[str, ...] = ()
    faults_without_effect: tuple[FaultEvidence, ...] = ()
