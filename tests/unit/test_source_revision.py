"""The git commit of a deployment's file."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from wotemu_runtime.runs.source_revision import source_revision


def git(folder: Path, *words: str) -> str:
    settings = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    command = ["git", *settings, *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


async def test_the_commit_and_whether_the_file_was_changed_since(
    tmp_path: Path, require: Callable[[object, str], None]
) -> None:
    require(shutil.which("git"), "no git")
    file = tmp_path / "deployment.py"
    file.write_text("a = 1")
    assert await source_revision(file) == {}
    git(tmp_path, "init")
    assert await source_revision(file) == {}
    git(tmp_path, "add", "deployment.py")
    git(tmp_path, "commit", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert await source_revision(file) == {"commit": commit, "changed": False}
    (tmp_path / "other.py").write_text("")
    assert await source_revision(tmp_path / "other.py") == {}
    file.write_text("a = 2")
    assert await source_revision(file) == {"commit": commit, "changed": True}


async def test_a_file_whose_folder_is_made_up_has_none(tmp_path: Path) -> None:
    assert await source_revision(tmp_path / "nowhere" / "deployment.py") == {}
