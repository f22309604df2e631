"""Readers of a `StreamSegment` that are too slow for their masks: what is dropped, and what is kept."""

import gc
from collections import Counter

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.engine import Prediction


def test_slow_reader_loses_the_oldest_masks_but_no_verdict(make_room, wait_until):
    room = make_room(outbox_size=2)
    room.engine.open()
    camera = room.camera()
    camera.next("model")
    # Masks so large that HTTP/2 lets only the first few through to a client that reads nothing.
    height, width = 1000, 3000
    data = bytes(height * width * 3)
    for number in range(1, 15):
        camera.send(number, data=data, height=height, width=width)
        wait_until(lambda number=number: len(room.engine.ran) == number)
    camera.send(15)
    wait_until(lambda: len(room.engine.ran) == 15)
    # What waits: one mask that is being sent, and in the outbox one and the small one of the last frame.
    wait_until(lambda: 0 < room.pipeline.places.bytes - 2 * height * width < 1000)
    gc.collect()
    kept = [item for item in gc.get_objects() if type(item) is Prediction and item.labels.size == height * width]
    assert kept == [], "predictions must not wait for the reader"
    results = camera.rest()
    assert [item.sequence_number for item in results] == list(range(1, 16))
    counts = Counter(item.verdict for item in results)
    assert counts.keys() == {pb.VERDICT_SEGMENTED, pb.VERDICT_SUPERSEDED}
    assert results[-1].verdict == pb.VERDICT_SEGMENTED
    assert "reads too slowly" in next(item for item in results if item.verdict == pb.VERDICT_SUPERSEDED).reason
    assert room.verdicts == {"segmented": counts[pb.VERDICT_SEGMENTED], "superseded": counts[pb.VERDICT_SUPERSEDED]}
    wait_until(lambda: room.pipeline.places.bytes == 0)


def test_slow_readers_masks_are_bounded_in_all(make_room, wait_until):
    room = make_room(max_waiting_bytes=20_000_000)
    room.engine.open()
    camera = room.camera()
    camera.next("model")
    height, width = 1000, 3000
    for number in range(1, 9):
        camera.send(number, data=bytes(height * width * 3), height=height, width=width)
        # Masks may hold half of the limit; the next frame needs the place of this one's pixels.
        wait_until(lambda number=number: len(room.engine.ran) == number and room.pipeline.places.bytes <= 10_000_000)
    counts = Counter((item.verdict, item.reason_code) for item in camera.rest())
    assert counts[pb.VERDICT_OVERLOADED, "OVERLOADED"] > 0
    assert counts[pb.VERDICT_SEGMENTED, ""] >= 3
    wait_until(lambda: room.pipeline.places.bytes == 0)
