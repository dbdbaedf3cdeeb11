"""Gives a node its own files of name resolution in /etc, whatever files the machine has there."""

from __future__ import annotations

from pathlib import Path

from wotemu_runtime.processes import syscalls

ETC = Path("/etc")
OTHER_ETC = Path("/run/etc")
"""The mount of the machine's /etc in nodes that have an /etc of their own."""
_NAME_DATABASES = ("passwd", "group", "shadow", "hosts", "networks", "services", "protocols")


def resolve_names(replica: str, hosts: str, scratch: Path) -> None:
    """Mount the node's own hosts, resolv.conf, nsswitch.conf and hostname over the machine's.

    Args:
        replica: The host name.
        hosts: The text of its hosts file.
        scratch: A directory for the files on a file system that only the sandbox sees.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    files = {
        "hosts": hosts,
        "resolv.conf": "# Names resolve through /etc/hosts: an emulated network has no other servers.\n",
        "nsswitch.conf": "".join(f"{database}: files\n" for database in _NAME_DATABASES),
        "hostname": f"{replica}\n",
    }
    for name, text in files.items():
        (scratch / name).write_text(text)
    if any(_target(name) is None for name in files):
        _replace_etc()
    for name in files:
        target = _target(name)
        if target is None:
            target = ETC / name
            target.touch()  # one that is there may belong to somebody whom this user namespace doesn't know
        syscalls.mount(str(scratch / name), str(target), flags=syscalls.MS_BIND)


def _target(name: str) -> Path | None:
    """The file over which a node's can be mounted; None where /etc has none, or a dead link.

    A dead link into /run, where resolv.conf often points, gets a target: /run is the sandbox's own.
    """
    real = (ETC / name).resolve()
    if not real.exists() and real.is_relative_to("/run"):
        real.parent.mkdir(parents=True, exist_ok=True)
        real.touch()
    return real if real.exists() else None


def _replace_etc() -> None:
    """Mount a writable /etc over the machine's, with links to all of the machine's files.

    A bare machine lacks some of the files. This user may not create them there, nor should a run leave any.
    """
    OTHER_ETC.mkdir(exist_ok=True)
    syscalls.mount(str(ETC), str(OTHER_ETC), flags=syscalls.MS_BIND | syscalls.MS_REC)
    syscalls.mount("tmpfs", str(ETC), "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755")
    for entry in OTHER_ETC.iterdir():
        if entry.exists():
            (ETC / entry.name).symlink_to(entry)
