"""What the certificate's evidence says of a hop's delays and losses."""

from __future__ import annotations

import math

from wotemu.fidelity.evidence import Delays, Losses


def chance_s(delays: Delays) -> float:
    """How far jitter and the clocks alone may move the error of the compared probes, in seconds."""
    return delays.scatter_s + delays.clocks_s


def unexplained_s(delays: Delays) -> float:
    """The part of the compared probes' error that is beyond chance, in seconds."""
    beyond = abs(delays.error_s) - chance_s(delays)
    return math.copysign(beyond, delays.error_s) if beyond > 0 else 0.0


def loss_share(losses: Losses | None) -> float | None:
    """The share of the judged probes that was lost; None where there were none."""
    return losses.lost / losses.probes if losses and losses.probes else None
