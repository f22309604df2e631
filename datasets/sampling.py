"""Which frame comes next, and batches of them: seeded, resumable, sharded, each source on its own.

Each source is an endless stream of *draws*. What draw `n` is (which frame, which augmentation) is a pure function
of the seed, the stream's name and `n`. So adding a source changes no other source's order, a run goes on at draw
`n` as if it had never stopped, ranks take turns without overlap, and the number of worker processes changes
nothing.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.batching import Item, batches, collate
from isthmus.datasets.sample import Batch
from isthmus.datasets.shards import Shards
from isthmus.datasets.transforms import JointTransform
from isthmus.errors import IsthmusError

if TYPE_CHECKING:
    from torch.utils.data import Sampler

_ORDER: Final = 0
_AUGMENTATION: Final = 1


class Draw(NamedTuple):
    """One frame to be seen by training."""

    frame: int
    """Index into the data set."""
    seed: int
    """Seed of the frame's augmentation, 0..2³²-1."""


def stream_key(seed: int, stream: str) -> tuple[int, int]:
    """The first part of the seed of everything random in a stream.

    Args:
        seed: The run's seed, 0 or more.
        stream: Name of the source in the run.
    """
    assert seed >= 0
    return seed, int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "little")


def augmentation_seed(key: tuple[int, int], number: int) -> int:
    """Seed of the augmentation of draw `number` of a stream, 0..2³²-1."""
    return int(np.random.SeedSequence([*key, _AUGMENTATION, number]).generate_state(1)[0])


class IndependentDraws:
    """The endless stream of one source: every frame once an epoch, each epoch in a new order.

    Args:
        num_frames: Size of the data set.
        seed: The run's seed, 0 or more.
        stream: Name of the source in the run; streams with different names are independent.
    """

    def __init__(self, num_frames: int, *, seed: int, stream: str) -> None:
        assert num_frames > 0
        self.num_frames = num_frames
        self._key = stream_key(seed, stream)
        self._order: tuple[int, NDArray[np.intp]] | None = None

    def __getitem__(self, number: int) -> Draw:
        """Draw `number`, from 0."""
        epoch, position = divmod(number, self.num_frames)
        return Draw(frame=int(self._order_of(epoch)[position]), seed=augmentation_seed(self._key, number))

    def _order_of(self, epoch: int) -> NDArray[np.intp]:
        if self._order is None or self._order[0] != epoch:
            generator = np.random.default_rng([*self._key, _ORDER, epoch])
            self._order = epoch, generator.permutation(self.num_frames)
        return self._order[1]


def shard_numbers(start: int, batch_size: int, *, rank: int = 0, world_size: int = 1) -> Iterator[list[int]]:
    """Draw numbers of one rank's batches, without end.

    The ranks' batches lie side by side: step `s` uses the `world_size · batch_size` draws from
    `start + s · world_size · batch_size` on, so the draws of a step do not depend on how many ranks share them.

    Args:
        start: First draw of the first step (over all ranks); 0, or where an earlier run stopped.
        batch_size: Frames a rank and step.
        rank: 0..world_size-1.
        world_size: Number of ranks.
    """
    assert start >= 0
    assert 0 <= rank < world_size
    first = start + rank * batch_size
    while True:
        yield list(range(first, first + batch_size))
        first += world_size * batch_size


def build_loader(
    dataset: SegmentationDataset,
    *,
    transform: JointTransform,
    seed: int,
    stream: str,
    batch_size: int,
    start_draw: int = 0,
    num_workers: int,
    rank: int = 0,
    world_size: int = 1,
    labelled: bool = True,
    cache_mb: int = 0,
    pin_memory: bool = False,
) -> Iterator[Batch]:
    """Endless training batches of one source.

    Args:
        dataset: Where frames come from.
        transform: Brings all frames to one size.
        seed: The run's seed.
        stream: Name of the source in the run, for example `source.0.gta5`.
        batch_size: Frames a rank and step.
        start_draw: Draws (over all ranks) that earlier steps have used: step · world_size · batch_size.
        num_workers: Worker processes; 0 loads in this process. Changes no result.
        rank: This process's rank.
        world_size: Number of ranks.
        labelled: False leaves label files alone and batches without a mask.
        cache_mb: Keep decoded frames in memory up to so many MiB in each worker process; not those of shards, which
            are streamed.
        pin_memory: Page-locked batches, for copying to a GPU while it computes.

    Returns:
        An iterator that raises a frame's `DataError` when its batch is due, as it was raised in the worker.

    Raises:
        ConfigurationError: Shards have too few frames, or cannot be divided among so many workers.
    """
    numbers = shard_numbers(start_draw, batch_size, rank=rank, world_size=world_size)
    if isinstance(dataset, Shards):
        from isthmus.datasets.shards.order import ShardDraws
        from isthmus.datasets.shards.streaming import shard_batches

        draws = ShardDraws(
            dataset.frames_per_shard,
            seed=seed,
            stream=stream,
            batch_size=batch_size,
            world_size=world_size,
            shuffle_frames=dataset.shuffle_frames,
        )
        return shard_batches(
            dataset, transform, draws, numbers, labelled=labelled, num_workers=num_workers, pin_memory=pin_memory
        )
    frames = _Frames(
        dataset,
        transform,
        IndependentDraws(len(dataset), seed=seed, stream=stream).__getitem__,
        labelled=labelled,
        cache_bytes=cache_mb << 20,
    )
    sampler = cast("Sampler[list[int]]", _OneWay(numbers))
    return batches(frames, batch_sampler=sampler, collate_fn=collate, num_workers=num_workers, pin_memory=pin_memory)


class _Frames(Dataset[Item | IsthmusError]):
    """Frames by draw number. An error is a value here: torch would flatten it to text on its way to the caller."""

    def __init__(
        self,
        dataset: SegmentationDataset,
        transform: JointTransform,
        draw: Callable[[int], Draw],
        *,
        labelled: bool,
        cache_bytes: int,
    ) -> None:
        self._dataset = dataset
        self._transform = transform
        self._draw = draw
        self._labelled = labelled
        self._cache: dict[int, Item] = {}
        self._cache_bytes_left = cache_bytes

    def __getitem__(self, number: int) -> Item | IsthmusError:
        draw = self._draw(number)
        try:
            item = self._cache.get(draw.frame) or self._read(draw.frame)
        except IsthmusError as error:
            return error
        image, mask = self._transform(item.image, item.mask, seed=draw.seed)
        return Item(image, mask, item.name)

    def _read(self, frame: int) -> Item:
        if self._labelled:
            sample = self._dataset[frame]
            item = Item(sample["image"], sample["mask"], sample["name"])
        else:
            unlabelled = self._dataset.read_unlabelled(frame)
            item = Item(unlabelled["image"], None, unlabelled["name"])
        # The first frames to come stay: each frame comes once an epoch, so the least recently used one is due next.
        num_bytes = item.image.nbytes + (0 if item.mask is None else item.mask.nbytes)
        if num_bytes <= self._cache_bytes_left:
            self._cache[frame] = item
            self._cache_bytes_left -= num_bytes
        return item


class _OneWay:
    """A batch sampler over an iterator that is walked once."""

    def __init__(self, numbers: Iterator[list[int]]) -> None:
        self._numbers = numbers

    def __iter__(self) -> Iterator[list[int]]:
        return self._numbers
