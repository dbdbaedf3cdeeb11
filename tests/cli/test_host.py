"""A machine that can't run the local engine: what is wrong, what its owner can do, and nothing is left."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import TWO_NODES, Write, command_line
from tests.conftest import Require
from wotemu.errors import HostError
from wotemu_runtime.engines.local import host_check
from wotemu_runtime.engines.local.cgroups import own_groups


@pytest.mark.parametrize(
    ("step", "number", "message", "hint"),
    [
        ("user namespace", errno.ENOSPC, "No space left", "user.max_user_namespaces"),
        ("user namespace", errno.EPERM, "Operation not permitted", "kernel.unprivileged_userns_clone=1"),
        ("user namespace", errno.EACCES, "Permission denied", "apparmor_restrict_unprivileged_userns=0"),
        ("network, mount and PID namespaces", errno.EPERM, "not permitted", "run as root"),
        ("network, mount and PID namespaces", errno.ENOSPC, "No space left", "user.max_net_namespaces"),
        ("[Errno 1] mount proc on /proc", errno.EPERM, "not permitted", "--privileged"),
        ("something new", 0, "something new (refused)", "run as root"),
    ],
)
def test_what_a_kernel_refuses_has_a_remedy(step: str, number: int, message: str, hint: str) -> None:
    refused = host_check.refusal(step, number)
    assert refused.exit_code == 2
    assert step in refused.message and message in refused.message
    assert hint in str(refused.hint)


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file"), "it is not there", "modprobe tun"),
        (PermissionError(errno.EACCES, "Permission denied"), "this user may not open it", "chmod 666"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system", None),
    ],
)
def test_a_tun_device_that_can_not_be_opened_has_a_remedy(
    monkeypatch: pytest.MonkeyPatch, error: OSError, message: str, hint: str | None
) -> None:
    def refuse(*_: object) -> int:
        raise error

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(HostError, match=message) as raised:
        host_check.check_host()
    assert raised.value.where == "/dev/net/tun"
    assert hint is None or hint in str(raised.value.hint)


def test_a_tun_device_that_is_none_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's build step, or a careless mkdir, leaves one that can be opened."""
    monkeypatch.setattr(host_check, "TUN_DEVICE", "/dev/null")
    with pytest.raises(HostError, match="it is no TUN device") as raised:
        host_check.check_host()
    assert "c 10 200" in str(raised.value.hint)


def test_on_another_system_the_message_says_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(HostError, match="needs Linux"):
        host_check.check_host()


