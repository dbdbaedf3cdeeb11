"""Load a deployment, its topology and scenario, from the user's file: Python, YAML or JSON."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import linecache
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from wotemu.compat import accepting_old_words, hint_of_missing_module
from wotemu.errors import InputError, LoadError, Place
from wotemu.scenario.scenario import Scenario
from wotemu.suggestions import did_you_mean
from wotemu.topology.deployment_paths import relative_to
from wotemu.topology.topology import Topology

FORMS = (".yml", ".yaml", ".json")
"""How the names of files end that are read, not run."""
TOPOLOGY = "topology"
"""The function of a Python file that returns the topology, unless another is named."""


@attrs.frozen
class Deployment:
    """What a run needs of the user's file.

    Attributes:
        topology: Nodes, networks, brokers and services.
        scenario: What changes and when.
        path: The file. Its stem names the run, and relative paths start from its folder, which may be made
            up for a deployment that is put together in Python.
        warnings: Its words of WoTemu 0.6, with what is written for them now.
        has_scenario: Whether the file has one; else `scenario` is `Scenario()`.
    """

    topology: Topology
    scenario: Scenario
    path: Path
    warnings: tuple[str, ...] = ()
    has_scenario: bool = True

    @property
    def root(self) -> Path:
        """The folder of the file, which relative paths start from."""
        return self.path.parent


def load(path: str | Path, func: str = TOPOLOGY, parameters: Mapping[str, Any] | None = None) -> Deployment:
    """Run a Python file, and call its functions `func` and, if it has one, ``scenario``; or read a form.

    Args:
        path: The file. Modules in its folder can be imported. A form's name ends in .yml, .yaml or .json, and
            no code of it is run.
        func: Name of the function that returns the `Topology`.
        parameters: Arguments that one of the two functions, or both, take by their names.

    Returns:
        The deployment; its scenario is `Scenario()`, in which nothing changes, if the file defines none.

    Raises:
        LoadError: The file can't be read or run, or has no function `func`; a form has none at all.
        InputError: The topology or scenario is wrong; `where` has the file's line.
    """
    file = Path(path)
    if not file.exists():
        raise LoadError(
            "there is no such file", where=str(path), hint="give the path of a Python, YAML or JSON file"
        )
    if file.is_dir():
        raise LoadError("it is a folder", where=str(path), hint=_hint_of_folder(file))
    file = file.resolve()
    if file.suffix.lower() in FORMS:
        if func != TOPOLOGY:
            raise LoadError(
                f"it is read, not run, and has no function {func}()",
                where=str(path),
                hint="leave --func out, or give a Python file",
            )
        if parameters:
            raise LoadError(
                "it is read, not run, and takes no parameters", where=str(path), hint="give a Python file"
            )
        from wotemu.forms.deployment import load_form  # with pyyaml, which Python files need not wait for

        return Deployment(*load_form(file), file)
    with accepting_old_words() as old_words:
        return _from_python(file, path, func, dict(parameters or {}), old_words)


def _from_python(
    file: Path, path: str | Path, func: str, given: dict[str, Any], old_words: Iterable[str]
) -> Deployment:
    module = _run(file)
    _check_parameters(module, (func, "scenario"), file, given)
    topology = _call(module, func, file, Topology, given)
    if topology is None:
        raise LoadError(
            f"it has no function {func}()",
            where=str(path),
            hint=f"write `def {func}(): return Topology([...])`",
        )
    scenario = _call(module, "scenario", file, Scenario, given)
    return Deployment(
        topology, scenario or Scenario(), file, tuple(old_words), has_scenario=scenario is not None
    )


def _run(file: Path) -> ModuleType:
    """Import the file as ``wotemu_file``, with its folder first on the import path as for a script.

    The folder stays there until another file is loaded: waves and other functions of a scenario may import
    modules when they are called.
    """
    name = "wotemu_file"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise LoadError(
            "it is no Python, YAML or JSON file",
            where=str(file),
            hint="its name must end in .py, .yml, .yaml or .json",
        )
    module = importlib.util.module_from_spec(spec)
    _enter(file.parent)
    sys.modules[name] = module  # dataclasses and attrs look their modules up there
    _guard(file, lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]  # checked above
    return module


@attrs.frozen
class _Folder:
    """A folder on the import path; `known` are the top-level names that were imported before it was added."""

    path: Path
    was_on_path: bool
    known: frozenset[str]

    def leave(self) -> None:
        """Take it off the path, and drop the modules that were imported from it.

        Otherwise the next deployment would get the helper modules of this one, if they have the same names.
        """
        if not self.was_on_path and str(self.path) in sys.path:
            sys.path.remove(str(self.path))
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] not in self.known and self._has(name, module):
                del sys.modules[name]

    def _has(self, name: str, module: ModuleType) -> bool:
        origin, inside = getattr(module, "__file__", None), self.path.joinpath(*name.split("."))
        if origin is None:  # a namespace package: a folder without __init__.py
            return str(inside) in getattr(module, "__path__", ())
        return Path(origin) in (inside.with_suffix(".py"), inside / "__init__.py")


_folders: list[_Folder] = []
"""The folder of the file that was loaded last, if any."""


def _enter(path: Path) -> None:
    """Put a folder first on the import path, instead of that of the file that was loaded before."""
    while _folders:
        _folders.pop().leave()
    known = frozenset(name.partition(".")[0] for name in sys.modules)
    _folders.append(_Folder(path, str(path) in sys.path, known))
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))
    importlib.invalidate_caches()  # finders cache folders' listings; the user may just have added a file


def _check_parameters(
    module: ModuleType, functions: Sequence[str], file: Path, given: Mapping[str, Any]
) -> None:
    """Refuse parameters that none of the file's functions takes."""
    makers = [getattr(module, name, None) for name in functions]
    taken = {name for each in makers if callable(each) for name in inspect.signature(each).parameters}
    for name in given:
        if name not in taken:
            raise LoadError(
                f"no function takes the parameter {name!r}",
                where=str(file),
                hint=did_you_mean(name, sorted(taken)) or f"write `def {functions[0]}({name}): ...`",
            )


