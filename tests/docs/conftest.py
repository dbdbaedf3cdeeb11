"""What tests of the documentation share."""

from __future__ import annotations

import pytest

from tests.conftest import Require
from wotemu.errors import HostError
from wotemu_runtime.engines.local.host_check import check_host


@pytest.fixture
def local_engine(require: Require) -> None:
    """This machine can run the local engine."""
    try:
        check_host()
    except HostError as error:
        require(False, f"the local engine can't run here: {error}")
