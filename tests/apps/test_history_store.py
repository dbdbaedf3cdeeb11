"""What a historian stores, and how it answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from wotemu.errors import InputError
from wotemu_runtime.apps._history_store import MongoStore, Sample, SqliteStore, Wanted, first_of_buckets

TEMPERATURE, LEVEL = ("oven", "urn:oven", "temperature"), ("tank", "urn:tank", "level")


def samples(count: int) -> list[Sample]:
    return [Sample(TEMPERATURE, float(second), {"it": second}) for second in range(count)]


async def test_samples_are_found_by_time_and_property() -> None:
    store = await SqliteStore.open(":memory:")
    await store.add([*samples(5), Sample(LEVEL, 2.5, 7), Sample(TEMPERATURE, 3.0, "again")])
    found = await store.find(Wanted(from_s=2.0, to_s=4.0))
    assert [(each.key[0], each.unix_s, each.value) for each in found] == [
        ("oven", 2.0, {"it": 2}),
        ("tank", 2.5, 7),
        ("oven", 3.0, "again"),
    ]
    assert [each.value for each in await store.find(Wanted(from_s=0, name="level"))] == [7]
    assert await store.find(Wanted(from_s=0, host="nowhere")) == []
    assert await store.keys() == [TEMPERATURE, LEVEL]
    await store.close()


async def test_a_file_has_them_after_a_restart(tmp_path: Path) -> None:
    file = str(tmp_path / "history.db")
    store = await SqliteStore.open(file)
    await store.add(samples(3))
    await store.close()
    again = await SqliteStore.open(file)
    assert len(await again.find(Wanted(from_s=0))) == 3
    await again.close()


async def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is a text, and long enough not to be taken for an empty file")
    with pytest.raises(InputError, match="can't be opened"):
        await SqliteStore.open(str(tmp_path / "text"))
    with pytest.raises(InputError, match="can't be opened"):
        await SqliteStore.open(str(tmp_path / "none" / "file"))


@pytest.mark.parametrize(
    ("count", "buckets", "wanted"),
    [(10, 1, [0]), (10, 3, [0, 3, 6]), (2, 5, [0, 1]), (0, 3, []), (4, 4, [0, 1, 2, 3])],
)
def test_each_bucket_gives_its_first(count: int, buckets: int, wanted: list[int]) -> None:
    assert [each.unix_s for each in first_of_buckets(samples(count), buckets)] == wanted


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # PyMongo leaves sockets
async def test_a_database_that_is_away_is_named_without_its_password() -> None:
    pytest.importorskip("pymongo", reason="PyMongo is not installed")
    with pytest.raises(
        InputError, match=r"no MongoDB answers at mongodb://127\.0\.0\.1:1 within 0\.2 s"
    ) as caught:
        await MongoStore.open("mongodb://user:secret@127.0.0.1:1", "db", 0.2)
    assert "secret" not in str(caught.value)
