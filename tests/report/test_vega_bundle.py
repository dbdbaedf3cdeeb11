"""The drawing library and where it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wotemu_report.page import vega_bundle


@pytest.fixture
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(vega_bundle, "_bundle", lambda wanted: f"made for {wanted}")
    vega_bundle.script.cache_clear()
    yield tmp_path / "wotemu"
    vega_bundle.script.cache_clear()


def test_it_is_made_once_and_then_read(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = vega_bundle.script()
    [kept] = cache_dir.iterdir()
    assert kept.read_text() == made
    vega_bundle.script.cache_clear()
    monkeypatch.setattr(vega_bundle, "_bundle", None)
    assert vega_bundle.script() == made


@pytest.mark.usefixtures("cache_dir")
def test_what_another_user_has_put_there_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    vega_bundle.script()
    vega_bundle.script.cache_clear()
    monkeypatch.setattr("os.geteuid", lambda: 4242)
    monkeypatch.setattr(vega_bundle, "_bundle", lambda wanted: "made again")
    assert vega_bundle.script() == "made again"


def test_a_cache_that_cannot_be_written_does_no_harm(cache_dir: Path) -> None:
    cache_dir.write_text("a file where the directory should be")
    assert vega_bundle.script().startswith("made for")
