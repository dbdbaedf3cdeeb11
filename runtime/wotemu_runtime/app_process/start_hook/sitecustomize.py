"""Start hook of the Python interpreters in a node: has the interactions of programs on WoTPy measured.

The node's launcher puts this folder first on PYTHONPATH, so that Python imports this module at its start, in
place of a `sitecustomize` of the user's, which this module then imports. The rest happens once a program
makes its first Servient; one that never imports WoTPy gets nothing but one more finder of modules.

Any Python that runs in a node imports this, 2.7 included: hence no annotations, and no imports of ours.
"""

import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))  # pathlib is slow to import
TRIGGER = "wotpy.wot.servient"  # every program on WoTPy imports it
OLDEST = (3, 11)  # of what measures; WoTPy itself runs on older ones

SOCKET = "WOTEMU_SOCKET"
PACKAGES = "WOTEMU_PACKAGES"
OURS = ("wotemu", "wotemu_runtime", "attr", "attrs", "msgpack")


class Trigger(object):
    """A finder of modules that finds none, but hooks the class Servient when its module is imported."""

    def find_spec(self, name, path=None, target=None):
        """The module's usual spec; that of `TRIGGER` has a loader that hooks its class."""
        if name != TRIGGER:
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
            if spec is not None:
                _hook_loader(spec.loader)
                return spec
        return None


class PackagesOfOurs(object):
    """Finds what measures, where the program's own interpreter has it not; see `PACKAGES`."""

    def __init__(self, folders):
        self.folders = folders

    def find_spec(self, name, path=None, target=None):
        """The spec of a package that measuring needs."""
        if path is not None or name not in OURS:
            return None
        from importlib.machinery import PathFinder

        return PathFinder.find_spec(name, self.folders, target)


def _hook_loader(loader):
    execute = loader.exec_module

    def exec_module(module):
        del loader.exec_module
        execute(module)
        _hook_class(module.Servient)

    try:
        loader.exec_module = exec_module  # of this instance, which loads one module
    except AttributeError:
        _say_unmeasured("WoTPy is loaded by %s, which can't be hooked" % type(loader).__name__)


def _hook_class(servient):
    """Measure from the first Servient on: by then, all of WoTPy that the program wants is imported."""
    original = servient.__init__

    def __init__(self, *args, **kwargs):
        if servient.__init__ is __init__:
            servient.__init__ = original
            _measure()
        original(self, *args, **kwargs)

    __init__.__wrapped__ = original
    servient.__init__ = __init__


def _measure():
    if sys.version_info < OLDEST:
        _say_unmeasured("Python %d.%d is too old: 3.11 and newer are measured" % sys.version_info[:2])
        return
    finder = PackagesOfOurs(os.environ.get(PACKAGES, "").split(os.pathsep))
    sys.meta_path.append(finder)  # last: what the program has itself goes first
    try:
        from wotemu_runtime.app_process.measuring.programs import measure_program

        measure_program()
    except Exception as error:  # whatever it is, the program must go on
        _say_unmeasured("%s: %s" % (type(error).__name__, error))
    finally:
        sys.meta_path.remove(finder)


def _say_unmeasured(why):
    """Tell the node's agent that this program is not measured, and why."""
    import json
    import socket

    packet = json.dumps({"unmeasured": why, "program": " ".join(sys.argv[:2])}).encode()
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        agent.connect("\0" + os.environ[SOCKET][1:])
        agent.send(packet)
    except Exception:  # noqa: S110  # then nobody is there to be told
        pass
    finally:
        agent.close()


def _import_next():
    """Import the `sitecustomize` that Python would have found without this one, if any."""
    own = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError:
        if "sitecustomize" not in str(sys.exc_info()[1]):
            raise
    finally:
        sys.modules.setdefault("sitecustomize", own)


def start():
    """Hook WoTPy's import, and go on as Python would without this module."""
    sys.path[:] = [each for each in sys.path if each != FOLDER]  # the program's own path, as it would be
    if os.environ.get(SOCKET, "").startswith("@") and sys.version_info >= (3, 4):
        sys.meta_path.insert(0, Trigger())
    _import_next()


if __name__ == "sitecustomize":
    start()
