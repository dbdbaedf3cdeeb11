"""The drawing libraries: Vega, Vega-Lite and vega-embed as one script.

Putting it together takes seconds, so it is cached in the user's cache directory under its versions.
"""

from __future__ import annotations

import contextlib
import os
import re
from functools import cache
from importlib.metadata import version

import altair as alt
from platformdirs import user_cache_path

_GLOBAL = "window.vegaEmbed = vegaEmbed;"


@cache
def script() -> str:
    """The libraries as text that no HTML parser takes for the end of a script element."""
    wanted = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    folder = user_cache_path("wotemu")
    if not folder.is_absolute():  # a user without a home, or a relative XDG_CACHE_HOME, which is invalid
        return _bundle(wanted)
    cached = folder / f"vega-{version('vl-convert-python')}-{wanted}.js"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if cached.stat().st_uid == os.geteuid():  # a file of another user might run anything in the page
            return cached.read_text(encoding="utf-8")
    code = _bundle(wanted)
    with contextlib.suppress(OSError):  # a directory that can't be written: it is bundled again the next time
        cached.parent.mkdir(parents=True, exist_ok=True)
        part = cached.with_suffix(f".{os.getpid()}")
        part.write_text(code, encoding="utf-8")
        part.replace(cached)
    return code


def _bundle(wanted: str) -> str:
    # Imported here: it loads V8, which is not needed where the bundle is cached.
    import vl_convert

    known = vl_convert.get_vegalite_versions()
    code: str = vl_convert.javascript_bundle(_GLOBAL, vl_version=wanted if wanted in known else known[-1])
    return re.sub(r"<(?=/script|script|!--)", r"\\x3c", code, flags=re.IGNORECASE)
