"""A topology's folder as one file, so that it can travel to the nodes: the same folder, the same bytes."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from wotemu.errors import EmulationError, InputError

MAX_BUNDLE = 500 * 1024
"""The size limit of a config of Docker Swarm, in bytes."""
MAX_FILES = 2000
MAX_CONTENT = 32 * 1024**2
"""Bytes of a folder's files: beyond it, it is no folder of apps."""

GENERATED = "# Written by `wotemu compose`"
"""How a file begins that was made of the folder's others, and so does not travel with them."""

_LEFT_OUT = frozenset({"__pycache__", "node_modules", "runs", "venv"})
_EXECUTABLE, _PLAIN = 0o755, 0o644


def pack(root: Path) -> bytes:
    """The bundle; InputError where it is too large to travel.

    Hidden files, caches, environments and runs stay behind; so do links that lead out of the folder.
    """
    plain = io.BytesIO()
    content = 0
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for count, path in enumerate(_files(root)):
            data = path.read_bytes()
            if data.startswith(GENERATED.encode()):
                continue
            content += len(data)
            if count >= MAX_FILES or content > MAX_CONTENT:
                raise _too_large(root, f"more than {MAX_FILES} files or {MAX_CONTENT // 1024**2} MiB")
            info = tarfile.TarInfo(path.relative_to(root).as_posix())
            info.size = len(data)
            info.mode = _EXECUTABLE if path.stat().st_mode & 0o100 else _PLAIN
            tar.addfile(info, io.BytesIO(data))
    packed = lzma.compress(plain.getvalue(), check=lzma.CHECK_CRC32, preset=6)
    if len(packed) > MAX_BUNDLE:
        raise _too_large(
            root, f"{len(packed) // 1024} KiB when packed, and Swarm takes {MAX_BUNDLE // 1024} KiB"
        )
    return packed


def digest(bundle: bytes) -> str:
    """What a bundle is known by: a hash of its content, whichever way that was compressed."""
    return hashlib.sha256(lzma.decompress(bundle)).hexdigest()


def unpack(bundle: bytes, target: Path, expected: str) -> None:
    """Write a bundle's files below `target`; EmulationError where it is not the one that was meant."""
    if digest(bundle) != expected:
        raise EmulationError(f"it is not the bundle {expected[:12]}", where=str(target))
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(bundle)), mode="r:") as tar:
        for member in tar:
            name = PurePosixPath(member.name)
            content = tar.extractfile(member) if member.isreg() else None
            if content is None or name.is_absolute() or ".." in name.parts:
                raise EmulationError(f"{member.name!r} is no file below the folder", where=str(target))
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.read())
            path.chmod(_EXECUTABLE if member.mode & 0o100 else _PLAIN)


def _files(root: Path) -> Iterator[Path]:
    """Every file that travels, in an order that depends on names alone."""
    for path in sorted(root.iterdir(), key=lambda path: path.name):
        if path.name.startswith(".") or path.name in _LEFT_OUT or path.suffix == ".pyc":
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
            continue
        if path.is_dir() and not (path / "pyvenv.cfg").exists():
            yield from _files_below(path, root)
        elif path.is_file():
            yield path


def _files_below(folder: Path, root: Path) -> Iterator[Path]:
    if folder.is_symlink():
        return  # its files travel from where they are
    for path in _files(folder):
        if path.resolve().is_relative_to(root.resolve()):
            yield path


def _too_large(root: Path, what: str) -> InputError:
    return InputError(
        f"it has {what}",
        where=f"folder {root}",
        hint="keep topology and apps in a folder of their own, or build an image with them: Node(image=...)",
    )