def _call(module: ModuleType, name: str, file: Path, kind: type[Any], given: Mapping[str, Any]) -> Any:
    function = getattr(module, name, None)
    if function is None:
        return None
    where = f"{file.name}, {name}()"
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise LoadError("it is not an ordinary function", where=where)
    parameters = inspect.signature(function).parameters
    needed = [p.name for p in parameters.values() if p.default is p.empty and p.name not in given]
    if needed:
        raise LoadError(f"it wants the argument {needed[0]!r}", where=where, hint="it is called without any")
    arguments = {each: value for each, value in given.items() if each in parameters}
    value = _guard(file, lambda: function(**arguments))
    if not isinstance(value, kind):
        raise LoadError(f"it returns {value!r:.80}, not a {kind.__name__}", where=where)
    return value


def _hint_of_folder(folder: Path) -> str:
    """Which file of a folder was meant, where one has the name that ``wotemu init`` gives."""
    names = (f"deployment{suffix}" for suffix in (".py", *FORMS))
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    return "give the file in it" + (f": {found}" if found else "")


def _guard(file: Path, action: Callable[[], Any]) -> Any:
    """Call a function of the user's; whatever it raises becomes an `InputError` with the file's line."""
    try:
        with relative_to(file.parent):
            return action()
    except SyntaxError as error:
        # A file with null bytes has neither a line nor its text.
        what = ": ".join(filter(None, (error.msg, (error.text or "").strip())))
        where = f"{error.filename or file}" + (f", line {error.lineno}" if error.lineno else "")
        found = LoadError(what, where=where)
        found.place = Place(Path(error.filename or file).name, error.lineno or 1, error.offset or None)
        raise found from error
    except InputError as error:
        error.place = error.place or _place(file, error)
        if not (error.where or "").startswith(f"{file.name}:"):  # unless it has the line already
            error.where = ": ".join(filter(None, (_line(file, error), error.where)))
        raise
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        what = f"{type(error).__name__}: {error}"
        place = _line(file, error) or str(file)
        hint = hint_of_missing_module(error) or _hint_of_attribute(error) or "--debug shows the traceback"
        found = LoadError(what, where=place, hint=hint)
        found.place = _place(file, error)
        raise found from error


def _hint_of_attribute(error: BaseException) -> str | None:
    """Which attribute was meant, such as `LTE` by ``NetworkConditions.LTF``."""
    if not isinstance(error, AttributeError) or not error.name:
        return None
    known = [name for name in dir(error.obj) if not name.startswith("_")]
    close = get_close_matches(error.name, known, 1)
    return f"did you mean {close[0]!r}?" if close else None


def _place(file: Path, error: BaseException) -> Place | None:
    """The innermost line of the user's file in a traceback."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename) == file and frame.lineno is not None:
            return Place(file.name, frame.lineno)
    return None


def _line(file: Path, error: BaseException) -> str:
    """That line for messages: ``file.py, line 12 (source)``; "" where there is none."""
    place = _place(file, error)
    if place is None:
        return ""
    source = linecache.getline(str(file), place.line).strip()
    return f"{file.name}, line {place.line}" + (f" ({source:.60})" if source else "")
