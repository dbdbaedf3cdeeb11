"""What built-in apps are called with is checked before anything starts."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from wotemu.app import Conf
from wotemu.errors import InputError
from wotemu_runtime.apps._consumer import seeded
from wotemu_runtime.apps.parameters import checked

NEEDED = {"servient_host": "sensor", "thing_id": "urn:t"}
CAMERA = {"servient_host": "camera"}


@pytest.mark.parametrize(
    ("app", "given", "taken"),
    [
        ("reader", {"interval": "300", "timeout": "1.5"}, {"interval": 300.0, "timeout": 1.5}),
        (
            "reader",
            {"interval": None, "properties": ("a", "b")},
            {"interval": None, "properties": ["a", "b"]},
        ),
        ("caller", {"params": {"go": {"to": 1}}}, {"params": {"go": {"to": 1}}}),
        ("worker", {"cpu": "0.5", "mem": "50M"}, {"cpu": 0.5, "mem": "50M"}),
        ("worker", {"mem": 1000}, {"mem": 1000}),
        ("sensor", {"alarm_above": "20"}, {"alarm_above": 20.0}),
        ("error", {"mean_time": "2"}, {"mean_time": 2.0}),
        ("historian", {"observed_things": (NEEDED,)}, {"observed_things": [NEEDED]}),
        ("historian", {"observed_things": None}, {"observed_things": None}),
        ("detector", {"cameras": [CAMERA, NEEDED]}, {"cameras": [CAMERA, NEEDED]}),
        ("reader", {"unknown": 3}, {"unknown": 3}),
    ],
)
def test_numbers_may_be_written_as_strings(app: str, given: dict[str, Any], taken: dict[str, Any]) -> None:
    assert checked(app, given, "node") == taken


@pytest.mark.parametrize(
    ("app", "given", "message", "hint"),
    [
        ("caller", {"params": '{"go": {"to": 1}}'}, "is not a dict", "{'go': {'to': 1}}"),
        ("caller", {"params": "go"}, "'go' is not a dict", "give a dict"),
        ("reader", {"interval": "often"}, "'often' is not a number", "give a number"),
        ("reader", {"timeout": True}, "True is not a number", ""),
        ("reader", {"timeout": "nan"}, "'nan' is not a number", ""),
        ("reader", {"properties": "value"}, "'value' is not a list of strings", '["value"]'),
        ("reader", {"servient_host": 7}, "7 is not a string", ""),
        ("reader", {"interval": 1, "rate": 2}, "it is given with rate", "give one"),
        ("historian", {"observed_things": [CAMERA]}, "dicts with servient_host and thing_id", '"urn:..."'),
        (
            "historian",
            {"observed_things": NEEDED},
            "is not a list of dicts with",
            '[{"servient_host": "NODE"',
        ),
        ("historian", {"observed_things": "[{}]"}, "is not a list of dicts with", '"observed_things": ['),
        ("detector", {"cameras": ["camera"]}, "servient_host, and thing_id if need be", '"NODE"'),
        ("detector", {"cameras": [{"servient_host": 3}]}, "is not a list of dicts", '"NODE"'),
        ("detector", {"cameras": [{"host": "camera"}]}, "is not a list of dicts", '"NODE"'),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(
    app: str, given: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(InputError) as raised:
        checked(app, given, "field")
    assert message in raised.value.message
    assert raised.value.where == f"Node 'field', app '{app}', params['{next(iter(given))}']"
    assert hint in (raised.value.hint or "")


def test_each_start_draws_anew_and_the_same_in_each_run() -> None:
    confs = [Conf(node="n", replica="n", hostname="n", seed=5, restarts=start) for start in range(2000)]
    draws = [seeded(conf).expovariate(0.5) for conf in confs]
    assert draws == [seeded(conf).expovariate(0.5) for conf in confs]
    assert len(set(draws)) == len(draws)
    # The mean of 2,000 draws of mean 2 has a standard error of 0.045: five of them is one in 1.7 million.
    assert abs(statistics.fmean(draws) - 2.0) < 5 * 0.045
