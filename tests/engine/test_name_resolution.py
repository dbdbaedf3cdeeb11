"""A node's own name resolution, on machines that have the usual files, few of them, or links to nowhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("namespaces")]

BARE = """
import os, pathlib, sys
from wotemu_gateways.netlink import namespaces
from wotemu_runtime.engines.local.name_resolution import name_node, share_files
from wotemu_runtime.processes import syscalls
syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
syscalls.mount("tmpfs", "/run", "tmpfs")
os.mkdir("/run/all")
syscalls.mount("/etc", "/run/all", flags=syscalls.MS_BIND | syscalls.MS_REC)
syscalls.mount("tmpfs", "/etc", "tmpfs")
for entry in os.listdir("/run/all"):
    if entry not in {"hosts", "hostname", "nsswitch.conf", "resolv.conf"}:
        os.symlink(f"/run/all/{entry}", f"/etc/{entry}")
exec(sys.argv[1])
before = sorted(os.listdir("/etc"))
if os.fork() == 0:
    namespaces.unshare(namespaces.CLONE_NEWNS)
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
    hosts = "127.0.0.1 localhost\\n10.64.0.9 peer\\n"
    share_files(pathlib.Path("/run/scratch"))
    name_node("a", hosts, pathlib.Path("/run/scratch/a"))
    import pwd, socket
    print(socket.gethostbyname("peer"), open("/etc/hostname").read().strip(), pwd.getpwuid(0).pw_name)
    print(os.path.exists("/etc/resolv.conf"), open("/etc/nsswitch.conf").read().count("files") > 3)
    sys.stdout.flush()
    os._exit(0)
os.wait()
print(before == sorted(os.listdir("/etc")))
"""


@pytest.mark.parametrize(
    "machine",
    [
        "open('/etc/hosts', 'w'); open('/etc/hostname', 'w'); open('/etc/resolv.conf', 'w');"
        "open('/etc/nsswitch.conf', 'w')",
        "pass",
        "open('/etc/nsswitch.conf', 'w'); os.symlink('/run/resolver/stub.conf', '/etc/resolv.conf')",
        "os.symlink('/nowhere/hosts', '/etc/hosts')",
    ],
    ids=["usual", "bare", "resolver's link", "dead link"],
)
def test_names_resolve_whatever_files_the_machine_has_and_none_is_made_on_it(machine: str) -> None:
    script = [sys.executable, "-c", BARE, machine]
    ran = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", *script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.splitlines() == ["10.64.0.9 a root", "True True", "True"], ran.stderr
