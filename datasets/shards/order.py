"""The order in which training sees the frames of shards: known without reading any.

Frames flow in *lanes*, a few for each process. In every epoch the shards are put into a new order, end to end, and
that line of frames is cut, from a new place on, into one piece of equal length (to a frame) for each lane. A lane
streams the shards of its piece and pushes their frames through a shuffle buffer. The batches of a process come from
its lanes in turn. So every frame is seen once an epoch however few or uneven the shards are, no two processes see the
same frame in one epoch, and what comes next depends on seed, stream and draw number alone, never on worker processes
or on what was read before.
"""

import random
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.sampling import Draw, augmentation_seed, stream_key
from isthmus.errors import ConfigurationError

LANES: Final = 8
"""Lanes of a process. Worker processes share them, so their number must divide this."""

_SHARDS: Final = 2
_BUFFER: Final = 3
"""Beside the kinds of random numbers in `sampling`."""
_FILLED_AT_FIRST: Final = 4
"""The first frame leaves a buffer when a quarter of it is filled, so that training need not wait for all of it."""


class ShardDraws:
    """The endless stream of one packed source, as `sampling.IndependentDraws` is for files.

    Args:
        frames_per_shard: Number of frames in each shard.
        seed: The run's seed, 0 or more.
        stream: Name of the source in the run; streams with different names are independent.
        batch_size: Frames a process and step.
        world_size: Number of processes.
        shuffle_frames: Frames in the shuffle buffers of a process.

    Raises:
        ConfigurationError: There are fewer frames than processes.
    """

    def __init__(
        self,
        frames_per_shard: Sequence[int],
        *,
        seed: int,
        stream: str,
        batch_size: int,
        world_size: int = 1,
        shuffle_frames: int,
    ) -> None:
        self._starts = list(accumulate(frames_per_shard, initial=0))
        self.num_frames = self._starts[-1]
        if self.num_frames < world_size:
            raise ConfigurationError(
                f"{self.num_frames} packed frames for {world_size} processes",
                where=stream,
                remedy="Use fewer processes or more frames.",
            )
        self._key = stream_key(seed, stream)
        self._batch_size, self._world_size = batch_size, world_size
        lanes = LANES
        while lanes * world_size > self.num_frames:  # each lane must have a frame
            lanes //= 2
        self.lanes = lanes
        """Lanes of each process: a power of two."""
        self._buffer_frames = max(1, shuffle_frames // lanes)
        self._line: tuple[int, NDArray[np.intp]] | None = None
        self._emitted: dict[int, tuple[int, NDArray[np.intp]]] = {}

    def __getitem__(self, number: int) -> Draw:
        """Draw `number`, from 0, as `sampling.shard_numbers` deals them to processes and steps."""
        lane, epoch, place = self.locate(number)
        return Draw(frame=int(self.emitted(lane, epoch)[place]), seed=augmentation_seed(self._key, number))

    def locate(self, number: int) -> tuple[int, int, int]:
        """Lane, epoch of the lane, and place in that epoch of draw `number`."""
        batch, offset = divmod(number, self._batch_size)
        step, rank = divmod(batch, self._world_size)
        turn, own_lane = divmod(step, self.lanes)
        lane = rank * self.lanes + own_lane
        first, end = self._piece(lane)
        epoch, place = divmod(turn * self._batch_size + offset, end - first)
        return lane, epoch, place

    def read(self, lane: int, epoch: int) -> NDArray[np.intp]:
        """Frames of a lane's epoch in the order in which they are read."""
        if self._line is None or self._line[0] != epoch:
            self._line = epoch, self._line_of(epoch)
        first, end = self._piece(lane)
        return self._line[1][first:end]

    def emitted(self, lane: int, epoch: int) -> NDArray[np.intp]:
        """The same frames in the order in which they leave the lane's shuffle buffer."""
        known = self._emitted.get(lane)
        if known is None or known[0] != epoch:
            known = self._emitted[lane] = epoch, self._shuffled(lane, epoch)
        return known[1]

    def _shuffled(self, lane: int, epoch: int) -> NDArray[np.intp]:
        from webdataset.filters import shuffle

        seed = np.random.SeedSequence([*self._key, _BUFFER, epoch, lane]).generate_state(4)
        through_buffer = shuffle(
            self._buffer_frames,
            initial=max(1, self._buffer_frames // _FILLED_AT_FIRST),
            rng=random.Random(seed.tobytes()),
        )
        return np.fromiter(through_buffer(iter(self.read(lane, epoch).tolist())), np.intp)

    def _piece(self, lane: int) -> tuple[int, int]:
        lanes = self.lanes * self._world_size
        return lane * self.num_frames // lanes, (lane + 1) * self.num_frames // lanes

    def _line_of(self, epoch: int) -> NDArray[np.intp]:
        generator = np.random.default_rng([*self._key, _SHARDS, epoch])
        shards = generator.permutation(len(self._starts) - 1)
        line = np.concatenate([np.arange(self._starts[shard], self._starts[shard + 1]) for shard in shards])
        return np.roll(line, -int(generator.integers(self.num_frames)))