@pytest.mark.namespaces
@pytest.mark.parametrize(
    ("limits", "user", "refused"),
    [
        ("user:1", 1000, "this kernel refuses: user namespace (No space left on device)"),
        ("net:0", 1000, "this kernel refuses: network, mount and PID namespaces (No space left on device)"),
        ("net:2", 1000, "(No space left on device)"),
        ("net:2", 0, "2 nodes need at least 4 net namespaces, but user.max_net_namespaces is 2"),
        ("pid:0", 0, "2 nodes need at least 3 pid namespaces, but user.max_pid_namespaces is 0"),
    ],
)
def test_a_kernel_without_namespaces_to_give_leaves_nothing(
    namespaces: None, write: Write, folder: Path, limits: str, user: int, refused: str
) -> None:
    """The limits hold in a user namespace of the test's own.

    An ordinary user needs one more within it, which does not show the outer one's limits: what can't be known
    before the start is refused by the kernel.
    """
    kind, _, number = limits.partition(":")
    become = f"unshare --user --map-user={user} --map-group={user} " if user else ""
    command = shlex.join(command_line("run", write(TWO_NODES)))
    script = f"echo {number} > /proc/sys/user/max_{kind}_namespaces; exec {become}{command}"
    done = subprocess.run(["unshare", "-Ur", "sh", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert refused in done.stderr and "hint:" in done.stderr
    assert done.stderr.count("\n") == 3
    assert [path.name for path in folder.iterdir() if path.name != "__pycache__"] == ["deployment.py"]


MANY_NODES = """
def topology():
    return Topology([Node("idle", command=["sleep", "100"], networks=[net], scale=40)])
"""


def check_refused(done: subprocess.CompletedProcess[str], folder: Path, *texts: str) -> None:
    """The command ended with one error of three lines that has the texts, and left nothing."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for text in texts:
        assert text in done.stderr
    assert done.stderr.count("\n") == 3
    assert [path.name for path in folder.iterdir() if path.name != "__pycache__"] == ["deployment.py"]


@pytest.mark.namespaces
def test_more_nodes_than_open_files_are_refused(namespaces: None, write: Write, folder: Path) -> None:
    command = ["prlimit", "--nofile=200", *command_line("run", write(MANY_NODES))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    check_refused(
        done, folder, "40 nodes need at least", "RLIMIT_NOFILE (ulimit -Hn) is 200", "ulimit -n", "at most 14"
    )


@pytest.mark.namespaces
def test_more_nodes_than_a_users_processes_are_refused(
    namespaces: None, require: Require, write: Write, folder: Path
) -> None:
    """Root is exempt, so it becomes an ordinary user that may read and write all files."""
    command = ["prlimit", "--nproc=60", *command_line("run", write(MANY_NODES))]
    if os.geteuid() == 0:
        user = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]
        files = "+dac_override"  # this Python may be in a private folder, and the TUN device root's
        user += [f"--inh-caps=-all,{files}", f"--ambient-caps={files}"]
        tried = subprocess.run([*user, sys.executable, "-c", "import wotemu"], capture_output=True, cwd="/")
        require(tried.returncode == 0, "another user can't run this Python")
        command = [*user, *command]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(folder)}
    )
    check_refused(done, folder, "processes and threads, but RLIMIT_NPROC (ulimit -u) is 60", "ulimit -u")


@pytest.fixture
def pids_group(require: Require) -> Iterator[Path]:
    """A control group below this process's that takes 60 tasks."""
    parent = next(own_groups.directories("pids"), Path("/sys/fs/cgroup/pids"))
    group = parent / f"wotemu-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "pids.max").write_text("60")
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        require(False, f"no control group with the pids controller can be made: {error}")
    yield group
    group.rmdir()


@pytest.mark.namespaces
def test_more_nodes_than_a_control_groups_processes_are_refused(
    namespaces: None, pids_group: Path, write: Write, folder: Path
) -> None:
    script = f"echo 0 > {pids_group}/cgroup.procs; exec " + shlex.join(command_line("run", write(MANY_NODES)))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60)
    check_refused(done, folder, "40 nodes need at least 91 processes", f"{pids_group}/pids.max is 60")


@pytest.mark.namespaces
def test_a_limit_that_is_reached_when_apps_start_is_one_clear_error(
    namespaces: None, pids_group: Path, write: Write
) -> None:
    """The first processes of the nodes have room, those of their apps have not; what began is recorded."""
    done = run_unseen(pids_group, 60, write(MANY_NODES))
    assert done.returncode == 2, done.stderr
    assert "another process for agent:idle" in done.stderr and "pids.max" in done.stderr
    assert done.stderr.count("Error:") == 1 and "Traceback" not in done.stderr
    assert not (pids_group / "cgroup.procs").read_text()


@pytest.mark.namespaces
def test_a_control_groups_limit_that_is_not_seen_before_leaves_nothing(
    namespaces: None, pids_group: Path, write: Write, folder: Path
) -> None:
    """Not even the first processes of the nodes have room."""
    done = run_unseen(pids_group, 30, write(MANY_NODES))
    check_refused(
        done, folder, "Resource temporarily unavailable", "no room for so many processes", "pids.max"
    )
    assert not (pids_group / "cgroup.procs").read_text()


def run_unseen(group: Path, limit: int, deployment: Path) -> subprocess.CompletedProcess[str]:
    """Run a deployment in a control group that it can't look at, as in many containers."""
    command = shlex.join(command_line("run", deployment))
    hidden = f"mount -t tmpfs none /sys/fs/cgroup; exec {command}"
    (group / "pids.max").write_text(str(limit))
    join = f"echo 0 > {group}/cgroup.procs"
    script = f"{join}; exec unshare -Urm sh -c {shlex.quote(hidden)}"
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=120)
