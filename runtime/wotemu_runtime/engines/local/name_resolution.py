"""Gives nodes their own files of name resolution in /etc, whatever files the machine has there."""

from __future__ import annotations

from pathlib import Path

from wotemu_runtime.processes import syscalls

ETC = Path("/etc")
OTHER_ETC = Path("/run/etc")
"""The mount of the machine's /etc in nodes that have an /etc of their own."""
OWN_FILES = ("hosts", "hostname")
"""The files that each node has of its own."""
_NAME_DATABASES = ("passwd", "group", "shadow", "hosts", "networks", "services", "protocols")


def share_files(scratch: Path) -> None:
    """Mount the resolv.conf and nsswitch.conf of all nodes over the machine's, and have a place for the rest.

    To be called once, in the mount namespace that the nodes' will be copies of.

    Args:
        scratch: A directory for the files on a file system that only the sandbox sees.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    shared = {
        "resolv.conf": "# Names resolve through /etc/hosts: an emulated network has no other servers.\n",
        "nsswitch.conf": _nsswitch("files"),
    }
    names = (*shared, *OWN_FILES)
    if any(_target(name) is None for name in names):
        _replace_etc()
    for name in names:
        if _target(name) is None:
            (
                ETC / name
            ).touch()  # one that is there may belong to somebody whom this user namespace doesn't know
    for name, text in shared.items():
        _mount(name, text, scratch)


def name_node(replica: str, hosts: str, scratch: Path, *, name_server: str = "") -> None:
    """Mount a node's hosts and hostname over the machine's, after `share_files` in the sandbox.

    Args:
        replica: The host name.
        hosts: The text of its hosts file.
        scratch: A directory for the files; see `share_files`.
        name_server: The address of the server that is asked for names that are not in `hosts`; "" for none.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    files = dict(zip(OWN_FILES, (hosts, f"{replica}\n"), strict=True))
    if name_server:
        files["resolv.conf"] = f"nameserver {name_server}\n"
        files["nsswitch.conf"] = _nsswitch("files dns")
    for name, text in files.items():
        _mount(name, text, scratch)


def _nsswitch(hosts: str) -> str:
    """The text of nsswitch.conf, with the sources of host names."""
    sources = {**dict.fromkeys(_NAME_DATABASES, "files"), "hosts": hosts}
    return "".join(f"{database}: {each}\n" for database, each in sources.items())


def _mount(name: str, text: str, scratch: Path) -> None:
    (scratch / name).write_text(text)
    syscalls.mount(str(scratch / name), str(ETC / name), flags=syscalls.MS_BIND)  # follows links


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
