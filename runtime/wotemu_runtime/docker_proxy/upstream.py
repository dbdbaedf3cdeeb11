"""Reads Docker's own API over its Unix socket: the only requests that ever reach it are made here."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
from yarl import URL

from wotemu_runtime.docker_proxy.decision import Decision, Kind
from wotemu_runtime.docker_proxy.elements import Elements

CHUNK = 64 * 1024
_logger = logging.getLogger(__name__)


class UpstreamError(Exception):
    """Docker did not give what was asked for; `status` and the message are for the one who asked."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Upstream:
    """A client of Docker's socket at `path`. At most `connections` requests go on at once."""

    def __init__(self, path: str, *, connections: int, timeout_s: float, max_object: int) -> None:
        self._path = path
        self._max_object = max_object
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(path, limit=connections),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            headers={"Host": "docker", "User-Agent": "wotemu"},
        )

    def __repr__(self) -> str:
        return f"Upstream({self._path!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def ping(self, version: str) -> dict[str, str]:
        """The headers of Docker's answer to a ping."""
        async with self._get(Decision(True, kind="ping", version=version)) as response:
            return {
                name: response.headers[name] for name in ("Api-Version", "OSType") if name in response.headers
            }

    async def one(self, decision: Decision) -> dict[str, Any]:
        """One object."""
        async with self._get(decision) as response:
            body = await response.content.read(self._max_object + 1)
            while len(body) <= self._max_object and (more := await response.content.read(CHUNK)):
                body += more
            if len(body) > self._max_object:
                raise UpstreamError(502, "the Docker daemon's answer is too large")
            try:
                found = json.loads(body)
            except ValueError:
                found = None
            if not isinstance(found, dict):
                raise UpstreamError(502, "the Docker daemon's answer is not an object")
            return found

    async def each(self, decision: Decision) -> AsyncGenerator[dict[str, Any], None]:
        """The objects of a list, as they come."""
        async with self._get(decision) as response:
            elements = Elements(self._max_object)
            try:
                async for chunk in response.content.iter_chunked(CHUNK):
                    for element in elements.feed(chunk):
                        yield element
            except ValueError as error:
                raise UpstreamError(502, f"the Docker daemon's answer is {error}") from error
            if not elements.ended:
                raise UpstreamError(502, "the Docker daemon's answer ended too early")

    def all(self, version: str, kind: Kind) -> AsyncGenerator[dict[str, Any], None]:
        """Everything of a kind."""
        return self.each(Decision(True, kind=kind, version=version))

    @asynccontextmanager
    async def _get(self, decision: Decision) -> AsyncIterator[aiohttp.ClientResponse]:
        url = URL(f"http://docker{decision.target}", encoded=True)
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != 200:
                    raise await self._refused(decision, response)
                yield response
        except TimeoutError as error:
            raise UpstreamError(504, "the Docker daemon did not answer in time") from error
        except aiohttp.ClientError as error:
            _logger.warning("%s: %s", decision.target, error)
            raise UpstreamError(502, "the Docker daemon can't be reached") from error

    @staticmethod
    async def _refused(decision: Decision, response: aiohttp.ClientResponse) -> UpstreamError:
        """Docker's own words stay here: they may quote what is not the client's to know."""
        text = (await response.content.read(2000)).decode(errors="replace")
        _logger.warning("%s: status %d: %s", decision.target, response.status, text.strip())
        if response.status == 404:
            return missing(decision)
        if response.status == 400:
            return UpstreamError(400, "the Docker daemon does not take this request")
        return UpstreamError(502, f"the Docker daemon answered with status {response.status}")


def missing(decision: Decision) -> UpstreamError:
    """What is another stack's is as good as not there."""
    return UpstreamError(404, f"this stack has no {decision.kind.removesuffix('s')} {decision.name!r}")


__all__ = ["Upstream", "UpstreamError", "missing"]
