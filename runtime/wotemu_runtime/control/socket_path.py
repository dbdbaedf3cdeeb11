"""Where the control sockets of this user's runs lie, and which of them answer.

``$XDG_RUNTIME_DIR/wotemu/NAME.sock``, or below ``/tmp/wotemu-UID`` without XDG_RUNTIME_DIR. The folder
belongs to the user alone (0700), and so does each socket (0600).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wotemu.errors import HostError

SUFFIX = ".sock"


def control_folder() -> Path:
    """The folder of the sockets; it may not exist yet."""
    own = os.environ.get("XDG_RUNTIME_DIR")
    if own and Path(own).is_dir():
        return Path(own) / "wotemu"
    return Path(tempfile.gettempdir()) / f"wotemu-{os.getuid()}"


def control_names() -> list[str]:
    """The names of the runs of this user whose process answers, in order."""
    folder = control_folder()
    found = folder.glob(f"*{SUFFIX}") if _is_own(folder) else ()
    return sorted(path.stem for path in found if _answers(path))


@contextmanager
def listening_socket(name: str) -> Iterator[tuple[str, socket.socket]]:
    """Listen on the socket of a run; it is removed after the block.

    Args:
        name: Name of the run. A number is added where another one of this name goes on.

    Yields:
        The name under which the run can be found, and the socket.

    Raises:
        HostError: The folder can't be made, or belongs to somebody else.
    """
    folder = control_folder()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            with _locked(folder):
                path = _free_path(folder, name)
                with _short(path) as address:
                    listener.bind(address)
                path.chmod(0o600)  # before it listens: nobody can have connected
                listener.listen()
                listener.setblocking(False)
        except OSError as error:
            raise HostError(f"can't listen there: {error}", where=str(folder)) from error
        mine = path.stat().st_ino
        try:
            yield path.stem, listener
        finally:
            with contextlib.suppress(OSError):
                if path.stat().st_ino == mine:
                    path.unlink()


def connected_socket(name: str) -> socket.socket:
    """A connection to the socket of a run.

    Raises:
        OSError: There is none, or nobody listens.
    """
    folder = control_folder()
    if not _is_own(folder):  # in /tmp, somebody else may have made it
        raise FileNotFoundError(f"there is no folder {folder} of yours")
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(folder / f"{name}{SUFFIX}") as address:
            client.connect(address)
    except BaseException:
        client.close()
        raise
    client.setblocking(False)
    return client


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder, made if it is not there, held against other runs that look for a free name."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if not _is_own(folder):
        raise HostError(
            "it belongs to somebody else", where=str(folder), hint="set XDG_RUNTIME_DIR to a folder of yours"
        )
    folder.chmod(0o700)
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _is_own(folder: Path) -> bool:
    """Whether it is a folder, no link, and this user's."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _free_path(folder: Path, name: str) -> Path:
    """The first path for the name that nobody listens on; a socket whose process died is removed."""
    number = 1
    while True:
        path = folder / f"{name if number == 1 else f'{name}-{number}'}{SUFFIX}"
        if not path.exists():
            return path
        if not _answers(path):
            path.unlink(missing_ok=True)
            return path
        number += 1


def _answers(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        with _short(path) as address:
            probe.connect(address)
        return True
    return False


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """The same file by a path that fits into a socket's address, which has 108 bytes."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
