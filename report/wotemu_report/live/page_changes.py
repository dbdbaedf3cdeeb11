"""What of a page differs from what a browser has."""

from __future__ import annotations

from typing import Any

import attrs

from wotemu_report.page.render import PageParts

Changes = dict[str, Any]


def page_changes(before: PageParts | None, after: PageParts) -> Changes:
    """The parts of `after` that differ from `before`, by the names of its attributes; all where that is None.

    Sections and charts are compared one by one. A chart that is gone is gone from its section, too, so it is
    not listed.
    """
    found = {}
    for field in attrs.fields(PageParts):
        new = getattr(after, field.name)
        old = getattr(before, field.name, None)
        if field.name in ("sections", "specs"):
            new = {key: value for key, value in new.items() if (old or {}).get(key) != value}
            if new:
                found[field.name] = new
        elif new != old:
            found[field.name] = new
    return found
