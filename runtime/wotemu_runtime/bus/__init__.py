"""The event bus: Redis streams that carry records and commands as msgpack."""

from wotemu_runtime.bus.clock import BusClock
from wotemu_runtime.bus.codec import decode_batch, decode_event, encode_batch, encode_event
from wotemu_runtime.bus.connection import BusAddress, connect
from wotemu_runtime.bus.consumer import Consumer
from wotemu_runtime.bus.publisher import Publisher
from wotemu_runtime.bus.streams import Streams
from wotemu_runtime.bus.trimming import forgotten, trim

__all__ = [
    "BusAddress",
    "BusClock",
    "Consumer",
    "Publisher",
    "Streams",
    "connect",
    "decode_batch",
    "decode_event",
    "encode_batch",
    "encode_event",
    "forgotten",
    "trim",
]
