"""How far a run may differ from its scenario before it is SUSPECT, and before it is INVALID."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from wotemu.errors import InputError
from wotemu.units import Fraction, Seconds


def _seconds(value: Any) -> Seconds | None:
    return None if _is_none(value) else Seconds.offset(value)


def _share(value: Any) -> Fraction | None:
    return None if _is_none(value) else Fraction.of(value)


def _is_none(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() == "none")


MEDIANS_SCATTER = 1.75 * 4.42
"""How many standard errors of the mean a median may be off in all but one of 100,000 cases: a run compares
thousands of them. The standard error of the uniform distribution's median is 1.73 times its mean's; of all
distributions that jitter has it is the largest (normal: 1.25)."""


@attrs.frozen(kw_only=True)
class Thresholds:
    """Each measure's two limits: beyond the one the run is SUSPECT, beyond the other INVALID. None: never.

    Times are durations such as ``"5ms"`` (seconds once parsed), all others shares such as ``"5%"``.

    - `change_late`: 95 % of the changes took hold within so long after they were due. 5 ms is what MockFog 2
      (Hasenburg et al., 2021) allows, and what a change costs here on an idle machine many times over.
    - `limit_late`: 95 % of the changes of nodes' limits did; they are no part of `change_late`. Docker, which
      makes them on a swarm, takes 10 to 40 ms, and a share of a processor is of periods of 10 ms or more.
    - `departure_late`: 95 % of a hop's packets left within so long after they were due.
    - `stall`: the longest time for which a role that moves packets did not run although it had to.
    - `probe_delay`: how far a hop's probes may be off the expected delay in the median; the larger of this
      time and of `probe_delay_share` of the expected delay counts. Jitter's chance and the clocks' errors
      are allowed for beyond that.
    - `probe_loss`: how improbable the probes' loss may be under the loss expected: the share of flawless runs
      that miss it by chance.
    - `rate_excess`: by how much a hop may have sent more than its rate in its worst second.
    - `goodput_short`: by how much a hop may have sent less than its rate while packets waited for it.
    - `frames_dropped`: the share of frames that a kernel dropped before a gateway took them, or a gateway
      for want of memory.
    - `gateway_cpu`: the share of one core that a gateway's process used while it moved packets, in its
      busiest 5 seconds. At a whole core packets wait for the process, whatever the conditions say.
    - `cpu` and `steal`: shares of the machine's time: in use, and taken by its hypervisor.
    - `clock`: by how much a machine's time may have differed from the bus's, as far as it is known.
    - `records_lost`: the share of records that never came, but for lines of logs.
    """

    change_late_suspect: Seconds | None = attrs.field(default=Seconds(0.005), converter=_seconds)
    change_late_invalid: Seconds | None = attrs.field(default=Seconds(0.05), converter=_seconds)
    limit_late_suspect: Seconds | None = attrs.field(default=Seconds(0.25), converter=_seconds)
    limit_late_invalid: Seconds | None = attrs.field(default=Seconds(2.5), converter=_seconds)
    departure_late_suspect: Seconds | None = attrs.field(default=Seconds(0.002), converter=_seconds)
    departure_late_invalid: Seconds | None = attrs.field(default=Seconds(0.02), converter=_seconds)
    stall_suspect: Seconds | None = attrs.field(default=Seconds(0.05), converter=_seconds)
    stall_invalid: Seconds | None = attrs.field(default=Seconds(0.25), converter=_seconds)
    probe_delay_suspect: Seconds | None = attrs.field(default=Seconds(0.003), converter=_seconds)
    probe_delay_invalid: Seconds | None = attrs.field(default=Seconds(0.02), converter=_seconds)
    probe_delay_share_suspect: Fraction | None = attrs.field(default=Fraction(0.1), converter=_share)
    probe_delay_share_invalid: Fraction | None = attrs.field(default=Fraction(0.5), converter=_share)
    probe_loss_suspect: Fraction | None = attrs.field(default=Fraction(0.001), converter=_share)
    probe_loss_invalid: Fraction | None = attrs.field(default=Fraction(1e-06), converter=_share)
    rate_excess_suspect: Fraction | None = attrs.field(default=Fraction(0.05), converter=_share)
    rate_excess_invalid: Fraction | None = attrs.field(default=Fraction(0.25), converter=_share)
    goodput_short_suspect: Fraction | None = attrs.field(default=Fraction(0.05), converter=_share)
    goodput_short_invalid: Fraction | None = attrs.field(default=Fraction(0.25), converter=_share)
    frames_dropped_suspect: Fraction | None = attrs.field(default=Fraction(0), converter=_share)
    frames_dropped_invalid: Fraction | None = attrs.field(default=Fraction(0.001), converter=_share)
    gateway_cpu_suspect: Fraction | None = attrs.field(default=Fraction(0.9), converter=_share)
    gateway_cpu_invalid: Fraction | None = attrs.field(default=None, converter=_share)
    cpu_suspect: Fraction | None = attrs.field(default=Fraction(0.9), converter=_share)
    cpu_invalid: Fraction | None = attrs.field(default=None, converter=_share)
    steal_suspect: Fraction | None = attrs.field(default=Fraction(0.05), converter=_share)
    steal_invalid: Fraction | None = attrs.field(default=Fraction(0.2), converter=_share)
    clock_suspect: Seconds | None = attrs.field(default=Seconds(0.005), converter=_seconds)
    clock_invalid: Seconds | None = attrs.field(default=Seconds(0.05), converter=_seconds)
    records_lost_suspect: Fraction | None = attrs.field(default=Fraction(0), converter=_share)
    records_lost_invalid: Fraction | None = attrs.field(default=Fraction(0.1), converter=_share)

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Thresholds:
        """Thresholds by name from what people write; `InputError` says which one is wrong."""
        known = [field.name for field in attrs.fields(cls)]
        for name, value in values.items():
            if name not in known:
                raise InputError(
                    "there is no such threshold",
                    where=f"threshold {name!r}",
                    hint=f"known are {', '.join(known)}",
                )
            try:
                cls(**{name: value})
            except (ValueError, TypeError) as error:
                raise InputError(str(error), where=f"threshold {name!r}") from error
        return cls(**values)

    def to_dict(self) -> dict[str, float | None]:
        """As JSON holds them: seconds and shares."""
        return {
            name: None if value is None else float(value)
            for name, value in ((field.name, getattr(self, field.name)) for field in attrs.fields(type(self)))
        }
