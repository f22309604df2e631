"""What each version has done since the server started, in the Open Inference Protocol's words."""

import time
from collections import OrderedDict
from typing import Final

from isthmus.protos.inference import open_inference_pb2 as pb
from isthmus.serving.events import BatchDone, Event, FrameDone

_MAX_VERSIONS: Final = 32


class Statistics:
    """Listens to the server's events and counts.

    Only the versions that were busy last are remembered, so that a server that swaps for months stays small.
    """

    def __init__(self) -> None:
        self._by_version: OrderedDict[str, pb.ModelStatistics] = OrderedDict()

    def of(self, version: str) -> pb.ModelStatistics:
        """A copy of what was counted for `version`, without the model's name."""
        counted = pb.ModelStatistics(version=version)
        if version in self._by_version:
            counted.CopyFrom(self._by_version[version])
        return counted

    def heard(self, event: Event) -> None:
        """Count a batch, or a frame."""
        if isinstance(event, BatchDone):
            self._count_batch(event)
        elif isinstance(event, FrameDone) and event.model_version:
            self._count_frame(event)

    def _entry(self, version: str) -> pb.ModelStatistics:
        entry = self._by_version.setdefault(version, pb.ModelStatistics(version=version))
        self._by_version.move_to_end(version)
        if len(self._by_version) > _MAX_VERSIONS:
            self._by_version.popitem(last=False)
        return entry

    def _count_batch(self, batch: BatchDone) -> None:
        entry = self._entry(batch.model_version)
        entry.last_inference = time.time_ns() // 1_000_000
        if batch.prediction is None:
            return
        entry.execution_count += 1
        entry.inference_count += batch.num_frames
        for sizes in entry.batch_stats:
            if sizes.batch_size == batch.padded_to:
                break
        else:
            sizes = entry.batch_stats.add(batch_size=batch.padded_to)
        _add(sizes.compute_infer, batch.infer_s)

    def _count_frame(self, frame: FrameDone) -> None:
        stats = self._entry(frame.model_version).inference_stats
        if frame.verdict == "segmented":
            _add(stats.success, frame.total_s)
            _add(stats.queue, frame.queue_s)
            _add(stats.compute_input, frame.decode_s)
            _add(stats.compute_infer, frame.infer_s)
            _add(stats.compute_output, frame.encode_s)
        else:
            _add(stats.fail, frame.total_s)


def _add(total: pb.StatisticDuration, seconds: float | None) -> None:
    if seconds is not None:
        total.count += 1
        total.ns += round(seconds * 1e9)
