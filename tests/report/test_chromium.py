"""A real browser opens the report from disk, draws all of it, and is asked what a reader would do.

Drawing a report takes seconds: one page of each run serves all tests.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from playwright.sync_api import Browser, Page, sync_playwright

from wotemu import compare, write_comparison
from wotemu_report import write_report
from wotemu_report.comparison.trials import Trial, trials_page
from wotemu_report.objectives.outcome import Outcome, Outcomes, State
from wotemu_report.page.head import Notice
from wotemu_report.page.render import save

from .many_nodes import many_nodes_run
from .test_comparison import lamp
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


@pytest.fixture(scope="module")
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
        self.page: Page = browser.new_page(viewport={"width": 1400, "height": 1000}, reduced_motion="reduce")
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

    def violations(self) -> list[tuple[str, str]]:
        """What axe-core finds that is serious: the rule, and the first element."""
        self.page.evaluate((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
        found: dict[str, Any] = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
        return [(each["id"], each["nodes"][0]["html"][:200]) for each in serious]

    def ticks(self, section: str) -> list[str]:
        """The labels of the time axis of a section's first chart over time."""
        axis = self.page.locator(f"#{section} .chart[tabindex]").first.locator(".role-axis-label").first
        # Vega adds elements for labels in the order in which they came.
        return sorted(axis.locator("text").all_text_contents(), key=lambda label: float(label.split()[0]))


@pytest.fixture(scope="module")
def visit(browser: Browser, report: Path) -> Visit:
    """The synthetic quickstart's report; tests leave it as they found it."""
    return Visit(browser, report)


def test_every_chart_is_drawn_without_a_complaint_or_a_request(visit: Visit, report: Path) -> None:
    assert visit.page.locator(".chart").count() > 12
    assert visit.undrawn() == []
    assert visit.complaints == []
    assert visit.requests == [report.as_uri()]


def test_hostile_names_run_nothing_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    hostile = Visit(browser, write_report(hostile_run(tmp_path / "run")))
    assert hostile.undrawn() == []
    page = hostile.page
    for button in page.locator("button[data-export=data]").all()[:3]:
        button.click()
    nodes = page.locator("#nodes [data-node]")
    nodes.evaluate_all("all => all.forEach(each => { each.open = true; })")
    page.locator("#nodes [data-written=whole]").nth(nodes.count() - 1).wait_for(state="attached")
    assert hostile.complaints == []
    assert len(hostile.requests) == 1
    assert page.locator("img, iframe, object, main script").count() == 0
    page.close()


def comparison(folder: Path) -> Path:
    """The page of a run beside one that is slower by a fifth."""
    runs = [lamp(folder / name, slower) for name, slower in (("before", 1.0), ("after", 1.2))]
    return write_comparison(compare(*runs), folder / "page")


def cliff(folder: Path) -> Path:
    """The page of a search: objectives held at two of three values."""
    outcome = Outcome(0, "p95 of readproperty", "passed", 0.05, "s", "<", 0.1, 300, "requests", 0.0, 60.0)
    states: tuple[tuple[float, State], ...] = ((20, "passed"), (90, "passed"), (180, "failed"))
    trials = [
        Trial(ms, ("runs/000",), (Outcomes((evolve(outcome, state=state, value=ms / 1000),)),), ((),))
        for ms, state in states
    ]
    said = Notice("good", "The objectives hold up to latency = 90ms", ("At 180ms they do not.",))
    return save(trials_page("field", said, "latency", "ms", trials, "1.0"), folder)


