"""The camera's frames and the detector's queue."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path

import pytest

from tests.conftest import Require
from wotemu.errors import InputError
from wotemu_runtime.apps._frame_queue import Frame, FrameQueue


@pytest.fixture(autouse=True)
def opencv(require: Require, request: pytest.FixtureRequest) -> None:
    """Tests of images need OpenCV."""
    if "queue" in request.node.name:
        return
    try:
        import cv2  # noqa: F401
    except ImportError:
        require(False, "OpenCV is not installed: the extra `vision`")


def frame(camera: str, captured_s: float, arrived_s: float = 100.0) -> Frame:
    return Frame(camera=camera, captured_s=captured_s, arrived_s=arrived_s, jpeg=b"")


def test_the_queue_gives_each_camera_its_turn() -> None:
    queue = FrameQueue(size=10, max_age_s=10)
    for captured_s in range(3):
        queue.put(frame("busy", captured_s))
    taken = [queue.take(100.0)]
    queue.put(frame("busy", 3))
    queue.put(frame("calm", 4))
    taken += [queue.take(100.0) for _ in range(5)]
    assert [each and (each.camera, each.captured_s) for each in taken] == [
        *[("busy", 0), ("busy", 1), ("busy", 2), ("calm", 4), ("busy", 3), None]
    ]


def test_the_queue_drops_what_does_not_fit_and_what_is_old() -> None:
    queue = FrameQueue(size=2, max_age_s=5)
    for captured_s in range(3):
        queue.put(frame("a", captured_s, arrived_s=captured_s))
    assert (len(queue), queue.dropped) == (2, 1)
    assert queue.take(5.5) == frame("a", 1, arrived_s=1)
    assert queue.dropped == 2, "the first had waited 5.5 s"


def test_the_generated_scene_moves_and_rests() -> None:
    from wotemu_runtime.apps._frames import MOVES_S, frames_of, motion

    frames = list(islice(frames_of(None, (160, 120), 10), 60))
    moved = [motion(before, after) for before, after in pairwise(frames)]
    moving, resting = moved[: int(MOVES_S * 10) - 1], moved[int(MOVES_S * 10) + 1 :]
    assert min(moving) > 0.005
    assert max(resting) == 0


def test_the_object_of_a_frame_is_found_where_it_is() -> None:
    from wotemu_runtime.apps._frames import as_jpeg, frames_of, objects_in

    first = next(frames_of(None, (160, 120), 10))
    ((top, right, bottom, left),) = objects_in(as_jpeg(first, 90))
    assert (abs(top - 45) <= 2, abs(bottom - 75) <= 2) == (True, True)
    assert (abs(left - 105) <= 2, abs(right - 135) <= 2) == (True, True)
    with pytest.raises(ValueError, match="no image"):
        objects_in(b"this is no image")


def test_a_video_file_begins_again_after_its_end(tmp_path: Path) -> None:
    import cv2

    from wotemu_runtime.apps._frames import frames_of

    file = str(tmp_path / "three.avi")
    writer = cv2.VideoWriter(file, cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for each in islice(frames_of(None, (160, 120), 2), 3):
        writer.write(each)
    writer.release()
    seen = [int(each.argmax()) for each in islice(frames_of(file, (1, 1), 1), 7)]
    assert seen[:3] == seen[3:6]
    assert len(set(seen[:3])) > 1


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    from wotemu_runtime.apps._frames import frames_of

    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(InputError, match="is no video that OpenCV reads"):
        frames_of(str(tmp_path / "text.mp4"), (1, 1), 1)
    with pytest.raises(InputError, match="there is no such file"):
        frames_of(str(tmp_path / "none.mp4"), (1, 1), 1)
