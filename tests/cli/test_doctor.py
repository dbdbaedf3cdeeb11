"""``wotemu doctor``: on a machine that lacks everything or something, and on this one."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import attrs
import pytest

from tests.cli.conftest import Invoke, command_line
from wotemu.cli.screen.tables import wrapped
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


@pytest.mark.parametrize("width", [80, 120])
def test_no_word_is_cut_that_fits_into_a_line(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    text = "room for sixteen thousand idle nodes: user.max_mnt_namespaces is 96365"
    checks = [FINE, attrs.evolve(LESS, found=text, purpose="imposes conditions")]

    async def examine() -> list[Check]:
        return checks

    monkeypatch.setattr("wotemu_runtime.doctor.examination.examine", examine)
    monkeypatch.setattr("wotemu.cli.screen.tables.PIPE_WIDTH", width)
    lines = invoke("doctor").output.splitlines()
    assert max(map(len, lines)) <= width
    shown = " ".join(lines).split()
    assert {*text.split(), "imposes", "conditions"} <= {*shown}
    assert ("runs" in shown) is (width == 120)  # what is OK says its purpose only where there is room


def test_words_longer_than_a_line_break_after_a_separator() -> None:
    text = "see /usr/lib/python3.11/site-packages now"
    assert wrapped(text, 16) == "see /usr/lib/\npython3.11/site-\npackages now"
    assert wrapped("", 10) == "" and wrapped("a  b", 10) == "a b"
