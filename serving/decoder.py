"""From a batch's bytes to its pixels, on the codec's threads, with as few copies as can be."""

import asyncio
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from isthmus.serving.jobs import Job
from isthmus.serving.scheduling.latency import Smoothed

T = TypeVar("T")


class Decoder:
    """Decodes batches.

    Args:
        codec: The threads.
        clock: Seconds.
    """

    def __init__(self, codec: Executor, clock: Callable[[], float]) -> None:
        self._codec = codec
        self._clock = clock
        self.usual = Smoothed()
        """Seconds that a batch takes."""

    async def batch(self, jobs: Sequence[Job], padded: int) -> NDArray[np.uint8] | None:
        """RGB images [padded, H, W, 3] uint8 of `jobs`; each job is told its rows, its seconds and what went wrong.

        Rows of a job that failed or died, and those that fill the batch up, are black.

        Args:
            jobs: Of one group.
            padded: At least as many as all their frames.

        Returns:
            None where there is only one job, and it has failed or died.
        """
        started = self._clock()
        count = sum(job.count for job in jobs)
        images = await (self._alone(jobs[0]) if len(jobs) == 1 and padded == count else self._together(jobs, padded))
        ended = self._clock()
        self.usual.observe(ended - started, ended)
        return images

    async def _alone(self, job: Job) -> NDArray[np.uint8] | None:
        """One job's pixels, without a copy."""
        started = self._clock()
        images = None
        try:
            images = job.images() if job.is_cheap else await self._in_codec(job.images)
        except Exception as error:
            job.failure = error
        job.decode_s, job.row = self._clock() - started, 0
        return images

    async def _together(self, jobs: Sequence[Job], padded: int) -> NDArray[np.uint8]:
        """All jobs' pixels in one array."""
        started = self._clock()
        images = np.zeros((padded, *jobs[0].group.shape_hw, 3), np.uint8)
        row = 0
        for job in jobs:
            job.row, row = row, row + job.count
        decoding = [self._in_codec(functools.partial(job.decode_into, images)) for job in jobs]
        for job, outcome in zip(jobs, await asyncio.gather(*decoding, return_exceptions=True), strict=True):
            job.decode_s = self._clock() - started
            if isinstance(outcome, Exception):
                job.failure = outcome
        return images

    def _in_codec(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._codec, work)
