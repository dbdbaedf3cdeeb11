"""The event bus: Redis streams that carry records and commands as msgpack."""

from wotemu_runtime.bus.client import Appender, BusClient
from wotemu_runtime.bus.clock import BusClock
from wotemu_runtime.bus.codec import (
    Origin,
    OtherVersionError,
    decode_batch,
    decode_origin,
    encode_batch,
    encode_origin,
    packed_rows,
)
from wotemu_runtime.bus.connection import BusAddress, connect, redirect
from wotemu_runtime.bus.consumer import Consumer
from wotemu_runtime.bus.publisher import Publisher
from wotemu_runtime.bus.streams import Streams
from wotemu_runtime.bus.wall_clock import WallClock, epoch_s, steady_time

__all__ = [
    "Appender",
    "BusAddress",
    "BusClient",
    "BusClock",
    "Consumer",
    "Origin",
    "OtherVersionError",
    "Publisher",
    "Streams",
    "WallClock",
    "connect",
    "decode_batch",
    "decode_origin",
    "encode_batch",
    "encode_origin",
    "epoch_s",
    "packed_rows",
    "redirect",
    "steady_time",
]
