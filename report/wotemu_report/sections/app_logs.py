"""Logs: the last lines that each app printed."""

from __future__ import annotations

import re

from wotemu.wording import counted
from wotemu_report.blocks import Empty, Logs, LogText, Section
from wotemu_report.formats import size
from wotemu_report.queries.event_rows import crashes
from wotemu_report.queries.node_groups import has_many_nodes
from wotemu_report.recorded.log_tails import LogTail
from wotemu_report.recorded.run_data import RunData

# ECMA-48 control sequences (colours), operating system commands (window titles), other control characters.
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x08\x0b-\x1f\x7f]")
_MAX_LINE = 600
_OWN = "_wotemu"
_MAX_LOGS = 200
_LEAD = "The last lines that each app printed, unfolded where it crashed. The folder logs/ has all of them."


def section(run: RunData) -> Section:
    """The last lines of each replica's log; those of apps that crashed are unfolded."""
    if not run.logs:
        return Section("logs", "Logs", "", [Empty("", "No app's output was recorded.")])
    crashed = set(crashes(run)["replica"])
    if has_many_nodes(run):
        shown = [tail for tail in run.logs if tail.replica in crashed or tail.replica == _OWN]
        lead = "The last lines of the apps that crashed; those of the others are in their nodes' pages above."
    else:
        shown, lead = list(run.logs), _LEAD
    texts = [_text(tail, opened=tail.replica in crashed) for tail in shown[:_MAX_LOGS]]
    return Section("logs", "Logs", lead, [Logs(texts)] if texts else [])


def clean(line: str) -> str:
    """The line without terminal colours and control characters, cut where it is very long."""
    text = _CONTROL.sub("", line)
    more = len(text) - _MAX_LINE
    return text if more <= 0 else f"{text[:_MAX_LINE]} … ({counted(more, 'more character')})"


def _text(tail: LogTail, *, opened: bool) -> LogText:
    name = "WoTemu's own processes" if tail.replica == _OWN else tail.replica
    if not tail.lines:
        return LogText(name, "no output", "", opened=False)
    lines = counted(len(tail.lines), "line")
    note = f"{lines}, {size(tail.size)}" if tail.complete else f"the last {lines} of {size(tail.size)}"
    return LogText(name, note, "\n".join(clean(line) for line in tail.lines), opened)
