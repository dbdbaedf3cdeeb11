"""An app that can't run says what is wrong, where, and what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wotemu.app import Conf, Ports
from wotemu.topology.builtin_apps import BuiltinApps
from wotemu_runtime.app_process.failures import failure_of
from wotemu_runtime.app_process.loading.loader import load_app
from wotemu_runtime.app_process.loading.spec import AppSpec
from wotemu_runtime.app_process.messages import Failure

GOOD = "async def app(wot, conf, loop, rate=1.0, *, who='me'):\n    return who\n"


@pytest.fixture(autouse=True)
def modules_as_they_were() -> Iterator[None]:
    modules, path = dict(sys.modules), list(sys.path)
    yield
    for name in sys.modules.keys() - modules.keys():
        del sys.modules[name]
    sys.path[:] = path


def spec(root: Path, target: str, **params: Any) -> AppSpec:
    return AppSpec(
        target=target, root=str(root), params=params, conf=Conf(node="n", replica="n", hostname="n")
    )


def failure(root: Path, target: str, **params: Any) -> Failure:
    with pytest.raises((Exception, SystemExit)) as raised:
        load_app(spec(root, target, **params))
    return failure_of(raised.value, "prepare", root)


def test_a_spec_survives_the_way_to_its_process(tmp_path: Path) -> None:
    conf = Conf(node="n", replica="n-1", hostname="n-1", ports=Ports(http=80), hosts={"n": ["n-1", "n-2"]})
    one = AppSpec(target="reader", root=str(tmp_path), conf=conf, params={"rate": 2}, coap=True)
    assert AppSpec.from_dict(one.to_dict()) == one


async def test_a_file_is_found_beside_the_topology(tmp_path: Path) -> None:
    (tmp_path / "thing.py").write_text(GOOD)
    function = load_app(spec(tmp_path, "thing.py", who="it"))
    assert await function(None, None, None, who="it") == "it"


async def test_a_file_may_name_its_function_and_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("NAME = 'next door'\n")
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "two.py").write_text(
        "import neighbour\nasync def second(wot, conf, loop):\n    return neighbour.NAME\n"
    )
    assert await load_app(spec(tmp_path, "apps/two.py:second"))(None, None, None) == "next door"


async def test_a_module_on_the_path_works(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").touch()
    (tmp_path / "pack" / "inner.py").write_text(GOOD)
    assert await load_app(spec(tmp_path, "pack.inner:app"))(None, None, None) == "me"


def test_a_file_called_like_a_module_of_pythons_replaces_none(tmp_path: Path) -> None:
    import json

    (tmp_path / "json.py").write_text(GOOD)
    load_app(spec(tmp_path, "json.py"))
    assert sys.modules["json"] is json


@pytest.mark.parametrize("name", BuiltinApps)
def test_every_built_in_app_loads(tmp_path: Path, name: BuiltinApps) -> None:
    remote = {"servient_host": "h", "thing_id": "t"}
    needed: dict[str, dict[str, Any]] = dict.fromkeys(("reader", "subscriber", "caller", "load"), remote)
    needed |= {"bridge": {"servient_host": "h", "source_id": "t"}, "detector": {"cameras": []}}
    load_app(spec(tmp_path, str(name), **needed.get(name, {})))


def test_an_unknown_built_in_app_gets_a_suggestion(tmp_path: Path) -> None:
    told = failure(tmp_path, "raeder")
    assert "no built-in app is called 'raeder'; there are clock, " in told.message
    assert told.hint == "did you mean 'reader'?"


def test_a_missing_file_says_what_its_path_is_relative_to(tmp_path: Path) -> None:
    told = failure(tmp_path, "apps/gone.py")
    assert str(told) == "apps/gone.py: LoadError: there is no such file"
    assert str(tmp_path) in told.hint


def test_a_missing_module_is_named(tmp_path: Path) -> None:
    assert failure(tmp_path, "no_such_pack.mod:app").message == "there is no module 'no_such_pack'"


def test_a_missing_function_is_named(tmp_path: Path) -> None:
    (tmp_path / "thing.py").write_text(GOOD)
    told = failure(tmp_path, "thing.py:main")
    assert (told.where, told.message) == ("thing.py", "it has no function 'main'")


def test_a_syntax_error_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "thing.py").write_text("x = 1\nasync def app(:\n")
    told = failure(tmp_path, "thing.py")
    assert (told.type, told.where) == ("SyntaxError", "thing.py:2")


def test_an_exception_at_import_names_the_users_line_not_the_librarys(tmp_path: Path) -> None:
    (tmp_path / "thing.py").write_text("import json\n\njson.loads('no')\n")
    told = failure(tmp_path, "thing.py")
    assert (told.stage, told.type, told.where) == ("prepare", "JSONDecodeError", "thing.py:3")
    assert "json.loads('no')" in told.traceback


def test_a_library_that_an_app_lacks_gets_a_hint(tmp_path: Path) -> None:
    (tmp_path / "thing.py").write_text("import no_such_library\n")
    told = failure(tmp_path, "thing.py")
    assert (told.type, told.where) == ("ModuleNotFoundError", "thing.py:1")
    assert "install it for" in told.hint


def test_an_app_that_exits_at_import_is_a_failure_too(tmp_path: Path) -> None:
    (tmp_path / "thing.py").write_text("import sys\nsys.exit('done')\n")
    told = failure(tmp_path, "thing.py")
    assert (told.type, told.message, told.where) == ("SystemExit", "done", "thing.py:2")


@pytest.mark.parametrize("text", ["def app(wot, conf, loop):\n    pass\n", "app = 3\n"])
def test_what_is_no_coroutine_function_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "thing.py").write_text(text)
    told = failure(tmp_path, "thing.py")
    assert "is not a coroutine function" in told.message
    assert told.hint.startswith("write `async def ")


def test_an_unknown_parameter_gets_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "thing.py").write_text(GOOD)
    told = failure(tmp_path, "thing.py", raet=2)
    assert told.message == "app takes no parameter 'raet'; it takes rate, who"
    assert (told.where, told.hint) == ("thing.py:1", "did you mean 'rate'?")


def test_a_missing_parameter_is_named(tmp_path: Path) -> None:
    told = failure(tmp_path, "reader", thing_id="urn:x")
    assert told.message == "app needs the parameter 'servient_host'"
    assert told.hint == 'write NodeApp(params={"servient_host": ...})'


def test_an_app_that_takes_any_parameter_takes_any(tmp_path: Path) -> None:
    (tmp_path / "thing.py").write_text("async def app(wot, conf, loop, **others):\n    pass\n")
    load_app(spec(tmp_path, "thing.py", whatever=1))


def test_an_app_that_does_not_take_what_every_app_is_given_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thing.py").write_text("async def app(wot):\n    pass\n")
    assert "app(wot) can't be called as app(wot, conf, loop)" in failure(tmp_path, "thing.py").message


def test_a_group_of_exceptions_is_told_by_its_first(tmp_path: Path) -> None:
    group = ExceptionGroup("many", [ExceptionGroup("some", [KeyError("deep")]), ValueError()])
    told = failure_of(group, "run", tmp_path)
    assert (told.type, told.message) == ("KeyError", "'deep'")
