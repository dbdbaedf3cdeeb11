"""The page: sections to one HTML file that needs no network."""

from __future__ import annotations

from wotemu_report.page.render import render, save

__all__ = ["render", "save"]
