"""A page that grows: what is sent of it, to whom, and what a browser makes of it."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Thread

import aiohttp
import attrs
import msgpack
import polars as pl
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser

from wotemu.cli import main
from wotemu.emulation.watched_run import watch_run
from wotemu.records.schemas import SCHEMAS
from wotemu_report.live.page_changes import page_changes
from wotemu_report.live.server import PageServer
from wotemu_report.page.render import PageParts
from wotemu_report.recorded.stored_tables import scan_tables
from wotemu_runtime.recording.growing_tables import GrowingTables
from wotemu_runtime.recording.run_directory import RunDirectory

from .synthetic import T0
from .test_chromium import browser  # noqa: F401  # the fixture

PARTS = PageParts(
    header="<h1>run</h1>",
    navigation="<div></div>",
    sections={"overview": "<section id=overview>1</section>", "events": "<section id=events>1</section>"},
    specs={"overview-1": {"layer": []}},
    axis={"end_s": 10.0, "node_ids": {}, "node_chart": None},
    lazy="",
)


def test_changes_are_what_differs_section_by_section_and_chart_by_chart() -> None:
    newer = attrs.evolve(
        PARTS,
        sections={**PARTS.sections, "events": "<section id=events>2</section>"},
        specs={**PARTS.specs, "events-1": {"layer": [1]}},
    )
    assert page_changes(PARTS, PARTS) == {}
    assert page_changes(PARTS, newer) == {
        "sections": {"events": "<section id=events>2</section>"},
        "specs": {"events-1": {"layer": [1]}},
    }
    assert page_changes(None, newer) == attrs.asdict(newer)


@asynccontextmanager
async def served() -> AsyncIterator[tuple[PageServer, aiohttp.ClientSession]]:
    async with PageServer() as server, aiohttp.ClientSession() as session:
        await server.show(PARTS, "run", "1.0", is_last=False)
        yield server, session


async def test_only_this_host_and_origin_with_the_token_are_served() -> None:
    async with served() as (server, session):
        root = server.address.rsplit("/", 2)[0]

        async def status(url: str, method: str = "GET", **headers: str) -> int:
            async with session.request(method, url, headers=headers) as answer:
                assert "Access-Control-Allow-Origin" not in answer.headers
                return answer.status

        assert root.startswith("http://127.0.0.1:")
        assert await status(server.address) == 200
        assert await status(server.address, Origin=root) == 200
        for path in ("/", "/events", "/wrong/", "/wrong/events"):
            assert await status(root + path) == 404
        for url in (server.address, server.address + "events"):
            assert await status(url, Host="rebound.example") == 403
            assert await status(url, Host="127.0.0.1:1") == 403
            for origin in (
                "http://site.example",
                "null",
                root.replace("http", "https"),
                "http://127.0.0.1:1",
            ):
                assert await status(url, Origin=origin) == 403
            for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
                assert await status(url, method) == 405


async def test_a_browser_gets_what_it_lacks_and_the_end() -> None:
    async with served() as (server, session), session.get(f"{server.address}events?since=1") as answer:
        newer = attrs.evolve(PARTS, header="<h1>newer</h1>")
        await server.show(newer, "run", "1.0", is_last=False)
        assert await event(answer) == ("2", "page", {"header": "<h1>newer</h1>"})
        # One that connects again, or reads slowly, gets all that differs at once.
        await server.show(attrs.evolve(newer, lazy="x"), "run", "1.0", is_last=True)
        assert await event(answer) == ("3", "page", {"lazy": "x"})
        assert await event(answer) == (None, "end", None)
        async with session.get(f"{server.address}events?since=1") as late:
            version, _, changes = await event(late)
            assert version == "3"
            assert changes == attrs.asdict(attrs.evolve(newer, lazy="x"))
        await server.drained(5)
        assert not server.is_open_anywhere


async def test_a_browser_that_reads_nothing_delays_nobody() -> None:
    async with served() as (server, session):
        slow = await session.get(f"{server.address}events?since=1")
        async with session.get(f"{server.address}events?since=1") as quick:
            for number in range(20):
                text = chr(65 + number) * 400_000
                await server.show(attrs.evolve(PARTS, header=text), "run", "1.0", is_last=False)
                _, _, changes = await event(quick)
                assert changes == {"header": text}
        slow.close()


async def event(answer: aiohttp.ClientResponse) -> tuple[str | None, str, object]:
    """The next event: its id, kind and data."""
    text = await answer.content.readuntil(b"\n\n")
    fields = dict(line.partition(":")[::2] for line in text.decode().strip().split("\n"))
    data = fields["data"].strip()
    version = fields.get("id")
    return version and version.strip(), fields["event"].strip(), json.loads(data) if data else None


def rows_of(quickstart: Path, table: str) -> list[list[object]]:
    frame = pl.read_parquet(quickstart / "tables" / f"{table}.parquet")
    return [list(row) for row in frame.select(list(SCHEMAS[table])).rows()]


def test_growing_tables_take_what_is_new_and_whole(quickstart: Path, tmp_path: Path) -> None:
    rows, spool = rows_of(quickstart, "interactions"), tmp_path / "spool" / "interactions.msgpack"
    spool.parent.mkdir()
    tables = GrowingTables(tmp_path, tmp_path / "copies")
    assert not tables.update()
    batches = [msgpack.packb(rows[start : start + 50]) for start in range(0, 150, 50)]

    def read() -> list[tuple[object, ...]]:
        return pl.read_parquet(sorted(copy.iterdir())).rows()

    copy = tmp_path / "copies" / "interactions.parquet"
    for written, known in ((batches[0], 50), (batches[0] + batches[1][:-3], 50), (b"".join(batches), 150)):
        spool.write_bytes(written)
        tables.update()
        assert read() == [tuple(row) for row in rows[:known]]
    assert not tables.update()
    spool.write_bytes(batches[1])  # a coordinator took over from a checkpoint
    assert tables.update()
    assert len(read()) == 50
    spool.unlink()
    with pytest.raises(FileNotFoundError):
        tables.update()


def test_a_growing_tables_rows_are_written_again_a_few_times_in_all(quickstart: Path, tmp_path: Path) -> None:
    """After 64 looks there are few files, and each is at least twice as long as the next."""
    rows, spool = rows_of(quickstart, "interactions"), tmp_path / "spool" / "interactions.msgpack"
    spool.parent.mkdir()
    tables = GrowingTables(tmp_path, tmp_path / "tables")
    for row in rows[:63]:
        with spool.open("ab") as file:
            file.write(msgpack.packb([row]))
        tables.update()
    parts = [pl.read_parquet(path).height for path in sorted((tmp_path / "tables").rglob("0*"))]
    assert parts == [32, 16, 8, 4, 2, 1]
    frame = scan_tables(tmp_path, [], check=False)["interactions"].collect()
    assert frame.select(list(SCHEMAS["interactions"])).rows() == [tuple(row) for row in rows[:63]]


@pytest.mark.parametrize("more", [(), ("--json",), ("--out", "elsewhere")])
def test_only_a_run_that_goes_on_is_watched_and_no_file_is_written(
    quickstart: Path, more: tuple[str, ...]
) -> None:
    result = CliRunner().invoke(main, ["report", str(quickstart), "--watch", *more])
    assert result.exit_code == 2
    assert ("takes RUN alone" if more else "no run goes on here") in result.output.replace("\n", " ")


class Growing:
    """A run that goes on: the quickstart's records until some instant."""

    def __init__(self, quickstart: Path, run_dir: Path) -> None:
        self.directory = RunDirectory(run_dir)
        self._quickstart = quickstart
        self._until = T0 - 10
        for name in ("topology.json", "timeline.json"):
            shutil.copy(quickstart / name, run_dir)
        manifest = json.loads((quickstart / "manifest.json").read_text())
        self._ended = manifest
        killed: dict[str, object] = {
            "status": "failed",
            "error": "killed",
            "ended": None,
            "certificate": None,
            "records": {},
        }
        self.directory.write_json("manifest.json", manifest | killed)

    def grow(self, until_s: float) -> None:
        for table in ("interactions", "flows", "hops", "system"):
            rows = rows_of(self._quickstart, table)
            new = [row for row in rows if self._until < row[0] <= T0 + until_s]  # type: ignore[operator]
            self.directory.store(table, new)
        with (self.directory.run_dir / "events.jsonl").open("a") as file:
            for line in (self._quickstart / "events.jsonl").read_text().splitlines(keepends=True):
                if self._until < json.loads(line)["t"] <= T0 + until_s:
                    file.write(line)
        self._until = T0 + until_s
        self.directory.keep({"stream": str(until_s)})

    def end(self) -> None:
        if self._until > T0 + 60:
            return
        self.grow(61.0)
        self.directory.write_json("manifest.json", self._ended)
        self.directory.close()


