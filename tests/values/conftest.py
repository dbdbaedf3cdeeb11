"""How properties are tried: without a deadline, since a busy machine makes no property wrong."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("values", deadline=None, max_examples=60)
settings.load_profile("values")
