"""Names of runs that go on at the same time: each is found by its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import TWO_NODES, Invoke, Write
from wotemu.deployment_file import load
from wotemu.emulation.reported_run import ReportedRun
from wotemu.emulation.run_options import numbered
from wotemu.topology._fields import MAX_NAME
from wotemu_runtime.control.socket_path import listening_socket


@pytest.fixture(autouse=True)
def able_host(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wotemu.emulation.reported_run.check_host", lambda: None)


def test_a_name_that_is_given_is_refused_while_another_run_of_it_goes_on(
    invoke: Invoke, write: Write, folder: Path
) -> None:
    with listening_socket("field"):
        done = invoke("run", write(TWO_NODES), "--name", "field")
    assert done.exit_code == 2
    assert "a run 'field' of yours goes on" in done.stderr and "wotemu stop field" in done.stderr
    assert not (folder / "runs").exists()


def test_a_name_of_the_file_is_numbered_while_another_run_of_it_goes_on(write: Write) -> None:
    deployment = load(write(TWO_NODES))
    assert ReportedRun(deployment).name == "deployment"
    with listening_socket("deployment"), listening_socket("deployment-2"):
        assert ReportedRun(deployment).name == "deployment-3"
        assert ReportedRun(deployment, engine="swarm").name == "deployment"  # that is another machine's


def test_numbered_names_are_not_too_long() -> None:
    names = numbered("x" * MAX_NAME)
    assert [next(names), next(names)] == ["x" * MAX_NAME, "x" * (MAX_NAME - 2) + "-2"]
