from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from isthmus.datasets.sampling import IndependentDraws, build_loader, shard_numbers
from isthmus.datasets.transforms import AugmentationConfig, build_training_transform
from isthmus.errors import ConfigurationError, UnreadableFileError

seeds = st.integers(0, 2**31)
sizes = st.integers(1, 50)


@given(seed=seeds, size=sizes, epoch=st.integers(0, 5))
def test_each_epoch_shows_each_frame_once(seed, size, epoch):
    draws = IndependentDraws(size, seed=seed, stream="a")
    frames = [draws[n].frame for n in range(epoch * size, (epoch + 1) * size)]
    assert sorted(frames) == list(range(size))


@given(seed=seeds, size=sizes, numbers=st.lists(st.integers(0, 500), min_size=1, max_size=10))
def test_a_draw_does_not_depend_on_earlier_ones(seed, size, numbers):
    used = IndependentDraws(size, seed=seed, stream="a")
    assert [used[n] for n in numbers] == [IndependentDraws(size, seed=seed, stream="a")[n] for n in numbers]


@given(seed=seeds)
def test_streams_epochs_and_seeds_are_independent(seed):
    def order(stream="a", seed=seed, epoch=0):
        draws = IndependentDraws(40, seed=seed, stream=stream)
        return [draws[40 * epoch + n] for n in range(40)]

    orders = [order(), order(stream="b"), order(seed=seed + 1), order(epoch=1)]
    for i, first in enumerate(orders):
        for second in orders[:i]:
            assert [draw.frame for draw in first] != [draw.frame for draw in second]
            assert {draw.seed for draw in first}.isdisjoint(draw.seed for draw in second)


@given(start=st.integers(0, 100), batch_size=st.integers(1, 8), world_size=st.integers(1, 4))
def test_ranks_take_turns_without_overlap(start, batch_size, world_size):
    ranks = [shard_numbers(start, batch_size, rank=r, world_size=world_size) for r in range(world_size)]
    for step in range(3):
        together = [n for rank in ranks for n in next(rank)]
        first = start + step * world_size * batch_size
        assert together == list(range(first, first + world_size * batch_size))


def test_draws_are_those_of_earlier_versions():
    """A change here breaks the resumption of every run that is under way."""
    draws = IndependentDraws(5, seed=1, stream="source.0.gta5")
    assert [draws[n].frame for n in range(7)] == [0, 1, 2, 3, 4, 1, 0]
    assert draws[6].seed == 3355287338


@pytest.fixture
def dataset(open_fakes):
    return open_fakes("camvid", num_frames=5)


@pytest.fixture(scope="module")
def transform():
    return build_training_transform(AugmentationConfig(resize_hw=(24, 32), crop_size_hw=(16, 24)))


def batches(dataset, transform, count, **options):
    settings = {"seed": 3, "stream": "source.0.camvid", "batch_size": 2, "num_workers": 0, **options}
    return list(islice(build_loader(dataset, transform=transform, **settings), count))


def assert_equal(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a["names"] == b["names"]
        assert torch.equal(a["image"], b["image"])
        assert torch.equal(a["mask"], b["mask"])


def test_batch(dataset, transform):
    (batch,) = batches(dataset, transform, 1)
    assert batch["image"].shape == (2, 3, 16, 24)
    assert batch["image"].dtype == torch.float32
    assert 0 <= batch["image"].min() < batch["image"].max() <= 1
    assert batch["image"].is_contiguous()
    assert batch["mask"].shape == (2, 16, 24)
    assert batch["mask"].dtype == torch.int64
    assert len(batch["names"]) == 2


def test_worker_processes_change_nothing(dataset, transform):
    alone = batches(dataset, transform, 6)
    assert_equal(alone, batches(dataset, transform, 6, num_workers=2))


def test_resumes_at_a_draw(dataset, transform):
    whole = batches(dataset, transform, 6)
    assert_equal(whole[4:], batches(dataset, transform, 2, start_draw=8))


def test_cache_changes_nothing(dataset, transform, monkeypatch):
    whole = batches(dataset, transform, 6)
    read = []
    monkeypatch.setattr(type(dataset), "__getitem__", counted(type(dataset).__getitem__, read))
    assert_equal(whole, batches(dataset, transform, 6, cache_mb=1))
    assert sorted(read) == [0, 1, 2, 3, 4]  # 12 draws, each frame read once


def counted(function, calls):
    def call(self, index):
        calls.append(index)
        return function(self, index)

    return call


def test_ranks_share_the_single_process_batch(dataset, transform):
    whole = batches(dataset, transform, 3, batch_size=4)
    ranks = [batches(dataset, transform, 3, rank=r, world_size=2) for r in range(2)]
    for step, batch in enumerate(whole):
        parts = [rank[step] for rank in ranks]
        assert batch["names"] == [name for part in parts for name in part["names"]]
        assert torch.equal(batch["image"], torch.cat([part["image"] for part in parts]))


def test_unlabelled_batches_need_no_labels(dataset, transform):
    for frame in dataset.frames:
        frame.label.unlink()
    (batch,) = batches(dataset, transform, 1, labelled=False)
    assert set(batch) == {"image", "names"}


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_broken_frame_is_the_same_error_from_a_worker(num_workers, dataset, transform):
    path = dataset.frames[2].image
    path.write_bytes(b"no picture")
    with pytest.raises(UnreadableFileError, match="no readable image") as caught:
        batches(dataset, transform, 3, num_workers=num_workers)
    assert caught.value.where == str(path)
    assert caught.value.remedy == "Fetch it again."


def test_torchs_global_generator_stays_where_it_is(dataset, transform):
    before = torch.random.get_rng_state()
    batches(dataset, transform, 2, num_workers=1)
    assert torch.equal(torch.random.get_rng_state(), before)


def as_on_disk(image, mask, *, seed):
    return image, mask


def test_frames_of_different_sizes_need_a_resolution(dataset):
    for path in (dataset.frames[1].image, dataset.frames[1].label):
        with Image.open(path) as picture:
            picture.crop((0, 0, 20, 10)).save(path)
    with pytest.raises(ConfigurationError, match="different sizes in one batch"):
        batches(dataset, as_on_disk, 1, batch_size=5)
