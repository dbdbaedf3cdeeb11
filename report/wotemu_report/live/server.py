"""Serves a page on loopback and sends its changes to the browsers that have it open, as server-sent events.

The page's address holds a random token, so other users of the machine can't read it. Pages of other sites
can't either: a name that resolves to 127.0.0.1 is refused by its Host header, other origins by theirs.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from typing import Self

import attrs
from aiohttp import web
from aiohttp.typedefs import Handler

from wotemu.errors import HostError
from wotemu_report.live.page_changes import page_changes
from wotemu_report.page.render import PageParts, document

LOOPBACK = "127.0.0.1"
STALLED_S = 30.0
"""A browser that takes nothing for so long is disconnected; it connects again by itself."""
KEEPALIVE_S = 15.0
_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@attrs.frozen
class Shown:
    """What is shown now: its number, its parts, and whether nothing will follow."""

    version: int
    parts: PageParts
    name: str
    wotemu_version: str
    is_last: bool


class PageServer:
    """Serves the newest page; an async context manager.

    A browser that is slow skips what it was too slow for: changes are found from what it has to what is
    newest, when it is ready for them. So no browser makes another one, or `show`, wait.
    """

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._token = secrets.token_urlsafe(16)
        self._shown: Shown | None = None
        self._news = asyncio.Condition()
        self._streams = 0
        self._runner: web.AppRunner | None = None

    def __repr__(self) -> str:
        return f"PageServer({LOOPBACK}:{self._port})"

    @property
    def is_open_anywhere(self) -> bool:
        """Whether a browser has the page open."""
        return self._streams > 0

    @property
    def address(self) -> str:
        """The page's URL, with its token."""
        return f"http://{LOOPBACK}:{self._port}/{self._token}/"

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._guard])
        app.router.add_get(f"/{self._token}/", self._page, allow_head=False)
        app.router.add_get(f"/{self._token}/events", self._events, allow_head=False)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, self._port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise HostError(f"the page can't be served: {error.strerror or error}", where=LOOPBACK) from error
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def show(self, parts: PageParts, name: str, wotemu_version: str, *, is_last: bool) -> None:
        """Show these parts from now on.

        Args:
            parts: The page.
            name: Its title.
            wotemu_version: For its footer.
            is_last: Whether the run is over.
        """
        version = self._shown.version + 1 if self._shown else 1
        async with self._news:
            self._shown = Shown(version, parts, name, wotemu_version, is_last)
            self._news.notify_all()

    async def drained(self, timeout_s: float) -> None:
        """Wait until every browser that is connected has the last page, but no longer than `timeout_s`."""
        async with self._news:
            waiting = self._news.wait_for(lambda: self._streams == 0)
            try:
                await asyncio.wait_for(waiting, timeout_s)
            except TimeoutError:
                return

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        hosts = {f"{LOOPBACK}:{self._port}", f"localhost:{self._port}"}
        origin = request.headers.get("Origin")
        if request.headers.get("Host") not in hosts:
            raise web.HTTPForbidden(text="this host is not served", headers=_HEADERS)
        if origin is not None and origin.removeprefix("http://") != request.headers["Host"]:
            raise web.HTTPForbidden(text="other origins are not served", headers=_HEADERS)
        return await handler(request)

    async def _page(self, _: web.Request) -> web.Response:
        while (shown := await self._newer_than(None)) is None:
            pass  # the first one is being made
        html = await asyncio.to_thread(
            document, shown.parts, name=shown.name, version=shown.wotemu_version, live_version=shown.version
        )
        return web.Response(text=html, content_type="text/html", headers=_HEADERS)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        self._streams += 1
        try:
            await self._send(response, request.headers.get("Last-Event-ID") or request.query.get("since", ""))
        except (ConnectionError, TimeoutError):  # the browser is gone, or reads nothing
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._streams -= 1
            async with self._news:
                self._news.notify_all()
        return response

    async def _send(self, response: web.StreamResponse, version: str) -> None:
        """Send changes until the last page; `version` is what the browser has."""
        has = self._shown if self._shown and str(self._shown.version) == version else None
        while not (has and has.is_last):
            newest = await self._newer_than(has)
            if newest is None:
                await _write(response, ": still here\n\n")
                continue
            changes = page_changes(has.parts if has else None, newest.parts)
            data = await asyncio.to_thread(json.dumps, changes, separators=(",", ":"))
            await _write(response, f"id: {newest.version}\nevent: page\ndata: {data}\n\n")
            has = newest
        await _write(response, "event: end\ndata:\n\n")

    async def _newer_than(self, has: Shown | None) -> Shown | None:
        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait_for(lambda: self._shown is not has), KEEPALIVE_S)
            except TimeoutError:
                return None
            return self._shown


async def _write(response: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(STALLED_S):
        await response.write(text.encode("utf-8", errors="replace"))
