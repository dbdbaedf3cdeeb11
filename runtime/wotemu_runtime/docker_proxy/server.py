"""The proxy's HTTP server: one request a connection, limits on all resources, answers stripped by `strip`."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar, cast

import attrs
from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.web_protocol import RequestHandler

from wotemu_runtime.docker_proxy.decision import MAX_TARGET, Decision, decide
from wotemu_runtime.docker_proxy.strip import belongs_to_stack, strip
from wotemu_runtime.docker_proxy.upstream import Upstream, UpstreamError, not_found

_logger = logging.getLogger(__name__)
_QUIET = logging.getLogger(f"{__name__}.connections")
# aiohttp logs each request that it can't parse: any client could fill the log.
_QUIET.disabled = True

Response = TypeVar("Response", bound=web.StreamResponse)

_JSON = {"Content-Type": "application/json"}


@attrs.frozen(kw_only=True)
class ProxyLimits:
    """Resources that one client, and all clients together, may use."""

    connections: int = 64
    connections_per_client: int = 8
    """Connections from one address, so that no client keeps the others out."""
    docker_connections: int = 8
    connection_s: float = 30.0
    """Time from connecting to the last byte of the answer, in seconds."""
    docker_s: float = 20.0
    header_bytes: int = 8 * 1024
    object_bytes: int = 4 * 1024**2
    answer_bytes: int = 64 * 1024**2


class _Connection(RequestHandler):
    """One connection. It is aborted at its deadline, whatever its state: a slow client must not hold it."""

    def __init__(self, proxy: Proxy, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._proxy = proxy
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline, or abort the connection if there are too many."""
        super().connection_made(transport)
        client, limits = transport.get_extra_info("peername")[0], self._proxy.limits
        of_client = sum(each == client for each in self._proxy.open.values())
        if len(self._proxy.open) >= limits.connections or of_client >= limits.connections_per_client:
            cast(asyncio.Transport, transport).abort()
            return
        self._proxy.open[self] = client
        abort = cast(asyncio.Transport, transport).abort
        self._deadline = asyncio.get_running_loop().call_later(self._proxy.limits.connection_s, abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Cancel the deadline."""
        super().connection_lost(exc)
        self._proxy.open.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  # it quotes the request
    ) -> web.StreamResponse:
        """Answer a request that can't be parsed in the same form as all others."""
        if status >= 500:
            _logger.error("%s %s", request.method, request.raw_path, exc_info=exc)
        return _error(status, "this is no request that can be read" if status < 500 else "the proxy failed")


class _Server(web.Server):
    def __init__(self, proxy: Proxy) -> None:
        super().__init__(proxy.answer)
        self._proxy = proxy

    def __call__(self) -> _Connection:
        size = self._proxy.limits.header_bytes
        return _Connection(
            self._proxy,
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,
            logger=_QUIET,
            keepalive_timeout=0,
            lingering_time=0,
            max_line_size=MAX_TARGET + 100,
            max_field_size=size,
            auto_decompress=False,
        )


class Proxy:
    """Serves one stack's view of a Docker daemon.

    Args:
        stack: The stack whose objects may be read.
        socket_path: The daemon's Unix socket.
        limits: Resources that clients may use.
    """

    def __init__(self, stack: str, socket_path: str, limits: ProxyLimits | None = None) -> None:
        self.limits = limits or ProxyLimits()
        self.open: dict[_Connection, str] = {}
        """The open connections and their clients' addresses."""
        self._stack = stack
        self._socket_path = socket_path
        self._docker: Upstream | None = None

    def __repr__(self) -> str:
        return f"Proxy({self._stack!r}, {self._socket_path!r}, connections={len(self.open)})"

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
        """Serve until the block is left.

        Yields:
            The host and the port; the kernel chooses one for port 0.
        """
        limits = self.limits
        async with Upstream(
            self._socket_path,
            connections=limits.docker_connections,
            timeout_s=limits.docker_s,
            max_object=limits.object_bytes,
        ) as self._docker:
            serving = _Server(self)
            server = await asyncio.get_running_loop().create_server(serving, host, port)
            try:
                yield server.sockets[0].getsockname()[:2]
            finally:
                server.close()
                await serving.shutdown(1.0)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if request.version not in (HttpVersion10, HttpVersion11):
            return _error(400, "wotemu's Docker API proxy speaks HTTP/1.1")
        decision = decide(request.method, request.raw_path, request.headers.items())
        if not decision.allowed:
            return _error(403, f"wotemu's Docker API proxy refuses this: {decision.reason}")
        assert self._docker is not None  # noqa: S101  # only requests of `listening` come here
        view = StackView(self._docker, self._stack, decision)
        try:
            if decision.kind == "ping":
                return _final(web.Response(text="OK", headers=await self._docker.ping(decision.version)))
            if decision.kind == "version" or decision.name is not None:
                return _json(200, await view.one())
            return await self._stream(request, view)
        except UpstreamError as error:
            return _error(error.status, str(error))

    async def _stream(self, request: web.BaseRequest, view: StackView) -> web.StreamResponse:
        async with aclosing(view.each()) as objects:
            return await self._send(request, view, objects)

    async def _send(
        self, request: web.BaseRequest, view: StackView, objects: AsyncIterator[Any]
    ) -> web.StreamResponse:
        first = await anext(objects, None)  # an error before the first object still gets its own status
        response = _final(web.StreamResponse(headers=_JSON))
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        sent = 0
        try:
            lead = "["
            while first is not None:
                data = (lead + json.dumps(first)).encode()
                sent += len(data)
                if sent > self.limits.answer_bytes:
                    raise UpstreamError(502, f"an answer of more than {self.limits.answer_bytes} bytes")
                await response.write(data)
                lead, first = ",", await anext(objects, None)
            await response.write(b"]" if sent else b"[]")
        except UpstreamError as error:
            _logger.warning("%s: cut short: %s", view, error)
            cast(
                asyncio.Transport, request.transport
            ).abort()  # the client must not take the part for the whole
        return response


class StackView:
    """Docker's objects that belong to the stack, stripped, for one request."""

    def __init__(self, docker: Upstream, stack: str, decision: Decision) -> None:
        self._docker = docker
        self._stack = stack
        self._decision = decision

    def __repr__(self) -> str:
        return f"StackView({self._stack!r}, {self._decision.target!r})"

    async def one(self) -> Any:
        """The requested object.

        Raises:
            UpstreamError: There is none, or it is another stack's, which the error does not tell apart.
        """
        decision = self._decision
        found = await self._docker.one(decision)
        if not await self._is_ours(found):
            raise not_found(decision)
        return strip(decision.kind, found)

    async def each(self) -> AsyncGenerator[Any, None]:
        """Those of the requested objects that belong to the stack, as they arrive."""
        kind = self._decision.kind
        ours: set[str] = set()
        if kind == "tasks":
            ours = await self._own_services()
        elif kind == "nodes":
            ours = await self._own_nodes()
        async with aclosing(self._docker.each(self._decision)) as objects:
            async for found in objects:
                if self._in_list(found, ours):
                    yield strip(kind, found)

    def _in_list(self, found: dict[str, Any], ours: set[str]) -> bool:
        match self._decision.kind:
            case "tasks":
                return found.get("ServiceID") in ours
            case "nodes":
                return found.get("ID") in ours
            case kind:
                return belongs_to_stack(kind, found, self._stack)

    async def _is_ours(self, found: dict[str, Any]) -> bool:
        match self._decision.kind:
            case "version":
                return True
            case "tasks":
                return found.get("ServiceID") in await self._own_services()
            case "nodes":
                return found.get("ID") in await self._own_nodes()
            case kind:
                return belongs_to_stack(kind, found, self._stack)

    async def _own_services(self) -> set[str]:
        services = self._docker.all(self._decision.version, "services")
        return {found["ID"] async for found in services if belongs_to_stack("services", found, self._stack)}

    async def _own_nodes(self) -> set[str]:
        """Ids of the machines that have a task of the stack."""
        services = await self._own_services()
        tasks = self._docker.all(self._decision.version, "tasks")
        ours = (task async for task in tasks if task.get("ServiceID") in services)
        return {task["NodeID"] async for task in ours if task.get("NodeID")}


def _error(status: int, message: str) -> web.StreamResponse:
    return _json(status, {"message": message})


def _json(status: int, value: Any) -> web.StreamResponse:
    """Docker's own clients read a message only from this very content type, without a charset."""
    return _final(web.Response(status=status, body=json.dumps(value).encode(), headers=_JSON))


def _final(response: Response) -> Response:
    """Set the headers of every answer; the connection is closed after it."""
    response.headers["Server"] = "wotemu"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.force_close()
    return response


__all__ = ["Proxy", "ProxyLimits", "StackView"]
