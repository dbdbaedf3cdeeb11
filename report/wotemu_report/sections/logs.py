"""The ends of what the apps printed."""

from __future__ import annotations

import re

from wotemu_report.blocks import Empty, Logs, LogText, Section
from wotemu_report.formats import size
from wotemu_report.recorded.dataset import LogTail, RunData
from wotemu_report.sections.events import crashes

_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x08\x0b-\x1f\x7f]")
_MAX_LINE = 600
_MAX_LOGS = 200


def section(run: RunData) -> Section:
    """The last lines of each replica's log; those of apps that crashed are open."""
    if not run.logs:
        return Section("logs", "Logs", "", [Empty("", "No app's output was recorded.")])
    crashed = set(crashes(run)["replica"])
    texts = [_text(tail, tail.replica in crashed) for tail in run.logs[:_MAX_LOGS]]
    return Section("logs", "Logs", _LEAD, [Logs(texts)])


_LEAD = "The last lines that each app printed, unfolded where it crashed. The folder logs/ has all of them."


def clean(line: str) -> str:
    """The line without terminal colours and control characters, cut where it is endless."""
    text = _CONTROL.sub("", line)
    return (
        text if len(text) <= _MAX_LINE else f"{text[:_MAX_LINE]} … ({len(text) - _MAX_LINE} more characters)"
    )


def _text(tail: LogTail, opened: bool) -> LogText:
    name = "WoTemu's own processes" if tail.replica == "_wotemu" else tail.replica
    if not tail.lines:
        return LogText(name, "printed nothing", "", False)
    lines = "1 line" if len(tail.lines) == 1 else f"{len(tail.lines)} lines"
    note = f"{lines}, {size(tail.size)}" if tail.complete else f"the last {lines} of {size(tail.size)}"
    return LogText(name, note, "\n".join(clean(line) for line in tail.lines), opened)
