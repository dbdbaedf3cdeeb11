"""Rates this machine once, for all emulations that come to it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from wotemu.errors import HostError
from wotemu_runtime.calibration import store
from wotemu_runtime.calibration.measuring import measured
from wotemu_runtime.roles.container_environment import QUICK_VARIABLE


def run(environ: Mapping[str, str]) -> None:
    """Measure, store the rating, and print it as one line of JSON.

    Raises:
        HostError: 7-zip does not work, or there is no place for the rating.
    """
    try:
        rating = measured(is_quick=bool(environ.get(QUICK_VARIABLE)))
        store.save(rating)
    except OSError as error:
        raise HostError(str(error), where="wotemu calibrate", hint="try --quick") from error
    print(json.dumps(rating.to_dict()), flush=True)
