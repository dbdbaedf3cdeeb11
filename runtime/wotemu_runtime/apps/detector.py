"""Looks for objects in the frames of cameras, and turns the cameras to what it finds."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

from wotemu.app import Conf, write_metric
from wotemu_runtime.apps._consumer import Failures, attempt, find_thing
from wotemu_runtime.apps._following import follow
from wotemu_runtime.apps._frame_queue import Frame, FrameQueue
from wotemu_runtime.apps._frames import objects_in, vision
from wotemu_runtime.apps._producer import produce
from wotemu_runtime.apps._remote_things import RemoteCamera
from wotemu_runtime.apps.camera import THING_ID as CAMERA_ID

THING_ID = "urn:wotemu:detector"
FRAME_EVENT = "jpgVideoFrame"


async def app(
    wot: Any,
    conf: Conf,
    loop: asyncio.AbstractEventLoop,
    cameras: list[RemoteCamera],
    thing_id: str = THING_ID,
    queue_maxsize: int = 50,
    max_age: float = 10.0,
    timeout: float = 30.0,
    silence: float = 30.0,
) -> None:
    """Expose the Thing `thing_id`, titled "detector": its properties ``cameras`` and ``latestDetections``.

    Subscribes to the frames of `cameras`, dicts with ``servient_host``, and ``thing_id`` where it is not the
    built-in camera's. At most `queue_maxsize` frames wait, those of the cameras that were looked at least
    first; one that comes when it is full or has waited `max_age` seconds is dropped (metric
    ``frames_dropped``). Of each frame that it looks at, the metrics ``frame_latency`` and
    ``detection_latency`` are the seconds from its capture to its arrival here and to the end of the
    detection, and ``detection_cost`` those of the detection alone.

    Objects are bright regions. Where there are any, ``latestDetections`` has the camera's frame and their
    places, and the camera's ``controlPTZ`` is invoked, one at a time for each, within `timeout` seconds. What
    fails there, and subscriptions that fail or are silent for `silence` seconds, are counted (metric
    ``detector_failures``).
    """
    vision()
    detector = _Detector(FrameQueue(queue_maxsize, max_age), timeout)
    thing = produce(
        wot,
        thing_id,
        "detector",
        properties={name: {"type": "array", "readOnly": True} for name in ("cameras", "latestDetections")},
    )

    async def known_cameras() -> list[RemoteCamera]:
        return cameras

    async def latest() -> list[Any]:
        return list(detector.latest.values())

    thing.set_property_read_handler("cameras", known_cameras)
    thing.set_property_read_handler("latestDetections", latest)
    thing.expose()
    async with asyncio.TaskGroup() as group:
        group.create_task(detector.look(group))
        for each in cameras:
            camera_id = each.get("thing_id", CAMERA_ID)
            group.create_task(detector.watch(wot, conf, each["servient_host"], camera_id, silence or None))


class _Detector:
    """Frames of cameras in, detections out."""

    def __init__(self, queue: FrameQueue, timeout: float) -> None:
        self.latest: dict[str, dict[str, Any]] = {}
        """The last frame with objects of each camera."""
        self._queue = queue
        self._timeout = timeout
        self._news = asyncio.Event()
        self._failures = Failures("detector_failures")
        self._things: dict[str, Any] = {}
        self._turning: set[str] = set()
        self._dropped = 0

    async def watch(self, wot: Any, conf: Conf, host: str, thing_id: str, silence: float | None) -> None:
        """Queue the frames of a camera, for as long as the app runs."""
        thing = self._things[host] = await find_thing(wot, conf, host, thing_id)

        def on_frame(item: Any) -> None:
            self._queue.put(
                Frame(
                    camera=host,
                    captured_s=float(item.data["time_capture"]),
                    arrived_s=time.time(),
                    jpeg=base64.b64decode(item.data["b64_jpg"]),
                )
            )
            self._news.set()

        await follow(thing.events[FRAME_EVENT], f"frames of {host}", silence, self._failures, on_frame)

    async def look(self, group: asyncio.TaskGroup) -> None:
        """Look at one frame after the other; `group` gets the tasks that turn cameras."""
        while True:
            frame = self._queue.take(time.time())
            if self._queue.dropped != self._dropped:
                self._dropped = self._queue.dropped
                write_metric("frames_dropped", self._dropped)
            if frame is None:
                self._news.clear()
                await self._news.wait()
                continue
            began_s = time.time()
            try:
                found = await asyncio.to_thread(objects_in, frame.jpeg)
            except ValueError as error:
                self._failures.add(f"a frame of {frame.camera}", error)
                continue
            self._report(frame, began_s, time.time())
            if found:
                self.latest[frame.camera] = {
                    "cameraId": frame.camera,
                    "jpgB64": base64.b64encode(frame.jpeg).decode(),
                    "locations": found,
                    "unixTime": frame.captured_s,
                }
                if frame.camera not in self._turning:
                    self._turning.add(frame.camera)
                    group.create_task(self._turn(frame))

    def _report(self, frame: Frame, began_s: float, ended_s: float) -> None:
        write_metric("frame_latency", frame.arrived_s - frame.captured_s)
        write_metric("detection_latency", ended_s - frame.captured_s)
        write_metric("detection_cost", ended_s - began_s)

    async def _turn(self, frame: Frame) -> None:
        given = {"time_capture": frame.captured_s, "time_arrival": frame.arrived_s}
        call = self._things[frame.camera].actions["controlPTZ"].invoke(given, timeout=self._timeout)
        await attempt(call, f"turn {frame.camera}", self._timeout, self._failures)
        self._turning.discard(frame.camera)
