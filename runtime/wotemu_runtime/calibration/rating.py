"""The rating of one core of a machine, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class Rating:
    """What one thread of a machine does, by 7-zip's benchmark.

    Attributes:
        mips: 7-zip's MIPS for each second of CPU time.
        tool: What measured it: ``7-zip 26.02``, or ``lzma``, the bundled benchmark.
        error: By how much it may differ from what ``7z b`` says here: a share of `mips`.
        date: The day on which it was measured, as ISO 8601 has it.
        cpu_model: The machine's CPU.
    """

    mips: float
    tool: str
    error: float
    date: str
    cpu_model: str

    def to_dict(self) -> dict[str, Any]:
        """The rating as JSON has it."""
        return attrs.asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Rating:
        """Read one.

        Raises:
            KeyError, TypeError, ValueError: It is no rating.
        """
        rating = cls(
            mips=float(raw["mips"]),
            tool=str(raw["tool"]),
            error=float(raw["error"]),
            date=str(raw["date"]),
            cpu_model=str(raw["cpu_model"]),
        )
        if not 1 < rating.mips < 1e7:
            raise ValueError(f"{rating.mips} is no rating")
        return rating

    def __str__(self) -> str:
        return f"{self.mips:,.0f} MIPS by {self.tool}, {self.date}, ±{self.error * 100:.0f} %"
