"""Keeps what a query says of a run, for the parts of a page that show it in different ways."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import TypeVar
from weakref import WeakKeyDictionary

from wotemu_report.recorded.run_data import RunData

Result = TypeVar("Result")


def once_a_run(query: Callable[[RunData], Result]) -> Callable[[RunData], Result]:
    """Make a query that keeps its result for as long as there is the run."""
    results: WeakKeyDictionary[RunData, Result] = WeakKeyDictionary()
    # Parts of a page are made at the same time: the second one that asks waits for the first one's result.
    making = RLock()

    def kept(run: RunData) -> Result:
        with making:
            if run not in results:
                results[run] = query(run)
            return results[run]

    kept.__doc__, kept.__name__ = query.__doc__, query.__name__
    return kept
