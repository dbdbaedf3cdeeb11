"""Which records of a source are missing, by the accounts of its lives."""

from __future__ import annotations

from wotemu_runtime.bus import Origin, decode_origin
from wotemu_runtime.recording.deduplication import Deduplicator


def test_what_another_coordinator_may_have_taken_is_not_missing() -> None:
    deduplicator, origin = Deduplicator(resumed=True), Origin("agent:a", 1.0, 500)
    deduplicator.accept("app", [[1.0, "a", "key", 1.0]], origin)
    deduplicator.account(origin, {"app": 503, "system": 40})
    assert list(deduplicator.missing()) == [("agent:a", "app", 2)]
    assert list(deduplicator.missing()) == []


def test_each_life_of_a_role_has_its_own_count() -> None:
    deduplicator = Deduplicator()
    first, second = Origin("agent:a", 1.0, 0), Origin("agent:a", 2.0, 0)
    deduplicator.accept("app", [[1.0, "a", "key", 1.0]] * 3, first)
    deduplicator.supersede("agent:a", 2.0, 5.0)
    deduplicator.account(second, {"app": 4})
    assert list(deduplicator.missing()) == [("agent:a", "app", 4)]
    assert deduplicator.has_account("agent:a")
    assert decode_origin({}) is None
