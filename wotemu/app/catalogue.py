"""Client of WoTPy's catalogue of Things: reads its list, and as few Thing Descriptions as possible."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp

USER_AGENT = "WoTemu"
"""By which requests of this client are left out of those that are counted from packets."""
MAX_SINGLE_READS = 2
"""Descriptions that are read one by one to find an id, before the catalogue is asked for all of them."""

_ids: dict[tuple[str, int, str], str] = {}
"""Ids of Things that this process has seen, by host, port and title: the catalogue's list has only titles."""


def quoted(names: Iterable[str]) -> str:
    """The names in quotes and in order, for messages; ``none`` where there are none."""
    return ", ".join(map(repr, sorted(names))) or "none"


def session(timeout_s: float) -> aiohttp.ClientSession:
    """A client for a few requests, each of which may take `timeout_s`."""
    import aiohttp  # heavy, and only apps that look for others need it

    timeout = aiohttp.ClientTimeout(total=timeout_s)
    return aiohttp.ClientSession(timeout=timeout, headers={"User-Agent": USER_AGENT})


class Catalogue:
    """The catalogue of one host. `paths` maps each Thing's title to the path of its description."""

    def __init__(self, client: aiohttp.ClientSession, host: str, port: int) -> None:
        """A catalogue that is still empty.

        Args:
            client: The session of all its requests.
            host: Where the catalogue is served.
            port: The TCP port of its server.
        """
        self._client = client
        self._host = host
        self._port = port
        self._descriptions: dict[str, dict[str, Any]] = {}
        self.paths: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Catalogue({self._host}:{self._port}, {self.names()})"

    def names(self) -> list[str]:
        """The titles of its Things, and their ids where this process knows them."""
        ids = (_ids.get((self._host, self._port, title)) for title in self.paths)
        return sorted({*self.paths, *filter(None, ids)})

    async def load(self) -> None:
        """Read the list.

        Raises:
            OSError: the catalogue can't be reached or answers with an error status; or TimeoutError.
            ValueError: the answer is no catalogue.
        """
        for title, found in (await self._get("/")).items():
            if isinstance(found, dict):  # other implementations list whole descriptions
                self._learn(title, found)
            self.paths[title] = found if isinstance(found, str) else "/"

    async def title_of(self, name: str) -> str | None:
        """The title of the Thing with this title or id, None where there is none; raises as `load` does."""
        if name in self.paths:
            return name
        return self._known(name) or await self._search(name)

    async def description(self, title: str) -> dict[str, Any]:
        """The description of the Thing with this title; raises as `load` does."""
        if title not in self._descriptions:
            self._learn(title, await self._get(self.paths[title]))
        return self._descriptions[title]

    def _known(self, wanted: str) -> str | None:
        return next((title for title in self.paths if _ids.get(self._key(title)) == wanted), None)

    async def _search(self, wanted: str) -> str | None:
        """Read descriptions until one has the id."""
        unknown = [title for title in self.paths if self._key(title) not in _ids]
        names = {title: self.paths[title].strip("/") for title in unknown}
        # Ids often contain the title (urn:dev:lamp7): those first, the longest title first.
        unknown.sort(key=lambda title: (names[title] not in wanted.lower(), -len(names[title])))
        for title in unknown[:MAX_SINGLE_READS]:
            if (await self.description(title)).get("id") == wanted:
                return title
        if len(unknown) > MAX_SINGLE_READS:
            for title, found in (await self._get("/", expanded="true")).items():
                self._learn(title, found)
        return self._known(wanted)

    def _learn(self, title: str, description: dict[str, Any]) -> None:
        self._descriptions[title] = description
        _ids[self._key(title)] = str(description.get("id", ""))

    def _key(self, title: str) -> tuple[str, int, str]:
        return self._host, self._port, title

    async def _get(self, path: str, **params: str) -> dict[str, Any]:
        import aiohttp

        url = f"http://{self._host}:{self._port}{path}"
        try:
            async with self._client.get(url, params=params) as answer:
                answer.raise_for_status()
                found = json.loads(await answer.read())
        except aiohttp.ClientError as error:
            raise ConnectionError(str(error) or type(error).__name__) from error
        if isinstance(found, dict):
            return found
        raise ValueError(f"{url} is no catalogue of Things")
