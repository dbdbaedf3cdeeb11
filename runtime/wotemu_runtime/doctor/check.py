"""The outcome of one check, as a value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import attrs

from wotemu.errors import WotemuError

State = Literal["OK", "limited", "missing"]


@attrs.frozen(kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What it is.
        purpose: What WoTemu needs it for.
        state: ``OK``; ``limited`` where WoTemu can do without or with less; ``missing``.
        found: What there is.
        remedy: What to do; "" where nothing is to be done.
        is_required: Whether the local engine can't run where it is missing.
    """

    name: str
    purpose: str
    state: State
    found: str
    remedy: str = ""
    is_required: bool = False

    @property
    def blocks(self) -> bool:
        """Whether the local engine can't run because of it."""
        return self.is_required and self.state == "missing"

    def to_dict(self) -> dict[str, Any]:
        """The check as JSON has it."""
        return attrs.asdict(self)


def missing(name: str, purpose: str, error: WotemuError, *, is_required: bool = False) -> Check:
    """The check of something that an error says is missing."""
    return Check(
        name=name,
        purpose=purpose,
        state="missing",
        found=error.message if error.where in (None, name, "local engine") else str(error),
        remedy=error.hint or "",
        is_required=is_required,
    )


def can_run_locally(checks: Iterable[Check]) -> bool:
    """Whether the local engine can run."""
    return not any(check.blocks for check in checks)
