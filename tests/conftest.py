"""What tests of every part share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import hypothesis
import pytest

import wotemu.scenario.change_text  # noqa: F401  # roles load it as they run, where pytest would rewrite it

# A property's example has no deadline: on a busy machine that would fail by the clock on the wall.
hypothesis.settings.register_profile("wotemu", deadline=None)
hypothesis.settings.load_profile("wotemu")

pytest_plugins = ["tests.workers", "tests.in_namespace", "tests.conformance.findings"]

Require = Callable[[bool, str], None]


@pytest.fixture(scope="session", autouse=True)
def own_control_sockets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runs of other workers and of the user have no part in the names of this worker's runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        yield


@pytest.fixture(scope="session")
def require() -> Require:
    """Skip a test whose needs this machine doesn't meet; in CI that is a failure."""

    def needs(condition: bool, reason: str) -> None:
        if condition:
            return
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(f"CI has to run this test, but {reason}")
        pytest.skip(reason)

    return needs
