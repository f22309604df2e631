"""What is decoded, gathered and answered together, with an engine that the test holds."""

import asyncio
import gc
from collections import Counter

import numpy as np
import pytest

from isthmus.errors import FrameSupersededError
from isthmus.serving.jobs import Job

TIMEOUT_S = 30.0


async def test_answer_and_what_is_told(make_bench, settled):
    bench = make_bench()
    bench.engine.gate.set()
    done, labels = await bench.call(7, left_s=60)
    assert (labels == 7).all()
    assert labels.shape == (1, *bench.shape)
    assert done.model is bench.model
    (frame,) = bench.ear.frames
    assert (frame.verdict, frame.reason_code, frame.model_version) == ("segmented", "", "1")
    assert frame.confidence_mean == pytest.approx(0.2)
    assert frame.class_fractions == (0.0, 0.0)  # label 7 is no class
    assert min(frame.decode_s, frame.queue_s, frame.infer_s, frame.encode_s) >= 0
    assert frame.total_s >= frame.infer_s
    assert 0 < frame.slack_s < 60
    await settled()
    (batch,) = bench.ear.batches
    assert (batch.num_frames, batch.padded_to, batch.error) == (1, 1, None)
    np.testing.assert_array_equal(batch.prediction.labels, labels)


async def test_batches_on_an_accelerator_are_gathered_and_padded(make_bench, settled, outcomes):
    bench = make_bench(provider="CUDAExecutionProvider")
    first = bench.start(1)
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    rest = [bench.start(value) for value in (2, 3, 4)]
    await settled()
    bench.engine.gate.set()
    answers = await outcomes([first, *rest])
    assert [int(labels[0, 0, 0]) for _, labels in answers] == [1, 2, 3, 4]
    assert bench.engine.ran == [[1], [2, 3, 4, 0]]
    await settled()
    assert [(batch.num_frames, batch.padded_to) for batch in bench.ear.batches] == [(1, 1), (3, 4)]
    assert bench.ear.batches[1].images[:, 0, 0, 0].tolist() == [2, 3, 4]
    assert len(bench.ear.batches[1].prediction.labels) == 3


async def test_newest_frame_wins_and_costs_of_the_others_are_nil(make_bench, settled, outcomes):
    bench = make_bench()
    decoded = []

    def decode(value):
        decoded.append(value)
        return np.full((1, *bench.shape, 3), value, np.uint8)

    frames = [bench.start(1, stream="front")]
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    frames.append(bench.start(2))  # the batch that is ready next, so that the slot's frames wait in the line
    await settled()
    for value in (3, 4, 5):
        frames.append(bench.start(value, stream="front", decode=lambda value=value: decode(value)))
        await asyncio.sleep(0)
    await settled()
    bench.engine.gate.set()
    results = await outcomes(frames)
    assert [type(item) for item in results[2:4]] == [FrameSupersededError] * 2
    assert int(results[4][1][0, 0, 0]) == 5
    assert decoded == [5]
    assert Counter(bench.verdicts) == {"segmented": 3, "superseded": 2}


async def test_one_batch_is_decoded_ahead_and_no_more(make_bench, settled, outcomes):
    bench = make_bench()
    decoded = []
    tasks = []
    for value in range(5):
        images = np.full((1, *bench.shape, 3), value, np.uint8)
        tasks.append(bench.start(value, decode=lambda value=value, images=images: decoded.append(value) or images))
    await asyncio.wait_for(bench.engine.started.wait(), TIMEOUT_S)
    await settled()
    assert decoded == [0, 1]
    bench.engine.gate.set()
    await outcomes(tasks)
    assert decoded == [0, 1, 2, 3, 4]


async def test_no_batch_is_kept_when_nothing_comes(make_bench, settled):
    bench = make_bench()
    bench.engine.gate.set()
    await bench.call(1)
    await settled()
    bench.ear.batches.clear()
    gc.collect()
    kept = [item for item in gc.get_objects() if type(item) is Job]  # isinstance wakes torch's lazy objects
    assert kept == []
