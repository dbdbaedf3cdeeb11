"""The page is one safe, small file that holds everything."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from wotemu.errors import InputError
from wotemu.records import Interaction
from wotemu_report import write_report
from wotemu_report.formats import instant, milliseconds, percent, size
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections import sections

from .synthetic import T0, Names, edit, write_json, write_run, write_table

HOSTILE = (
    "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)> & \" ' {{ 7*7 }}"
    " \N{FIRECRACKER} \N{RIGHT-TO-LEFT OVERRIDE}\N{HEBREW LETTER SHIN} ${alert(3)} \\u003c, a\nb; =1+1"
)
NUMBERS = (float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 5e-324, 0.0, 1e18)


class Page(HTMLParser):
    """Every start tag of a page, with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def count(self, tag: str) -> int:
        return sum(found == tag for found, _ in self.tags)


def test_the_report_is_written_beside_the_run(run_dir: Path) -> None:
    assert write_report(run_dir) == run_dir / "report" / "index.html"
    assert [path.name for path in (run_dir / "report").iterdir()] == ["index.html"]


def test_the_report_goes_where_it_is_asked_for(quickstart: Path, tmp_path: Path) -> None:
    path = write_report(quickstart, tmp_path / "a" / "b")
    assert path == tmp_path / "a" / "b" / "index.html"
    assert path.stat().st_size < 2_000_000


def test_a_place_that_cannot_be_written_is_named(quickstart: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written") as caught:
        write_report(quickstart, tmp_path / "file")
    assert caught.value.where == str(tmp_path / "file" / "index.html")


def test_the_header_says_what_ran_and_how_it_ended(report: Path) -> None:
    html = report.read_text()
    for told in ("Done after 60 s", "3fa9c17be2d0", "examples/quickstart.py", "tun", "nothing lost"):
        assert told in html
    assert "mem_limit 64M needs a cgroup" in html
    assert "3 nodes share 1.5 Mbit/s" in html


def test_a_run_that_failed_before_t0_has_a_report_too(run_dir: Path) -> None:
    manifest = run_dir / "manifest.json"
    edit(manifest, t0=None, status="failed", ended=None, error="no /dev/net/tun", replicas={})
    for table in (run_dir / "tables").iterdir():
        table.unlink()
    html = write_report(run_dir).read_text()
    assert "Failed before T0" in html
    assert "no /dev/net/tun" in html


def test_a_manifest_alone_makes_a_report(tmp_path: Path) -> None:
    write_json(tmp_path / "manifest.json", {"schema": 1, "name": "bare", "status": "failed"})
    html = write_report(tmp_path).read_text()
    assert "topology.json is missing" in html


def test_losses_are_told(run_dir: Path) -> None:
    edit(run_dir / "manifest.json", losses=[{"source": "agent thing", "what": "flows", "count": 1234}])
    html = write_report(run_dir).read_text()
    assert "nothing lost" not in html
    assert "1,234" in html
    assert "agent thing" in html


def hostile_run(folder: Path) -> Path:
    """A run whose every name, message and line tries to break out of the page."""
    names = Names(run=HOSTILE, thing=HOSTILE, prop=HOSTILE, action=HOSTILE, event=HOSTILE, error=HOSTILE,
                  log=HOSTILE, crash=HOSTILE)  # fmt: skip
    write_run(folder, names=names)
    replica = {"node": HOSTILE, "kind": HOSTILE, "addresses": {HOSTILE: HOSTILE}, "app": HOSTILE}
    edit(
        folder / "manifest.json",
        error=HOSTILE,
        source=HOSTILE,
        command=[HOSTILE],
        warnings=[HOSTILE],
        unenforced=[HOSTILE],
        losses=[{"source": HOSTILE, "what": HOSTILE, "count": 1}],
        replicas={HOSTILE: replica, "reader-3g-1": replica},
    )
    edit(folder / "timeline.json", phases=[{"name": HOSTILE, "start_s": 10}])
    edit(folder / "topology.json", networks=[{"name": HOSTILE, "conditions": {}, "shared": True}])
    for table in ("flows", "changes", "app", "broker", "system", "hops"):
        path = folder / "tables" / f"{table}.parquet"
        frame = pl.read_parquet(path)
        texts = [name for name in frame.columns if frame.schema[name] == pl.String and name != "direction"]
        frame.with_columns(pl.lit(HOSTILE).alias(name) for name in texts).write_parquet(path)
    for table, column in (("app", "value"), ("system", "cpu_percent"), ("interactions", "duration")):
        path = folder / "tables" / f"{table}.parquet"
        frame = pl.read_parquet(path)
        cycled = pl.Series([NUMBERS[row % len(NUMBERS)] for row in range(frame.height)])
        # Most stay as they are: figures have to show those beside the others.
        kept = pl.int_range(pl.len()) % 5 != 0
        frame.with_columns(pl.when(kept).then(column).otherwise(cycled).alias(column)).write_parquet(path)
    return folder


def test_whatever_users_wrote_stays_text(report: Path, tmp_path: Path) -> None:
    plain = Page(report.read_text())
    html = write_report(hostile_run(tmp_path / "run")).read_text()
    page = Page(html)
    assert page.count("script") == plain.count("script") == 4
    assert page.count("img") == 0
    assert "<!--<img" not in html
    assert "{{ 7*7 }}" in html
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


_REFERENCES = ("href", "src")


def test_the_page_refers_to_nothing_outside(report: Path) -> None:
    page = Page(report.read_text())
    links = [
        value for _, attributes in page.tags for name, value in attributes.items() if name in _REFERENCES
    ]
    assert links
    assert all(link is not None and link.startswith("#") for link in links)
    assert page.count("link") == 0


def test_the_page_stays_small_however_much_happened(run_dir: Path) -> None:
    rows = [
        Interaction(T0 + number / 4000, "reader-3g-1", "consumer", f"urn:thing:{number % 40}", "property",
                    "on", "readproperty", "request", "http", 0.01 + number % 7 / 100, 4,
                    "ok" if number % 50 else "failed",
                    "" if number % 50 else f"OSError: unlike any other {number}")
        for number in range(240_000)
    ]  # fmt: skip
    write_table(run_dir, "interactions", rows)
    assert write_report(run_dir).stat().st_size < 2_500_000


def test_every_section_is_reached_from_the_navigation(report: Path, run: RunData) -> None:
    page = Page(report.read_text())
    anchors = {attributes.get("href") for tag, attributes in page.tags if tag == "a"}
    assert {f"#{section.id}" for section in sections(run)} < anchors


@pytest.mark.parametrize(
    ("value", "told"),
    [(None, "–"), (0.0, "0 ms"), (0.25, "250 µs"), (12.345, "12.3 ms"), (1500, "1.5 s"), (180_000, "3 min")],
)
def test_durations_read_in_the_unit_that_suits(value: float | None, told: str) -> None:
    assert milliseconds(value) == told


def test_numbers_read_as_a_person_writes_them() -> None:
    assert (size(1_234_567), size(12)) == ("1.23 MB", "12 B")
    assert (percent(0), percent(0.00001), percent(0.125)) == ("0 %", "<0.01 %", "12.5 %")
    assert (instant(-3.2), instant(12.345), instant(754.2, long=True)) == ("-3.20 s", "12.35 s", "12:34.2")
