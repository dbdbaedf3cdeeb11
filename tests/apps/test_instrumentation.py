"""Measuring changes nothing that an app can see."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from reactivex import Observable, create, throw
from reactivex.subject import Subject
from wotpy.wot.consumed.thing import ConsumedThing
from wotpy.wot.servient import Servient
from wotpy.wot.td import ThingDescription

from wotemu_runtime.app_process.measuring.interaction_meter import MAX_ERROR, Meter, outcome
from wotemu_runtime.app_process.measuring.payload_size import item_measured, json_size
from wotemu_runtime.app_process.measuring.wotpy_hooks import install

from .lamp import DESCRIPTION, LAMP, Recorder


class FakeClient:
    """A protocol client without a protocol."""

    protocol = "FAKE"

    def __init__(self, answer: Any = None, source: Observable[Any] | None = None) -> None:
        self.answer = answer
        self.source = source

    def is_supported_interaction(self, td: Any, name: str) -> bool:
        return True

    async def read_property(self, td: Any, name: str, timeout: float | None = None) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def on_event(self, td: Any, name: str) -> Any:
        if self.source is None:
            raise LookupError("no form")
        return self.source


class FakeServient(Servient):  # type: ignore[misc]  # WoTPy has no types
    """A servient that chooses its only client in a way of its own."""

    def __init__(self, client: FakeClient) -> None:
        super().__init__(hostname="here", catalogue_port=None, clients=[client])
        self.client = client
        self.choices = 0

    def select_client(self, td: Any, name: str) -> Any:
        self.choices += 1
        return self.client


def lamp(client: FakeClient) -> Any:
    return ConsumedThing(FakeServient(client), ThingDescription(DESCRIPTION))


async def test_a_result_is_the_very_object_that_the_binding_returned(recorder: Recorder) -> None:
    answer = {"deep": [1, 2]}
    assert await lamp(FakeClient(answer)).read_property("level") is answer


async def test_an_exception_is_the_very_object_that_the_binding_raised(recorder: Recorder) -> None:
    error = LookupError("x" * 1000)
    with pytest.raises(LookupError) as raised:
        await lamp(FakeClient(error)).read_property("level")
    assert raised.value is error
    (record,) = recorder.records
    assert record.error == f"LookupError: {'x' * 1000}"[:MAX_ERROR]


async def test_a_servients_own_choice_of_a_client_is_asked_once_and_named(recorder: Recorder) -> None:
    thing = lamp(FakeClient(1))
    await thing.read_property("level")
    assert thing.servient.choices == 1
    assert (recorder.records[0].binding, recorder.records[0].thing) == ("fake", LAMP)


async def test_methods_keep_their_names_and_signatures(recorder: Recorder) -> None:
    assert inspect.iscoroutinefunction(ConsumedThing.read_property)
    assert ConsumedThing.read_property.__name__ == "read_property"
    assert list(inspect.signature(ConsumedThing.on_event).parameters) == ["self", "name", "client_kwargs"]


async def test_arguments_may_be_given_by_name(recorder: Recorder) -> None:
    assert await lamp(FakeClient(1)).read_property(name="level", timeout=3) == 1
    assert recorder.records[0].name == "level"


async def test_a_payload_that_is_no_json_has_no_size(recorder: Recorder) -> None:
    await lamp(FakeClient(object())).read_property("level")
    assert (recorder.records[0].bytes, recorder.records[0].status) == (None, "ok")


async def test_a_subscription_that_fails_ends_once_with_its_error(recorder: Recorder) -> None:
    errors: list[Exception] = []
    error = RuntimeError("gone")
    observable = lamp(FakeClient(source=throw(error))).on_event("flash")
    observable.subscribe(on_error=errors.append).dispose()
    assert errors == [error]
    assert [(r.stage, r.status, r.error) for r in recorder.records] == [
        ("subscribe", "ok", ""),
        ("end", "failed", "RuntimeError: gone"),
    ]


async def test_a_subscription_that_completes_ends_once(recorder: Recorder) -> None:
    subject: Subject[Any] = Subject()
    completed: list[bool] = []
    observable = lamp(FakeClient(source=subject)).on_event("flash")
    subscription = observable.subscribe(on_completed=lambda: completed.append(True))
    subject.on_completed()
    subscription.dispose()
    assert completed == [True]
    assert [(r.stage, r.status) for r in recorder.records] == [("subscribe", "ok"), ("end", "ok")]


async def test_unsubscribing_reaches_the_binding(recorder: Recorder) -> None:
    left: list[bool] = []
    source = create(lambda observer, scheduler: lambda: left.append(True))
    lamp(FakeClient(source=source)).on_event("flash").subscribe().dispose()
    assert left == [True]


async def test_nothing_is_subscribed_to_before_the_app_does(recorder: Recorder) -> None:
    begun: list[bool] = []
    source = create(lambda observer, scheduler: begun.append(True))
    observable = lamp(FakeClient(source=source)).on_event("flash")
    assert (begun, recorder.records) == ([], [])
    observable.subscribe()
    observable.subscribe()
    assert begun == [True, True]
    assert [r.stage for r in recorder.records] == ["subscribe", "subscribe"]


async def test_a_subscription_that_cannot_be_made_raises_and_is_recorded(recorder: Recorder) -> None:
    with pytest.raises(LookupError):
        lamp(FakeClient()).on_event("flash")
    assert [(r.stage, r.status, r.error) for r in recorder.records] == [
        ("subscribe", "failed", "LookupError: no form")
    ]


async def test_an_exception_of_the_apps_own_callback_takes_its_usual_way(recorder: Recorder) -> None:
    subject: Subject[Any] = Subject()

    def fail(item: Any) -> None:
        raise ZeroDivisionError

    lamp(FakeClient(source=subject)).on_event("flash").subscribe(on_next=fail)
    with pytest.raises(ZeroDivisionError):
        subject.on_next("item")


def test_wotpy_is_as_it_was_once_the_meter_is_taken_out() -> None:
    before = dict(vars(ConsumedThing)), Servient.select_client
    with install(Meter("n", Recorder())):
        assert dict(vars(ConsumedThing)) != before[0]
    assert (dict(vars(ConsumedThing)), Servient.select_client) == before


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError(), "ValueError"),
        (ValueError("no: "), "ValueError: no"),
        (ValueError("a: b"), "ValueError: a: b"),
    ],
)
def test_an_error_is_its_type_and_message(error: Exception, text: str) -> None:
    assert outcome(error) == ("failed", text)


def test_sizes_are_those_of_wotpys_json() -> None:
    assert (json_size("é"), json_size(None), json_size({1, 2})) == (8, 4, None)
    assert item_measured(3.5)[0] == 3
