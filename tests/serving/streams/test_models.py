"""What streams, `WatchModel` and `GetModelInfo` tell of models and their changes."""

import dataclasses

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.events import Change, ModelChanged

TIMEOUT_S = 30.0


def test_swap_is_announced_before_the_first_mask_of_the_new_model(room, wait_until):
    camera = room.camera()
    camera.next("model")
    camera.send(1)
    assert room.engine.running.acquire(timeout=TIMEOUT_S)
    camera.send(2)
    wait_until(lambda: room.pipeline.places.bytes == 2 * 18)
    newer = room.swap("2")
    newer.open()
    room.engine.open()
    assert camera.next().model_version == "1"
    assert camera.next("model").version == "2"
    assert camera.next().model_version == "2"
    camera.send(3)
    assert camera.next().model_version == "2"
    assert camera.rest() == []


def test_watch_tells_of_each_change(room):
    watch = room.stub.WatchModel(pb.WatchModelRequest(), timeout=TIMEOUT_S)
    first = next(watch)
    assert (first.change, first.model.version) == (pb.MODEL_CHANGE_CURRENT, "1")
    assert first.changed_at.seconds > 0
    room.swap("2")
    told = (
        ModelChanged(change=Change.SWAPPED, model_version="2"),
        ModelChanged(change=Change.REFUSED, model_version="2", reason="wrong digest", refused_version="3"),
    )
    for event in told:
        room.on_loop(lambda event=event: room.pipeline.events.tell(event))
    second, third = next(watch), next(watch)
    assert (second.change, second.model.version) == (pb.MODEL_CHANGE_SWAPPED, "2")
    assert (third.change, third.model.version) == (pb.MODEL_CHANGE_REFUSED, "2")
    assert (third.reason, third.refused_version) == ("wrong digest", "3")
    room.on_loop(room.pipeline.drain)
    assert list(watch) == []


def test_model_info_names_previous_and_challenger(room):
    before = room.pipeline.current
    room.swap("2")
    room.on_loop(lambda: room.pipeline.also(before))
    room.pipeline.slots.shadowed = lambda: dataclasses.replace(before, version="3")
    info = room.stub.GetModelInfo(pb.GetModelInfoRequest(), timeout=TIMEOUT_S)
    assert (info.model.version, info.previous.version, info.challenger.version) == ("2", "1", "3")
    room.on_loop(lambda: room.pipeline.forget(before))
    info = room.stub.GetModelInfo(pb.GetModelInfoRequest(), timeout=TIMEOUT_S)
    assert not info.HasField("previous")