@pytest.fixture
def growing(quickstart: Path, tmp_path: Path) -> Growing:
    return Growing(quickstart, tmp_path / "run")


@pytest.fixture
def address(growing: Growing) -> Iterator[str]:
    """Where its page is served until the run is over."""
    growing.grow(25.0)
    addresses: list[str] = []
    run_dir = growing.directory.run_dir
    serving = Thread(target=lambda: asyncio.run(watch_run(run_dir, addresses.append, pause_s=0.1, rest=0)))
    serving.start()
    while not addresses and serving.is_alive():
        serving.join(0.01)
    yield addresses[0]
    growing.end()
    serving.join(30)
    assert not serving.is_alive()


@pytest.mark.chromium
def test_a_page_grows_without_a_reload_and_keeps_what_is_opened(
    browser: Browser,  # noqa: F811
    growing: Growing,
    address: str,
) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 1000}, reduced_motion="reduce")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    page.wait_for_selector("html[data-drawn=yes]", state="attached", timeout=60_000)
    assert page.locator(".verdict").inner_text() == "Running for 25 s"
    page.evaluate("window.notReloaded = true")
    page.locator("#interactions .chart[tabindex]").first.press("+")
    page.wait_for_selector("html[data-range]", state="attached")
    zoomed = page.locator("html").get_attribute("data-range")
    page.locator("#nodes summary", has_text="reader-3g").first.click()
    node = page.locator("#nodes details[data-node]", has_text="reader-3g-1").first
    node.locator("summary").click()
    page.locator("#nodes [data-written=whole]").wait_for()
    search = page.locator("#events input[type=search]")
    search.fill("crashed")
    figure = page.locator("#interactions figure").first
    figure.get_by_role("button", name="Data").click()
    rows = page.locator("#interactions .data tbody tr")
    before = rows.count()
    requests = page.locator("#nodes [data-written=whole] .part td").all_inner_texts()

    growing.grow(45.0)
    page.get_by_text("Running for 45 s").wait_for(timeout=60_000)
    page.wait_for_selector("#live[data-version]:not([data-version='1'])", state="attached", timeout=60_000)
    rows.nth(before).wait_for(timeout=60_000)
    assert page.get_by_role("button", name="cut", exact=True).count() == 1
    assert page.locator("html").get_attribute("data-range") == zoomed
    assert search.input_value() == "crashed"
    assert node.get_attribute("open") is not None
    assert page.locator("#nodes [data-written=whole] .part td").all_inner_texts() != requests

    growing.end()
    page.wait_for_selector("#live[data-state=over]", state="attached", timeout=60_000)
    assert page.locator(".verdict").inner_text() == "Done after 60 s"
    assert page.evaluate("window.notReloaded") is True
    undrawn = ".chart:not(:has(svg path, svg line, svg rect))"
    assert page.locator(undrawn).count() == 0
    assert complaints == []
    page.close()
