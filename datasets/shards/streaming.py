"""Training batches from shards: each lane streams its shards and keeps the compressed frames that are still due."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from isthmus.datasets.batching import Item, batches, collate
from isthmus.datasets.sample import Batch
from isthmus.datasets.shards.order import LANES, ShardDraws
from isthmus.datasets.shards.reader import Shards
from isthmus.datasets.shards.reading import PackedFrame
from isthmus.datasets.transforms import JointTransform
from isthmus.errors import ConfigurationError, IsthmusError


def shard_batches(
    shards: Shards,
    transform: JointTransform,
    draws: ShardDraws,
    numbers: Iterator[list[int]],
    *,
    labelled: bool,
    num_workers: int,
    pin_memory: bool,
) -> Iterator[Batch]:
    """Endless training batches of one packed source.

    Args:
        shards: Where frames come from.
        transform: Brings all frames to one size.
        draws: Which frame is drawn when.
        numbers: Draw numbers of each of this process's batches, from where training goes on.
        labelled: False batches without masks.
        num_workers: 0, 1, 2, 4 or 8 worker processes; they share the lanes. Changes no result.
        pin_memory: Page-locked batches.

    Returns:
        An iterator that raises a `DataError` when the batch is due that it is about.

    Raises:
        ConfigurationError: So many workers cannot share the lanes.
    """
    if num_workers and LANES % num_workers:
        raise ConfigurationError(
            f"{num_workers} worker processes cannot share {LANES} lanes of shards",
            where=shards.root,
            remedy="Set loop.num_workers to 0, 1, 2, 4 or 8.",
        )
    stream = _LaneBatches(shards, transform, draws, numbers, labelled=labelled)
    # Without lanes enough for all, the other workers would have nothing to do.
    num_workers = min(num_workers, draws.lanes)
    return batches(stream, batch_size=None, collate_fn=_unchanged, num_workers=num_workers, pin_memory=pin_memory)


def _unchanged(batch: Batch | IsthmusError) -> Batch | IsthmusError:
    return batch


class _LaneBatches(IterableDataset[Batch | IsthmusError]):
    """A worker's share of a process's batches, ending with an error where there is one."""

    def __init__(
        self,
        shards: Shards,
        transform: JointTransform,
        draws: ShardDraws,
        numbers: Iterator[list[int]],
        *,
        labelled: bool,
    ) -> None:
        self._shards, self._transform, self._draws = shards, transform, draws
        self._numbers = numbers
        self._labelled = labelled

    def __iter__(self) -> Iterator[Batch | IsthmusError]:
        worker = get_worker_info()
        mine = self._numbers if worker is None else islice(self._numbers, worker.id, None, worker.num_workers)
        lanes: dict[int, _Lane] = {}
        try:
            for numbers in mine:
                yield collate([self._item(number, lanes) for number in numbers])
        except IsthmusError as error:
            yield error
        finally:
            for lane in lanes.values():
                lane.close()

    def _item(self, number: int, lanes: dict[int, "_Lane"]) -> Item:
        lane = self._draws.locate(number)[0]
        if lane not in lanes:
            lanes[lane] = _Lane(self._shards, self._draws)
        packed = lanes[lane].take(number)
        if self._labelled:
            frame = packed.decoded()
            image, mask = self._transform(frame["image"], frame["mask"], seed=self._draws[number].seed)
        else:
            image = packed.decoded_unlabelled()["image"]
            image, mask = self._transform(image, None, seed=self._draws[number].seed)
        return Item(image, mask, packed.name)


class _Lane:
    """Frames of one lane, asked for in the order of its draws."""

    def __init__(self, shards: Shards, draws: ShardDraws) -> None:
        self._draws = draws
        self._reader = shards.open_reader()
        self._epoch: int | None = None
        self._to_read: Iterator[int] = iter(())
        self._waiting: dict[int, PackedFrame] = {}

    def take(self, number: int) -> PackedFrame:
        """The frame of draw `number`: reads on until it has come by."""
        lane, epoch, place = self._draws.locate(number)
        if epoch != self._epoch:
            self._start(lane, epoch, place)
        due = self._draws[number].frame
        while due not in self._waiting:
            frame = next(self._to_read)
            self._waiting[frame] = self._reader.read(frame)
        return self._waiting.pop(due)

    def close(self) -> None:
        """Close the shard that is open."""
        self._reader.close()

    def _start(self, lane: int, epoch: int, place: int) -> None:
        """Begin an epoch, or go on in it: frames that were drawn before are passed over, whole shards unopened."""
        frames = self._draws.read(lane, epoch)
        if place:
            frames = frames[np.isin(frames, self._draws.emitted(lane, epoch)[place:])]
        self._to_read = map(int, frames)  # one by one: a list of a fleet's frames takes hundreds of megabytes
        self._epoch = epoch
