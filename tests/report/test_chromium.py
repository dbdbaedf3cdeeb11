"""A real browser opens the report from disk and draws all of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from wotemu_report import write_report

from .test_page import hostile_run

pytestmark = pytest.mark.chromium

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DRAW_MS = 60_000


@pytest.fixture
def browser(require: Callable[[object, str], None]) -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require(found, "no Chromium on PATH (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        yield chromium
        chromium.close()


class Visit:
    """One report opened: what the browser said and asked for meanwhile."""

    def __init__(self, browser: Browser, report: Path) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page: Page = browser.new_page(viewport={"width": 1400, "height": 1000})
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(report.as_uri())
        self.page.wait_for_selector("html[data-drawn=yes]", state="attached", timeout=DRAW_MS)

    def undrawn(self) -> list[str]:
        """The ids of charts without a drawing that can be seen."""
        return list(
            self.page.eval_on_selector_all(
                ".chart",
                """charts => charts.filter(chart => {
                    const drawing = chart.querySelector('svg, canvas');
                    const box = drawing && drawing.getBoundingClientRect();
                    const small = !box || box.width < 200 || box.height < 50;
                    return small || !drawing.querySelector('path, line, rect');
                }).map(chart => chart.id)""",
            )
        )


def test_every_chart_is_drawn_without_a_complaint_or_a_request(browser: Browser, report: Path) -> None:
    visit = Visit(browser, report)
    assert visit.page.locator(".chart").count() > 12
    assert visit.undrawn() == []
    assert visit.complaints == []
    assert visit.requests == [report.as_uri()]


def test_hostile_names_run_nothing_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    visit = Visit(browser, write_report(hostile_run(tmp_path / "run")))
    assert visit.undrawn() == []
    assert visit.complaints == []
    assert len(visit.requests) == 1
    assert visit.page.locator("img").count() == 0


def test_a_table_sorts_by_the_column_that_is_clicked(browser: Browser, report: Path) -> None:
    page = Visit(browser, report).page
    rows_by_node = page.locator("#overview table").first
    rows_by_node.get_by_role("button", name="Requests").click()
    requests = rows_by_node.locator("tbody td:nth-child(4)")
    counts = [int(text.replace(",", "")) for text in requests.all_inner_texts()]
    assert counts == sorted(counts)
    rows_by_node.get_by_role("button", name="Requests").click()
    assert requests.first.inner_text().replace(",", "") == str(max(counts))


def test_a_filter_hides_the_rows_without_its_text(browser: Browser, report: Path) -> None:
    page = Visit(browser, report).page
    page.locator("#events input[type=search]").fill("CRASHED")
    assert page.locator("#events tbody tr:visible").count() == 1


def test_nothing_is_wider_than_the_page(browser: Browser, report: Path) -> None:
    page = Visit(browser, report).page
    for width in (1400, 700):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
