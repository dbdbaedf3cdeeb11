"""Where a historian stores values: SQLite, in memory or a file, or a MongoDB server."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs

from wotemu.errors import InputError

Key = tuple[str, str, str]
"""The host of a Thing, its id, and the name of a property."""


@attrs.frozen
class Sample:
    """A value that a property had.

    Attributes:
        key: Of which property.
        unix_s: Seconds since the epoch.
        value: Any JSON value.
    """

    key: Key
    unix_s: float
    value: Any


@attrs.frozen(kw_only=True)
class Wanted:
    """Which samples are asked for; what is None does not restrict them.

    Attributes:
        from_s: Seconds since the epoch, the first that counts.
        to_s: The first that does not count any more.
        host, thing_id, name: The parts of a `Key`.
    """

    from_s: float
    to_s: float | None = None
    host: str | None = None
    thing_id: str | None = None
    name: str | None = None


class HistoryStore(Protocol):
    """Samples by property and time."""

    async def add(self, samples: Sequence[Sample]) -> None:
        """Store samples; one of the same property and time is replaced."""
        ...

    async def find(self, wanted: Wanted) -> list[Sample]:
        """The samples, by time."""
        ...

    async def keys(self) -> list[Key]:
        """The properties that there are samples of, sorted."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


def first_of_buckets(samples: Sequence[Sample], buckets: int) -> list[Sample]:
    """The first sample of each of so many buckets of about equal size, as of MongoDB's ``$bucketAuto``.

    Args:
        samples: By time.
        buckets: How many, one at least; fewer come out where there are fewer samples.
    """
    count = min(max(buckets, 1), len(samples))
    return [samples[number * len(samples) // count] for number in range(count)]


_SCHEMA = """
CREATE TABLE IF NOT EXISTS samples
  (host TEXT, thing_id TEXT, name TEXT, unix_s REAL, value TEXT, PRIMARY KEY (host, thing_id, name, unix_s));
CREATE INDEX IF NOT EXISTS by_time ON samples (unix_s);
"""


class SqliteStore:
    """A `HistoryStore` in SQLite; its statements run in a thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, database: str) -> SqliteStore:
        """Open a file, made where there is none, or ``:memory:``.

        Raises:
            InputError: It can't be opened, or is no database of SQLite.
        """
        try:
            return cls(await asyncio.to_thread(_opened, database))
        except sqlite3.Error as error:
            raise InputError(
                f"{database!r} can't be opened: {error}", hint="give the path of a file of SQLite's, or none"
            ) from error

    async def add(self, samples: Sequence[Sample]) -> None:
        """See `HistoryStore`."""
        rows = [(*each.key, each.unix_s, json.dumps(each.value)) for each in samples]
        await self._run(lambda: _add(self._connection, rows))

    async def find(self, wanted: Wanted) -> list[Sample]:
        """See `HistoryStore`."""
        terms, values = ["unix_s >= ?"], [wanted.from_s]
        for column, value in (("host", wanted.host), ("thing_id", wanted.thing_id), ("name", wanted.name)):
            if value is not None:
                terms.append(f"{column} = ?")
                values.append(value)  # type: ignore[arg-type]  # SQLite takes both
        if wanted.to_s is not None:
            terms.append("unix_s < ?")
            values.append(wanted.to_s)
        query = f"SELECT * FROM samples WHERE {' AND '.join(terms)} ORDER BY unix_s"  # noqa: S608  # constants
        rows = await self._run(lambda: self._connection.execute(query, values).fetchall())
        return [
            Sample((host, thing, name), unix_s, json.loads(text)) for host, thing, name, unix_s, text in rows
        ]

    async def keys(self) -> list[Key]:
        """See `HistoryStore`."""
        query = "SELECT DISTINCT host, thing_id, name FROM samples ORDER BY host, thing_id, name"
        return [tuple(row) for row in await self._run(lambda: self._connection.execute(query).fetchall())]

    async def close(self) -> None:
        """See `HistoryStore`."""
        await self._run(self._connection.close)

    async def _run(self, work: Any) -> Any:
        async with self._lock:  # one connection, one statement at a time
            return await asyncio.to_thread(work)


def _opened(database: str) -> sqlite3.Connection:
    connection = sqlite3.connect(database, check_same_thread=False)
    try:
        connection.executescript(_SCHEMA)
    except BaseException:  # such as a file that is no database
        connection.close()
        raise
    return connection


def _add(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    with connection:
        connection.executemany("INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?, ?)", rows)


class MongoStore:
    """A `HistoryStore` on a MongoDB server, through PyMongo's asyncio client."""

    def __init__(self, client: Any, database: str) -> None:
        self._client = client
        self._samples = client[database].samples

    @classmethod
    async def open(cls, uri: str, database: str, timeout_s: float) -> MongoStore:
        """Connect, and make the index.

        Args:
            uri: ``mongodb://HOST``.
            database: The database's name.
            timeout_s: How long the server is waited for.

        Raises:
            InputError: PyMongo is not installed, or no server answers in time.
        """
        try:
            import pymongo
            from pymongo.errors import PyMongoError
        except ImportError as error:
            raise InputError(
                "PyMongo is not installed", hint="pip install 'pymongo>=4.9', or give no mongo_uri"
            ) from error
        client: Any = None
        try:
            client = pymongo.AsyncMongoClient(uri, serverSelectionTimeoutMS=int(timeout_s * 1000))
            await client.admin.command("ping")
        except PyMongoError as error:
            if client is not None:
                await client.close()
            raise InputError(
                f"no MongoDB answers at {_without_password(uri)} within {timeout_s:g} s",
                hint="is it a service of this node's, Node(services=[...])?",
            ) from error
        store = cls(client, database)
        await store._samples.create_index(
            [("host", 1), ("thing_id", 1), ("name", 1), ("unix_s", 1)], unique=True
        )
        return store

    async def add(self, samples: Sequence[Sample]) -> None:
        """See `HistoryStore`."""
        for each in samples:
            place = {**_named(each.key), "unix_s": each.unix_s}
            await self._samples.replace_one(place, {**place, "value": each.value}, upsert=True)

    async def find(self, wanted: Wanted) -> list[Sample]:
        """See `HistoryStore`."""
        given = {"host": wanted.host, "thing_id": wanted.thing_id, "name": wanted.name}
        query: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        query["unix_s"] = {"$gte": wanted.from_s} | ({} if wanted.to_s is None else {"$lt": wanted.to_s})
        found = self._samples.find(query).sort("unix_s")
        return [Sample(_key(row), row["unix_s"], row["value"]) async for row in found]

    async def keys(self) -> list[Key]:
        """See `HistoryStore`."""
        group = {"$group": {"_id": {"host": "$host", "thing_id": "$thing_id", "name": "$name"}}}
        return sorted([_key(row["_id"]) async for row in await self._samples.aggregate([group])])

    async def close(self) -> None:
        """See `HistoryStore`."""
        await self._client.close()


def _named(key: Key) -> dict[str, str]:
    return dict(zip(("host", "thing_id", "name"), key, strict=True))


def _key(row: Mapping[str, Any]) -> Key:
    return row["host"], row["thing_id"], row["name"]


def _without_password(uri: str) -> str:
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
