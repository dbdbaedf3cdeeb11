"""Reproduce: what is needed to run the same again."""

from __future__ import annotations

import shlex

from wotemu_report.blocks import Column, Logs, LogText, Section, Table
from wotemu_report.recorded.manifest import Manifest
from wotemu_report.recorded.run_data import RunData

_LEAD = (
    "The same file, seed and version resolve to the same timeline: its hash tells whether a run did the "
    "same. What apps and machines do by themselves varies."
)


def section(run: RunData) -> Section:
    """Versions, seed, hash, command and commit, and the commands that run it again."""
    manifest = run.manifest
    rows = [(label, value) for label, value in _facts(manifest) if value]
    table = Table("What it was made of", "", (Column("What"), Column("Value", "code")), rows)
    commands = Logs(
        [LogText("Commands", "in a clone of the deployment's repository", _commands(manifest), True)]
    )
    return Section("reproduce", "Reproduce", _LEAD, [table, commands] if manifest.command else [table])


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    changed = ", and the file was changed since" if manifest.revision.get("changed") else ""
    commit = str(manifest.revision.get("commit") or "")
    return [
        ("File", manifest.source),
        ("Git commit", f"{commit}{changed}" if commit else "the file was in no git repository"),
        ("Command", shlex.join(manifest.command)),
        ("Seed", "" if manifest.seed is None else str(manifest.seed)),
        ("Timeline's hash", manifest.timeline_hash),
        ("WoTemu", manifest.wotemu_version),
        ("Python", manifest.python),
        ("Kernel", manifest.kernel),
        ("Engine", manifest.engine),
        ("Shaper", manifest.shaper),
    ]


def _commands(manifest: Manifest) -> str:
    words = list(manifest.command)
    if manifest.seed is not None and not any(word.startswith("--seed") for word in words):
        words += ["--seed", str(manifest.seed)]
    commit = str(manifest.revision.get("commit") or "")
    lines = [
        f"git checkout {shlex.quote(commit)}" if commit else "",
        f"# with WoTemu {manifest.wotemu_version}, installed from a clone of its repository"
        if manifest.wotemu_version
        else "",
        shlex.join(words),
    ]
    return "\n".join(line for line in lines if line)
