"""Which frame of shards is drawn when: pure, even, apart for each process, and known without reading."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.datasets.sampling import IndependentDraws, shard_numbers
from isthmus.datasets.shards.order import LANES, ShardDraws
from isthmus.errors import ConfigurationError

shard_sizes = st.lists(st.integers(1, 12), min_size=1, max_size=12)


def draws_of(sizes, *, seed=1, stream="a", batch_size=2, world_size=1, shuffle_frames=16):
    return ShardDraws(
        sizes, seed=seed, stream=stream, batch_size=batch_size, world_size=world_size, shuffle_frames=shuffle_frames
    )


@given(
    sizes=shard_sizes,
    batch_size=st.integers(1, 4),
    world_size=st.integers(1, 3),
    numbers=st.lists(st.integers(0, 2000), min_size=1, max_size=10),
)
@settings(deadline=None)
def test_a_draw_does_not_depend_on_earlier_ones(sizes, batch_size, world_size, numbers):
    if sum(sizes) < world_size:
        return
    used = draws_of(sizes, batch_size=batch_size, world_size=world_size)
    fresh = [draws_of(sizes, batch_size=batch_size, world_size=world_size)[number] for number in numbers]
    assert [used[number] for number in numbers] == fresh


@given(sizes=shard_sizes, world_size=st.integers(1, 3), epoch=st.integers(0, 4), shuffle_frames=st.integers(1, 40))
@settings(deadline=None)
def test_the_lanes_share_each_epochs_frames_evenly(sizes, world_size, epoch, shuffle_frames):
    num_frames = sum(sizes)
    if num_frames < world_size:
        return
    draws = draws_of(sizes, world_size=world_size, shuffle_frames=shuffle_frames)
    lanes = [draws.emitted(lane, epoch).tolist() for lane in range(draws.lanes * world_size)]
    assert sorted(frame for lane in lanes for frame in lane) == list(range(num_frames))  # so ranks never overlap
    lengths = {len(lane) for lane in lanes}
    assert min(lengths) >= 1
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("sizes", [[24], [5, 5, 5, 5, 4], [1] * 24, [23, 1]])
@pytest.mark.parametrize("world_size", [1, 3])
def test_every_draw_of_an_epoch_is_another_frame(sizes, world_size):
    draws = draws_of(sizes, batch_size=1, world_size=world_size)
    epochs = [Counter(draws[24 * epoch + n].frame for n in range(24)) for epoch in range(3)]
    assert epochs == [Counter(range(24))] * 3


def test_frames_are_drawn_equally_often_however_the_lanes_divide_them():
    draws = draws_of([7, 7, 7, 2], batch_size=3)  # 23 frames in 8 lanes of 2 or 3
    counts = Counter(draws[n].frame for n in range(23 * 24))
    assert min(counts.values()) >= 20
    assert max(counts.values()) <= 28


def test_ranks_draw_from_lanes_of_their_own():
    draws = draws_of([4] * 12, batch_size=3, world_size=2)
    seen = []
    for rank in range(2):
        numbers = shard_numbers(0, 3, rank=rank, world_size=2)
        epoch = [next(numbers) for _ in range(8)]  # 24 of 48 frames: a batch from each lane of 3
        seen.append({draws[n].frame for batch in epoch for n in batch})
    assert len(seen[0]) == len(seen[1]) == 24
    assert seen[0].isdisjoint(seen[1])


def test_streams_epochs_and_seeds_are_independent():
    def order(epoch=0, **options):
        draws = draws_of([10] * 8, **options)
        return [draws[80 * epoch + n].frame for n in range(80)]

    orders = [order(), order(epoch=1), order(stream="b"), order(seed=2)]
    assert len({tuple(order) for order in orders}) == 4


def test_one_shard_is_cut_at_another_place_in_each_epoch():
    draws = draws_of([80])
    pieces = {frozenset(draws.read(0, epoch).tolist()) for epoch in range(5)}
    assert len(pieces) == 5


def test_frames_of_a_lane_are_read_a_bufferful_ahead_at_most():
    draws = draws_of([40] * 8, shuffle_frames=8 * LANES)
    read, emitted = draws.read(3, 0).tolist(), draws.emitted(3, 0).tolist()
    assert read != emitted
    for place, frame in enumerate(emitted):
        assert read.index(frame) <= place + 8


def test_augmentation_seeds_are_those_of_the_draw_number():
    assert draws_of([5])[17].seed == IndependentDraws(5, seed=1, stream="a")[17].seed


def test_draws_are_those_of_earlier_versions():
    """A change here, in isthmus or in webdataset's shuffle, breaks the resumption of every run under way."""
    draws = draws_of([20, 20, 10], seed=1, stream="source.0.gta5", batch_size=2, shuffle_frames=32)
    assert [draws[n].frame for n in range(10)] == [32, 34, 38, 39, 5, 4, 11, 10, 17, 18]
    assert draws[1000] == (5, 3033645279)


def test_small_sets_have_fewer_lanes():
    assert draws_of([100]).lanes == LANES == 8
    assert draws_of([5]).lanes == 4
    assert draws_of([5], world_size=2).lanes == 2
    assert draws_of([1]).lanes == 1
    with pytest.raises(ConfigurationError, match="3 packed frames for 4 processes"):
        draws_of([3], world_size=4)
