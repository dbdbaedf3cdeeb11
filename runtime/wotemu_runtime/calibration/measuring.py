"""Measures this machine, or looks its rating up."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

from wotemu_runtime.calibration import bundled, seven_zip, store
from wotemu_runtime.calibration.rating import Rating


def measured(*, is_quick: bool = False) -> Rating:
    """Measure this machine with 7-zip where it is installed, else with the bundled benchmark.

    Args:
        is_quick: Take the bundled one in any case: three seconds instead of a minute.

    Raises:
        OSError: 7-zip is installed and does not work.
    """
    program = None if is_quick else seven_zip.find()
    if program is None:
        mips, tool, error = bundled.measure(), "lzma", bundled.ERROR
    else:
        mips, version = seven_zip.measure(program)
        tool, error = f"7-zip {version}", seven_zip.ERROR
    today = datetime.now(UTC).date().isoformat()
    return Rating(mips=mips, tool=tool, error=error, date=today, cpu_model=store.cpu_model())


def rating_of_this_machine() -> Rating:
    """The stored rating; where there is none, a quick one, which is stored, too."""
    found = store.load(store.cpu_model())
    if found is None:
        found = measured(is_quick=True)
        with contextlib.suppress(OSError):  # without a place for it, the next run measures again
            store.save(found)
    return found