@pytest.mark.parametrize("make", [comparison, cliff])
def test_pages_of_comparisons_and_searches_are_drawn_and_can_be_read(
    browser: Browser, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    made = Visit(browser, make(tmp_path))
    page = made.page
    assert page.locator(".chart").count() >= 1
    assert made.undrawn() == []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert made.violations() == []
    page.set_viewport_size({"width": 400, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert made.complaints == []
    assert len(made.requests) == 1
    page.close()


def test_a_drag_on_one_chart_zooms_all_and_a_double_click_resets(visit: Visit) -> None:
    page, before = visit.page, visit.ticks("traffic")
    chart = page.locator("#interactions .chart[tabindex]").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, y, steps=4)
    page.mouse.up()
    page.wait_for_selector("html[data-range]", state="attached")
    first, last = (float(each) for each in str(page.locator("html").get_attribute("data-range")).split())
    assert 10 < first < 20 < last < 35
    assert visit.ticks("traffic") != before
    assert visit.ticks("traffic")[0] == visit.ticks("interactions")[0]
    chart.dblclick()
    page.wait_for_selector('html[data-range="0 60"]', state="attached")
    assert visit.ticks("traffic") == before


def test_a_phase_and_keys_zoom_too(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("button", name="cut", exact=True).press("Enter")
    page.wait_for_selector('html[data-range="30 40"]', state="attached")
    assert page.locator("#time output").inner_text() == "30 s to 40 s"
    chart = page.locator("#interactions .chart[tabindex]").first
    chart.press("ArrowLeft")
    page.wait_for_selector('html[data-range="27.5 37.5"]', state="attached")
    chart.press("Escape")
    page.wait_for_selector('html[data-range="0 60"]', state="attached")
    assert visit.complaints == []


def test_behind_a_chart_are_its_rows_and_files(visit: Visit) -> None:
    figure = visit.page.locator("#interactions figure").first
    data = figure.get_by_role("button", name="Data")
    data.click()
    assert figure.locator(".data th").all_inner_texts()[:2] == ["s", "series"]
    assert figure.locator(".data tbody tr").count() > 50
    data.click()
    assert figure.locator(".data").count() == 0
    for name, start in (("SVG", b"<svg"), ("PNG", b"\x89PNG"), ("Source", b"{")):
        with visit.page.expect_download() as waited:
            figure.get_by_role("button", name=name).click()
        assert Path(waited.value.path()).read_bytes().startswith(start), name


def test_a_link_opens_a_nodes_page_which_is_written_then(visit: Visit) -> None:
    page = visit.page
    assert page.locator("#nodes .part").count() == 0
    page.locator("#topology a", has_text="reader-3g-1").first.click()
    written = page.locator("#nodes details[open][data-written=whole]")
    written.wait_for()
    assert written.locator("summary").inner_text().startswith("reader-3g-1")
    titles = ["Requests", "Subscriptions", "Hops", "Processes", "Lifetimes", "Last output"]
    assert [text for text in written.locator("h4").all_inner_texts() if text in titles] == titles
    assert written.locator(".chart svg .mark-line").count() > 1
    assert "ConnectionResetError: peer went away" in written.locator("pre").inner_text()
    assert visit.complaints == []


def test_a_table_sorts_by_the_column_that_is_clicked(visit: Visit) -> None:
    rows_by_node = visit.page.locator("#overview table").first
    rows_by_node.get_by_role("button", name="Requests").click()
    requests = rows_by_node.locator("tbody td:nth-child(4)")
    counts = [int(text.replace(",", "")) for text in requests.all_inner_texts()]
    assert counts == sorted(counts)
    rows_by_node.get_by_role("button", name="Requests").click()
    assert requests.first.inner_text().replace(",", "") == str(max(counts))


def test_a_filter_hides_the_rows_without_its_text(visit: Visit) -> None:
    events = visit.page.locator("#events .card", has=visit.page.locator("input[type=search]"))
    events.locator("input[type=search]").fill("CRASHED")
    rows = events.locator("tbody tr:visible")
    rows.filter(has_text="app.crashed").first.wait_for()
    assert [text for text in rows.all_inner_texts() if "crashed" not in text.lower()] == []
    events.locator("input[type=search]").fill("")


def test_nothing_is_wider_than_the_page(visit: Visit) -> None:
    page = visit.page
    for width in (1400, 700, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1400, "height": 1000})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit: Visit, scheme: Any) -> None:
    visit.page.emulate_media(color_scheme=scheme)
    assert visit.violations() == []
    visit.page.emulate_media(color_scheme="light")


def test_many_nodes_are_folded_and_open_on_demand(browser: Browser, tmp_path: Path) -> None:
    many = Visit(browser, write_report(many_nodes_run(tmp_path / "run")))
    page = many.page
    table = page.locator("#overview table").first
    assert table.locator("tbody tr").count() <= 8
    table.locator("button.fold").first.click()
    table.locator("tr.below").first.wait_for()
    assert table.locator("tr.below").count() == 80
    assert "phone-17" in table.inner_text()
    table.locator("button.fold").first.click()
    assert table.locator("tr.below").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1400
    assert many.complaints == []
    page.close()
