"""Deployments and apps that were written for WoTemu 0.6: its words, and what is written for each now.

A deployment's file is loaded under `accepting_old_words`. Apps import `wotemu.utils` and
`wotemu.monitor.utils`, as they did. Each old word warns with an `OldWordWarning`, or is refused with what to
write. docs/from-0.6.md lists them.
"""

from wotemu.compat.loading import RestartPolicy, accepting_old_words, hint_of_missing_module
from wotemu.compat.old_word import OldWordWarning

__all__ = ["OldWordWarning", "RestartPolicy", "accepting_old_words", "hint_of_missing_module"]
