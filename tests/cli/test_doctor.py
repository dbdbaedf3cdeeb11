"""``wotemu doctor``: on a machine that lacks everything or something, and on this one."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke, command_line
from wotemu_runtime.doctor.check import Check

FINE = Check(name="kernel", purpose="runs nodes", state="OK", found="Linux 6.1", is_required=True)
LESS = Check(name="NetEm", purpose="conditions", state="limited", found="none", remedy="modprobe it")
GONE = Check(
    name="TUN device", purpose="links", state="missing", found="not there", remedy="make it", is_required=True
)


@pytest.mark.parametrize(
    ("checks", "code", "said"),
    [
        ([FINE, LESS], 0, "The local engine can run here."),
        ([FINE, LESS, GONE], 2, "The local engine can't run here; it needs: TUN device."),
    ],
)
def test_the_exit_code_says_whether_the_local_engine_can_run(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, checks: list[Check], code: int, said: str
) -> None:
    async def examine() -> list[Check]:
        return checks

    monkeypatch.setattr("wotemu_runtime.doctor.examination.examine", examine)
    shown = invoke("doctor")
    assert shown.exit_code == code
    assert said in shown.output
    for check in checks:
        assert check.name in shown.output and check.state in shown.output and check.remedy in shown.output
    as_json = invoke("doctor", "--json")
    assert as_json.exit_code == code
    assert json.loads(as_json.output) == {
        "can_run_locally": code == 0,
        "checks": [check.to_dict() for check in checks],
    }


@pytest.mark.namespaces
def test_this_machine_can_run_it_and_nothing_is_left(namespaces: None, folder: Path) -> None:
    done = subprocess.run(command_line("doctor", "--json"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    states = {check["name"]: check["state"] for check in json.loads(done.stdout)["checks"]}
    assert states["kernel"] == states["TUN device"] == states["namespaces"] == states["event bus"] == "OK"
    assert not [*folder.iterdir()]
    groups = Path("/sys/fs/cgroup")
    assert not [*groups.glob("**/wotemu-doctor-*")]


@pytest.mark.namespaces
def test_where_namespaces_are_forbidden_it_says_so(namespaces: None) -> None:
    script = 'echo 0 > /proc/sys/user/max_net_namespaces; exec "$@"'
    command = ["unshare", "-Ur", "sh", "-c", script, "-", *command_line("doctor", "--json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ})
    assert done.returncode == 2, done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["namespaces"]["state"] == "missing"
    assert "user.max_net_namespaces" in checks["namespaces"]["remedy"]
