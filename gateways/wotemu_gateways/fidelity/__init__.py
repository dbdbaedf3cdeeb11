"""Did the emulation do what its scenario says? From what was recorded to a certificate. Pure."""

from wotemu_gateways.fidelity.certificate import VERDICTS, Certificate, Reason, Verdict
from wotemu_gateways.fidelity.evidence import (
    ChangeEvidence,
    Delays,
    Evidence,
    HopEvidence,
    HostEvidence,
    Losses,
    LossEvidence,
    RoleChanges,
    StallEvidence,
)
from wotemu_gateways.fidelity.goodput import Goodput
from wotemu_gateways.fidelity.history import Place
from wotemu_gateways.fidelity.judge import judge
from wotemu_gateways.fidelity.thresholds import Thresholds
from wotemu_gateways.fidelity.witness import Witness

__all__ = [
    "VERDICTS",
    "Certificate",
    "ChangeEvidence",
    "Delays",
    "Evidence",
    "Goodput",
    "HopEvidence",
    "HostEvidence",
    "LossEvidence",
    "Losses",
    "Place",
    "Reason",
    "RoleChanges",
    "StallEvidence",
    "Thresholds",
    "Verdict",
    "Witness",
    "judge",
]
