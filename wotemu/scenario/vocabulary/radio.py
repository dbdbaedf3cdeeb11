"""What a radio link does at a distance: the log-distance model of path loss, turned into conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.vocabulary.actions import number
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.topology._fields import Checked
from wotemu.units import Fraction, Rate, Seconds

THERMAL_NOISE_DBM_HZ = -174.0
"""kT at 290 K, in a bandwidth of 1 Hz."""


def _within(least: float, most: float) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """A validator of numbers from the least to the most."""

    def check(_instance: PathLoss, attribute: attrs.Attribute[Any], value: Any) -> None:
        number(value, attribute.name, source_location("PathLoss"), least=least, most=most)

    return check


def _count(_instance: PathLoss, attribute: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 255:
        raise ScenarioError(
            f"{attribute.name}={value!r} is no number of tries from 0 to 255",
            where=source_location("PathLoss"),
        )


@attrs.frozen(kw_only=True)
class PathLoss(Checked):
    """Distance to signal, and signal to rate, loss and delay. The defaults are those of 2.4 GHz WiFi.

    Signal: the log-distance model, PL(d) = PL(d0) + 10 n log10(d / d0) + X (Rappaport, *Wireless
    Communications*, 2nd ed., 4.9): `exponent` n is 3 (2.7 to 3.5 in cities, 2 in free space, up to 6 with
    obstacles), `reference_db` PL(d0) is 40 dB (free space at d0 = 1 m and 2.4 GHz), `shadowing_db` is the
    deviation of X (0: none). `power_dbm` sent is 20 (100 mW EIRP, ETSI EN 300 328).

    Noise: thermal over `bandwidth_hz` (20 MHz) plus a receiver's `noise_figure_db` of 7.

    Rate: `efficiency` (half, for headers, contention and imperfect coding) of Shannon's capacity, at most
    `max_rate_bps` (54 Mbit/s, as 802.11g) and at least a hundredth of it.

    Loss of one try: a logistic curve, half at `snr_half_db` (5 dB, where the slowest coding still works),
    1 dB steep. A link tries `retries` times more (7, the usual limit of 802.11), each after `retry_s`
    (2 ms): what is lost is what all tries lose, and the delay is the mean number of further tries.
    """

    ERROR = ScenarioError

    exponent: float = attrs.field(default=3.0, validator=_within(0.1, 20))
    reference_db: float = attrs.field(default=40.0, validator=_within(-200, 300))
    shadowing_db: float = attrs.field(default=0.0, validator=_within(0, 100))
    power_dbm: float = attrs.field(default=20.0, validator=_within(-200, 200))
    bandwidth_hz: float = attrs.field(default=20e6, validator=_within(1, 1e12))
    noise_figure_db: float = attrs.field(default=7.0, validator=_within(0, 200))
    efficiency: float = attrs.field(default=0.5, validator=_within(1e-6, 1))
    max_rate_bps: float = attrs.field(default=54e6, validator=_within(1000, 1e12))
    snr_half_db: float = attrs.field(default=5.0, validator=_within(-200, 200))
    retries: int = attrs.field(default=7, validator=_count)
    retry_s: float = attrs.field(default=2e-3, validator=_within(1e-6, 60))

    @property
    def noise_dbm(self) -> float:
        """The noise that a receiver hears."""
        return THERMAL_NOISE_DBM_HZ + 10 * math.log10(self.bandwidth_hz) + self.noise_figure_db

    def signal_dbm(self, distance_m: float, rng: Random | None = None) -> float:
        """What is received at a distance; nearer than 1 m counts as 1 m."""
        loss_db = self.reference_db + 10 * self.exponent * math.log10(max(distance_m, 1.0))
        shadow_db = rng.gauss(0, self.shadowing_db) if rng is not None and self.shadowing_db else 0.0
        return self.power_dbm - loss_db - shadow_db

    def conditions(self, signal_dbm: float) -> dict[str, Any]:
        """The rate, loss and latency of a link with this signal."""
        snr_db = signal_dbm - self.noise_dbm
        capacity_bps = self.efficiency * self.bandwidth_hz * math.log2(1 + 10 ** (snr_db / 10))
        fails = 1 / (1 + math.exp(max(-60.0, min(60.0, snr_db - self.snr_half_db))))
        tries = self.retries + 1
        again = sum(fails**number for number in range(1, tries))
        return {
            "rate": Rate(round(max(self.max_rate_bps / 100, min(capacity_bps, self.max_rate_bps)))),
            "loss": Fraction(round(fails**tries, 6)),
            "latency": Seconds(round(again * self.retry_s, 6)),
        }
