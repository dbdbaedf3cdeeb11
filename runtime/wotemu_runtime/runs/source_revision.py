"""The git commit that a deployment's file was run from."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

_MAX_WAIT_S = 5.0
# A repository may name a program that git has to ask for changes: nothing of it is run.
_GIT = ("git", "-c", "core.fsmonitor=false", "--no-optional-locks")


async def source_revision(path: Path) -> dict[str, Any]:
    """The commit of the repository that a file is in.

    Returns:
        `commit`, and `changed`: whether the file differs from it. Empty where the file is in no repository,
        or there is no git.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *_GIT, "status", "--porcelain=v2", "--branch", "--ignored", "--", path.name,
            cwd=path.parent, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return {}
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _MAX_WAIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return {}
    return _parsed(output.decode(errors="replace").splitlines())


def _parsed(lines: list[str]) -> dict[str, Any]:
    """What `git status --porcelain=v2 --branch` says of one file."""
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), "")
    states = [line[:1] for line in lines if not line.startswith("#")]
    if not commit or commit == "(initial)" or "?" in states or "!" in states:
        return {}
    return {"commit": commit, "changed": bool(states)}
