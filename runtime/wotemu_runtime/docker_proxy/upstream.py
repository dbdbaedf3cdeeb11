"""Reads Docker's API over its Unix socket. Every request that the proxy makes of Docker is made here."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
from yarl import URL

from wotemu_runtime.docker_proxy.decision import Decision, Kind
from wotemu_runtime.docker_proxy.json_array import JsonArrayParser

CHUNK = 64 * 1024
_logger = logging.getLogger(__name__)


class UpstreamError(Exception):
    """Docker did not answer as requested; `status` and the message go to the client."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Upstream:
    """A client of Docker's API.

    Args:
        path: The Unix socket.
        connections: Requests that may be under way at once; others wait.
        timeout_s: Longest time of a request.
        max_object: Longest object, in bytes or characters.
    """

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
        """The headers of Docker's answer to a ping by which clients choose the API's version."""
        async with self._get(Decision(True, kind="ping", version=version)) as response:
            return {
                name: response.headers[name] for name in ("Api-Version", "OSType") if name in response.headers
            }

    async def one(self, decision: Decision) -> dict[str, Any]:
        """Request one object.

        Raises:
            UpstreamError: It is not_found, too large or malformed, or Docker can't be reached.
        """
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
        """Request a list, and yield its objects as they arrive.

        Raises:
            UpstreamError: The list is malformed or cut short, or Docker can't be reached.
        """
        async with self._get(decision) as response:
            parser = JsonArrayParser(self._max_object)
            try:
                async for chunk in response.content.iter_chunked(CHUNK):
                    for element in parser.feed(chunk):
                        yield element
            except ValueError as error:
                raise UpstreamError(502, f"the Docker daemon's answer is {error}") from error
            if not parser.is_complete:
                raise UpstreamError(502, "the Docker daemon's answer ended too early")

    def all(self, version: str, kind: Kind) -> AsyncGenerator[dict[str, Any], None]:
        """Request all objects of a kind."""
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
        """The error for a client. Docker's text is only logged: it may quote what the client may not see."""
        text = (await response.content.read(2000)).decode(errors="replace")
        _logger.warning("%s: status %d: %s", decision.target, response.status, text.strip())
        if response.status == 404:
            return not_found(decision)
        if response.status == 400:
            return UpstreamError(400, "the Docker daemon does not take this request")
        return UpstreamError(502, f"the Docker daemon answered with status {response.status}")


def not_found(decision: Decision) -> UpstreamError:
    """The error for an object that does not exist, or is another stack's."""
    return UpstreamError(404, f"this stack has no {decision.kind.removesuffix('s')} {decision.name!r}")


__all__ = ["Upstream", "UpstreamError", "not_found"]
