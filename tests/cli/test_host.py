"""A machine that can't run the local engine: what is wrong, what its owner can do, and nothing is left."""

from __future__ import annotations

import errno
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import TWO_NODES, Write, command_line
from wotemu.errors import HostError
from wotemu_runtime.engines.local import host_check


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
        ("net:0", 0, "this kernel refuses: network, mount and PID namespaces (No space left on device)"),
        ("net:2", 0, "(No space left on device)"),
        ("pid:0", 0, "this kernel refuses: network, mount and PID namespaces (No space left on device)"),
    ],
)
def test_a_kernel_without_namespaces_to_give_leaves_nothing(
    namespaces: None, write: Write, folder: Path, limits: str, user: int, refused: str
) -> None:
    """The limits hold in a user namespace of the test's own; an ordinary user needs one more within it."""
    kind, _, number = limits.partition(":")
    become = f"unshare --user --map-user={user} --map-group={user} " if user else ""
    command = shlex.join(command_line("run", write(TWO_NODES)))
    script = f"echo {number} > /proc/sys/user/max_{kind}_namespaces; exec {become}{command}"
    done = subprocess.run(["unshare", "-Ur", "sh", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert refused in done.stderr and "hint:" in done.stderr
    assert done.stderr.count("\n") == 3
    assert [path.name for path in folder.iterdir() if path.name != "__pycache__"] == ["deployment.py"]
