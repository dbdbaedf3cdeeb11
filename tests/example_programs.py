"""What examples need that WoTemu does not."""

from __future__ import annotations

import shutil

from tests.conftest import Require

PROGRAMS = {"mixed_languages": ("cc", "node", "bash")}


def need_programs(name: str, require: Require) -> None:
    """Skip where this machine lacks a program of the example's."""
    for program in PROGRAMS.get(name, ()):
        require(shutil.which(program) is not None, f"there is no program `{program}` here")
