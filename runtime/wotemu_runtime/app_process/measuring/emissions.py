"""Records each event and property change that a Thing emits, also where nobody has subscribed."""

from __future__ import annotations

import functools
import time
from contextlib import ExitStack
from typing import Any

from wotpy.wot.exposed.thing import ExposedThing

from wotemu.records import Emission
from wotemu_runtime.app_process.measuring.interaction_meter import Meter, Method
from wotemu_runtime.app_process.measuring.operations import OBSERVE, SUBSCRIBE, Operation
from wotemu_runtime.app_process.measuring.patching import replace
from wotemu_runtime.app_process.measuring.payload_size import measured
from wotemu_runtime.app_process.measuring.sides import thing_id


def install_emission_hooks(stack: ExitStack, meter: Meter) -> None:
    """Hook the two methods by which an ExposedThing emits, until the stack is closed."""
    emit = _emitting(meter, SUBSCRIBE, ExposedThing.emit_event)
    replace(stack, ExposedThing, "emit_event", emit)
    change = _emitting(meter, OBSERVE, ExposedThing._emit_property_change_event)
    replace(stack, ExposedThing, "_emit_property_change_event", change)


def _emitting(meter: Meter, operation: Operation, original: Method) -> Method:
    @functools.wraps(original)
    def emitted(thing: Any, *args: Any, **kwargs: Any) -> Any:
        # Before its subscribers are called: that takes time, which belongs to the item's age.
        t = time.monotonic()
        result = original(thing, *args, **kwargs)
        name, payload = _arguments(args, kwargs)
        if operation is SUBSCRIBE or _is_observable(thing, name):
            size, digest = measured(payload)
            owner = thing_id(thing.thing._thing_fragment)
            meter.sink(
                Emission(t, meter.node, owner, operation.affordance, str(name), operation.op, size, digest)
            )
        return result

    return emitted


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The affordance's name and the payload, by position or by name."""
    name = args[0] if args else kwargs.get("event_name", kwargs.get("name", ""))
    return name, args[1] if len(args) > 1 else kwargs.get("payload", kwargs.get("value"))


def _is_observable(thing: Any, name: Any) -> bool:
    found = thing.thing.properties.get(name)
    return found is not None and bool(found.observable)
