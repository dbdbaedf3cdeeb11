"""Hooks WoTPy in a program that has begun to import it; `sitecustomize` runs this text.

No annotations, and no imports of ours at the top: any Python 3 may run it.
"""

import os
import sys

OLDEST = (3, 11)  # of what measures; WoTPy itself runs on older ones

SOCKET = "WOTEMU_SOCKET"
PACKAGES = "WOTEMU_PACKAGES"
OURS = ("wotemu", "wotemu_runtime", "attr", "attrs", "msgpack")


def hooked_spec(name, path, target):
    """The spec of WoTPy's module, with a loader that hooks the class Servient."""
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
    """Report to the node's agent that this program is not measured, and why."""
    import json
    import socket

    packet = json.dumps({"unmeasured": why, "program": " ".join(sys.argv[:2])}).encode()
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        agent.connect("\0" + os.environ[SOCKET][1:])
        agent.send(packet)
    except Exception:  # noqa: S110  # then there is no agent to report to
        pass
    finally:
        agent.close()
