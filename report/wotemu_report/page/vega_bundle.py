"""The drawing library: Vega, Vega-Lite and vega-embed as one script.

It takes seconds to put together, so it is kept in the user's cache directory under its versions.
"""

from __future__ import annotations

import contextlib
import os
import re
from functools import cache
from importlib.metadata import version
from pathlib import Path

import altair as alt

_GLOBAL = "window.vegaEmbed = vegaEmbed;"


@cache
def script() -> str:
    """The library as text that no HTML parser takes for the end of a script element."""
    wanted = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    try:
        kept = _cache_dir() / f"vega-{version('vl-convert-python')}-{wanted}.js"
    except RuntimeError:  # a user without a home
        return _made(wanted)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if kept.stat().st_uid == os.geteuid():  # what another user has put there might be anything
            return kept.read_text(encoding="utf-8")
    code = _made(wanted)
    with contextlib.suppress(OSError):  # then it is made again the next time
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_text(code, encoding="utf-8")
        part.replace(kept)
    return code


def _cache_dir() -> Path:
    """Where the user keeps what can be made again, after the XDG base directory specification."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(named) if Path(named).is_absolute() else Path("~/.cache").expanduser()
    return cache / "wotemu"


def _made(wanted: str) -> str:
    import vl_convert

    known = vl_convert.get_vegalite_versions()
    code: str = vl_convert.javascript_bundle(_GLOBAL, vl_version=wanted if wanted in known else known[-1])
    return re.sub(r"<(?=/script|script|!--)", r"\\x3c", code, flags=re.IGNORECASE)
