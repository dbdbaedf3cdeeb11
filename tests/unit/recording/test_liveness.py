"""Who is silent, lost and back is told once each, with how long it was away."""

from __future__ import annotations

from wotemu_runtime.recording.liveness import SILENT_AFTER_S, Liveness


def present(*roles: str) -> Liveness:
    liveness = Liveness()
    for role in roles:
        assert liveness.ready(role, 0.0, "one") == []
    return liveness


def test_silence_is_told_once_and_so_is_its_end() -> None:
    liveness = present("agent:a", "agent:b")
    liveness.heard("agent:b", 5.0)
    late = SILENT_AFTER_S + 0.1
    (silent,) = liveness.fell_silent(late)
    assert (silent.kind, silent.data["role"], silent.data["since"]) == ("role.silent", "agent:a", 0.0)
    assert liveness.fell_silent(late + 1) == []
    (heard,) = liveness.heard("agent:a", 9.0)
    assert (heard.kind, heard.data["silent_s"]) == ("role.heard", 9.0)
    assert liveness.heard("agent:a", 10.0) == []


def test_a_lost_role_is_back_when_it_is_ready_again_and_was_away_since_it_was_last_heard() -> None:
    liveness = present("agent:a")
    liveness.heard("agent:a", 3.0)
    (lost,) = liveness.lost("agent:a", 20.0, "its machine is gone")
    assert (lost.kind, lost.data["since"], lost.data["host"]) == ("role.lost", 3.0, "one")
    assert liveness.lost("agent:a", 21.0, "another task has its place") == []
    assert liveness.lost_roles == {"agent:a"}
    assert liveness.ready_roles == set()
    assert liveness.heard("agent:a", 22.0) == [], "what was under way says nothing of it"
    (back,) = liveness.ready("agent:a", 25.0, "two")
    assert (back.kind, back.data["gap_s"], back.data["before"], back.data["host"]) == (
        "role.back",
        22.0,
        "one",
        "two",
    )
    assert liveness.ready_roles == {"agent:a"}


def test_a_role_that_is_ready_twice_was_away_although_nobody_saw_it() -> None:
    liveness = present("gateway:field")
    liveness.heard("gateway:field", 4.0)
    (back,) = liveness.ready("gateway:field", 6.5, "one")
    assert (back.kind, back.data["gap_s"]) == ("role.back", 2.5)


def test_nobody_is_silent_while_the_bus_is_away() -> None:
    liveness = present("agent:a")
    liveness.reset_deadlines(30.0)
    assert liveness.fell_silent(31.0) == []
    assert len(liveness.fell_silent(30.1 + SILENT_AFTER_S)) == 1


def test_the_silence_of_a_role_that_has_nothing_to_send_says_nothing() -> None:
    liveness = present("agent:a")
    assert liveness.ready("limits:one", 0.0, "one", sends_nothing=True) == []
    assert [event.data["role"] for event in liveness.fell_silent(100.0)] == ["agent:a"]
    assert [event.kind for event in liveness.lost("limits:one", 101.0, "killed")] == ["role.lost"]
