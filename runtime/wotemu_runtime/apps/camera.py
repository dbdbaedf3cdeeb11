"""A video camera: emits a frame as JPEG whenever something moves, and can be turned."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

from wotemu.app import Conf, write_metric
from wotemu_runtime.apps._consumer import gaps, rounds, seeded
from wotemu_runtime.apps._frames import as_jpeg, frames_of, motion, vision
from wotemu_runtime.apps._producer import produce

THING_ID = "urn:wotemu:camera"


async def app(
    wot: Any,
    conf: Conf,
    loop: asyncio.AbstractEventLoop,
    thing_id: str = THING_ID,
    source: str | None = None,
    fps: float = 12.0,
    width: int = 320,
    height: int = 240,
    quality: int = 60,
    min_motion: float = 0.002,
    turn_s: float = 0.8,
) -> None:
    """Expose the Thing `thing_id`, titled "camera".

    Looks at `fps` frames a second of the video file `source`, by default of a generated scene of `width` by
    `height` pixels in which a disc moves and rests. A frame in which at least the share `min_motion` of the
    pixels has changed is the event ``jpgVideoFrame`` with ``time_capture`` (seconds since the epoch) and
    ``b64_jpg`` (base64, JPEG of this `quality`, 1 to 100); their number is the metric ``camera_frames``.

    The action ``controlPTZ`` turns it, which takes the absolute value of a normal time of standard deviation
    `turn_s` seconds, and answers its input. Where that has ``time_capture``, the time since then is the
    metric ``ptz_latency``.
    """
    vision()
    numbers = seeded(conf)

    async def control(given: dict[str, Any] | None) -> dict[str, Any]:
        answer = dict(given or {})
        if "time_capture" in answer:
            answer["latency_ptz"] = time.time() - float(answer["time_capture"])
            write_metric("ptz_latency", answer["latency_ptz"])
        await asyncio.sleep(abs(numbers.gauss(0.0, turn_s)))
        return answer

    frames = frames_of(source, (width, height), fps)
    before = next(frames)
    thing = produce(
        wot,
        thing_id,
        "camera",
        actions={"controlPTZ": {"input": {"type": "object"}, "output": {"type": "object"}}},
        events={"jpgVideoFrame": {"data": {"type": "object"}}},
    )
    thing.set_action_handler("controlPTZ", control)
    thing.expose()
    emitted = 0
    async for _ in rounds(gaps(conf, None, fps, None)):
        captured_s, frame = time.time(), next(frames)
        if motion(before, frame) >= min_motion:
            data = await asyncio.to_thread(as_jpeg, frame, quality)
            thing.emit_event(
                "jpgVideoFrame", {"time_capture": captured_s, "b64_jpg": base64.b64encode(data).decode()}
            )
            emitted += 1
            write_metric("camera_frames", emitted)
        before = frame
