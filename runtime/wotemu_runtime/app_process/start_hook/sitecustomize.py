"""Start hook of the Python interpreters in a node: has the interactions of programs on WoTPy measured.

The node's launcher puts this folder first on PYTHONPATH, so that Python imports this module at its start, in
place of a `sitecustomize` of the user's, which this module then imports. The rest is in `program_hook`, which
is loaded when a program imports WoTPy; any other one gets nothing but one more finder of modules.

Any Python that runs in a node imports this, 2.7 included: hence no annotations. It is short, as it is
compiled at each start where its compiled form can't be written.
"""

import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
TRIGGER = "wotpy.wot.servient"  # every program on WoTPy imports it


class Trigger(object):
    """A finder of modules that finds one, and hooks it."""

    def find_spec(self, name, path=None, target=None):
        """None, or the spec of `TRIGGER` with a loader that hooks what it loads."""
        if name != TRIGGER:
            return None
        sys.meta_path.remove(self)
        scope = {"__name__": "wotemu_program_hook"}
        try:
            with open(os.path.join(FOLDER, "program_hook.py")) as file:
                exec(compile(file.read(), file.name, "exec"), scope)  # noqa: S102  # our own text
        except EnvironmentError:  # what the program wants does not need it
            return None
        return scope["hooked_spec"](name, path, target)


def start():
    """Hook WoTPy's import, and go on as Python would without this module."""
    sys.path[:] = [each for each in sys.path if each != FOLDER]  # the program's own path, as it would be
    if os.environ.get("WOTEMU_SOCKET", "").startswith("@") and sys.version_info >= (3, 4):
        sys.meta_path.insert(0, Trigger())
    own = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError:
        if "sitecustomize" not in str(sys.exc_info()[1]):
            raise
    finally:
        sys.modules.setdefault("sitecustomize", own)


if __name__ == "sitecustomize":
    start()
