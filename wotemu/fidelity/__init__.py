"""How a run is judged: the thresholds that a user may set, and the certificate of the verdict."""

from wotemu.fidelity.certificate import VERDICTS, Certificate, Reason, Verdict, worst
from wotemu.fidelity.evidence import Goodput
from wotemu.fidelity.thresholds import MEDIANS_SCATTER, Thresholds

__all__ = [
    "MEDIANS_SCATTER",
    "VERDICTS",
    "Certificate",
    "Goodput",
    "Reason",
    "Thresholds",
    "Verdict",
    "worst",
]
