"""Taking a JSON array apart as it arrives, and what is left of an object."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.docker.fake_docker import OTHER, STACK, service
from wotemu_runtime.docker_proxy import belongs_to_stack, strip
from wotemu_runtime.docker_proxy.json_array import JsonArrayParser
from wotemu_runtime.docker_proxy.strip import SCHEMAS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(), JSON), max_size=5)


@given(OBJECTS, st.integers(1, 7), st.booleans())
def test_any_array_in_any_pieces(objects: list[dict[str, Any]], size: int, spread: bool) -> None:
    """However an array is cut, its objects come out, in order."""
    data = json.dumps(objects, indent=1 if spread else None, ensure_ascii=False).encode()
    elements = JsonArrayParser(1 << 20)
    found = [obj for start in range(0, len(data), size) for obj in elements.feed(data[start : start + size])]
    assert (found, elements.is_complete) == (objects, True)


@pytest.mark.parametrize("text", ["{}", "[1]", "[,{}]", "[{} {}]", "[[]]", "[{}]]", "[{}]x", "null", '["a"]'])
def test_anything_else_is_an_error(text: str) -> None:
    """Only an array of objects is taken."""
    with pytest.raises(ValueError, match="not an array"):
        JsonArrayParser(100).feed(text.encode())


@pytest.mark.parametrize("text", ['[{"a":"' + "x" * 100 + '"}]', '[{"a":"' + "x" * 100])
def test_an_object_has_a_greatest_size(text: str) -> None:
    """Whole or not, it is not kept."""
    with pytest.raises(ValueError, match="more than 50"):
        JsonArrayParser(50).feed(text.encode())


@given(st.sampled_from(sorted(SCHEMAS)), JSON)
def test_stripping_takes_anything(kind: str, value: Any) -> None:
    """An object of an unexpected shape is stripped too, never passed on."""
    stripped = strip(kind, dict.fromkeys(SCHEMAS[kind], value))
    assert set(stripped) <= set(SCHEMAS[kind])
    assert strip(kind, stripped) == stripped


@pytest.mark.parametrize(
    "key", ["Env", "Args", "Command", "Secrets", "Configs", "Mounts", "Healthcheck", "Dir"]
)
def test_a_container_keeps_its_secrets(key: str) -> None:
    """None of these is in what is left of a service."""
    container = strip("services", service(STACK, "sensor"))["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert key not in container


def test_labels_say_whose_an_object_is() -> None:
    """Docker's own label for stacks counts, and so does WoTemu's; another stack's does not."""
    assert belongs_to_stack("services", service(STACK, "a"), STACK)
    assert not belongs_to_stack("services", service(OTHER, "a"), STACK)
    assert belongs_to_stack("networks", {"Labels": {"org.wotemu.stack": STACK}}, STACK)
    strangers: list[Any] = [
        {},
        {"Labels": None},
        {"Labels": []},
        {"Labels": {}},
        [],
        None,
        {"Labels": {"a": STACK}},
    ]
    for stranger in strangers:
        assert not belongs_to_stack("networks", stranger, STACK)
        assert not belongs_to_stack("services", {"Spec": stranger}, STACK)
