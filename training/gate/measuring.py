"""Models and frames to evidence: every model sees the same frames, one after the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus.datasets.base import FileDataset, SegmentationDataset
from isthmus.datasets.catalogue import build_dataset, dataset_digest
from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.errors import DataMissingError
from isthmus.training.gate.bootstrap import miou
from isthmus.training.gate.calibration import reliability
from isthmus.training.gate.config import FramesConfig, RobustnessConfig, TargetConfig, UnlabelledConfig
from isthmus.training.gate.corruptions import corrupt
from isthmus.training.gate.evidence import FrameScore, Robustness, SparseConfusion, TargetEvidence
from isthmus.training.gate.label_free import estimates
from isthmus.training.gate.observation import Bytes, Counts, Observation, Predict
from isthmus.training.gate.styles import restyled
from isthmus.training.metrics import ConfusionMatrix

WORST_FRAMES: Final = 12
"""Kept with their scores, for a person to look at."""

Tick = Callable[[], None]
"""Called after each frame that all models have seen."""


@dataclass(frozen=True, slots=True)
class OpenFrames:
    """Frames of a target, or of the source, that a gate looks at."""

    title: str
    dataset: SegmentationDataset
    digest: str
    """Of the whole data set."""
    indices: tuple[int, ...]
    """In the data set."""

    @classmethod
    def open(cls, config: FramesConfig, *, labelled: bool) -> "OpenFrames":
        """Open a data set and choose its frames.

        Raises:
            DataError: It cannot be read, or no frame belongs to the slice.
        """
        dataset = build_dataset(config.data, labelled=labelled)
        slice_ = [index for index, name in enumerate(_names(dataset)) if config.matches(name)]
        if not slice_:
            raise DataMissingError(
                f"no frame of {config.title} matches {config.frames!r}",
                where=dataset.root,
                remedy=f"Names look like {next(iter(_names(dataset)))!r}.",
            )
        indices = tuple(slice_[place] for place in spread(len(slice_), config.max_frames))
        return cls(config.title, dataset, dataset_digest(dataset), indices)


def _names(dataset: SegmentationDataset) -> Iterator[str]:
    """Names of all frames; empty ones for shards, which have no slices."""
    if isinstance(dataset, FileDataset):
        return (frame.name for frame in dataset.frames)
    return ("" for _ in range(len(dataset)))


def spread(num_frames: int, limit: int) -> tuple[int, ...]:
    """Indices of at most `limit` of `num_frames` frames, evenly spaced: neighbours in a drive are near-duplicates.

    >>> spread(10, 4)
    (0, 3, 6, 9)
    >>> spread(3, 200)
    (0, 1, 2)
    """
    count = min(num_frames, limit)
    return tuple(round(index) for index in np.linspace(0, num_frames - 1, count).tolist())


def measure_source(
    models: Sequence[Predict], frames: OpenFrames, *, with_styles: bool, tick: Tick
) -> list[Observation]:
    """What each model says about labelled source frames, which label-free estimators are fitted on."""
    observations = [Observation(frames.dataset.label_space) for _ in models]
    for number, index in enumerate(frames.indices):
        sample = frames.dataset[index]
        for predict, observation in zip(models, observations, strict=True):
            _observe(predict, observation, sample["image"], sample["mask"], number if with_styles else None)
        tick()
    return observations


def measure_target(
    models: Sequence[Predict],
    frames: OpenFrames,
    config: TargetConfig,
    *,
    source: Sequence[Observation] | None,
    with_styles: bool,
    tick: Tick,
) -> list[TargetEvidence]:
    """Evidence of each model on labelled frames.

    Args:
        models: The challenger and, where there is one, the champion.
        frames: The target.
        config: Which measurements its rules need.
        source: What each model says about source frames; None leaves estimates out.
        with_styles: Also look at the frames in other colours.
        tick: For a progress bar.
    """
    meters = [_Meter(frames.dataset) for _ in models]
    names: list[str] = []
    for number, index in enumerate(frames.indices):
        sample = frames.dataset[index]
        names.append(sample["name"])
        style = number if with_styles else None
        labels = [
            meter.see(predict, sample["image"], sample["mask"], style)
            for predict, meter in zip(models, meters, strict=True)
        ]
        _compare(meters, labels)
        tick()
    spoiled = None if config.robustness is None else _spoil(models, meters, frames, config.robustness, tick)
    found = []
    for number, meter in enumerate(meters):
        other = meters[1 - number] if len(meters) > 1 else None
        found.append(
            TargetEvidence(
                **meter.common(frames, None if source is None else source[number]),
                labelled=True,
                **meter.scores(),
                robustness=None if spoiled is None else spoiled[number],
                worst_frames=_worst(frames.indices, names, meter, other),
            )
        )
    return found


def measure_unlabelled(
    models: Sequence[Predict],
    frames: OpenFrames,
    config: UnlabelledConfig,
    *,
    source: Sequence[Observation] | None,
    tick: Tick,
) -> list[TargetEvidence]:
    """Evidence of each model on frames without labels; arguments as of `measure_target`."""
    meters = [_Meter(frames.dataset) for _ in models]
    for number, index in enumerate(frames.indices):
        image = frames.dataset.read_unlabelled(index)["image"]
        style = number if config.needs_styles else None
        labels = [meter.see(predict, image, None, style) for predict, meter in zip(models, meters, strict=True)]
        _compare(meters, labels)
        tick()
    return [
        TargetEvidence(**meter.common(frames, None if source is None else source[number]), labelled=False)
        for number, meter in enumerate(meters)
    ]


@dataclass(slots=True)
class _Meter:
    """Counts of one model on one target."""

    dataset: SegmentationDataset
    observation: Observation = field(init=False)
    frames: list[Counts] = field(default_factory=list)
    """[C, C + 1] for each labelled frame."""
    alike: int = 0
    """Pixels that the other model labels alike."""
    compared: int = 0

    def __post_init__(self) -> None:
        self.observation = Observation(self.dataset.label_space)

    def see(self, predict: Predict, image: Bytes, mask: Bytes | None, style: int | None) -> Bytes:
        """Count one frame and return its labels [H, W]."""
        labels = _observe(predict, self.observation, image, mask, style)
        if mask is not None:
            self.frames.append(_confusion(self.dataset, labels, mask))
        return labels

    def common(self, frames: OpenFrames, source: Observation | None) -> dict[str, Any]:
        """What both kinds of targets have."""
        observation = self.observation
        shares = observation.predicted_shares
        positive = shares[shares > 0]
        return {
            "title": frames.title,
            "digest": frames.digest,
            "label_space": self.dataset.label_space.name,
            "class_names": self.dataset.label_space.names,
            "frame_indices": frames.indices,
            "class_shares": _by_name(shares),
            "source_class_shares": None if source is None else _by_name(source.true_shares),
            "class_entropy": abs(float(-(positive * np.log(positive)).sum())),
            "mean_confidence": observation.mean_confidence,
            "estimates": {} if source is None else estimates(source, observation),
            "agreement_with_other": self.alike / self.compared if self.compared else None,
            "agreement_across_styles": observation.style_agreement,
        }

    def scores(self) -> dict[str, Any]:
        """What labels tell."""
        matrix = ConfusionMatrix(self.dataset.label_space)
        matrix.counts += torch.from_numpy(np.sum(self.frames, axis=0))
        scores = matrix.scores(self.dataset.labelled_train_ids)
        return {
            "frame_confusions": tuple(_sparse(counts) for counts in self.frames),
            "confusion": tuple(tuple(row) for row in matrix.counts.tolist()),
            "miou": scores.miou,
            "iou_per_class": scores.iou_per_class,
            "pixel_accuracy": scores.pixel_accuracy,
            "reliability": reliability(self.observation.valid.sum(0), self.observation.right.sum(0)),
        }


def _observe(predict: Predict, observation: Observation, image: Bytes, mask: Bytes | None, style: int | None) -> Bytes:
    labels, confidence = predict(image[None])
    observation.add(labels[0], confidence[0], mask)
    if style is not None:
        observation.add_styled(labels[0], predict(restyled(image, style)[None])[0][0])
    first: Bytes = labels[0]
    return first


def _compare(meters: Sequence[_Meter], labels: Sequence[Bytes]) -> None:
    if len(meters) < 2:
        return
    alike = int(np.count_nonzero(labels[0] == labels[1]))
    for meter in meters:
        meter.alike += alike
        meter.compared += labels[0].size


def _confusion(dataset: SegmentationDataset, labels: Bytes, mask: Bytes) -> Counts:
    matrix = ConfusionMatrix(dataset.label_space)
    matrix.update(torch.from_numpy(labels), torch.from_numpy(mask))
    counts: Counts = matrix.counts.numpy()
    return counts


def _spoil(
    models: Sequence[Predict], meters: Sequence[_Meter], frames: OpenFrames, config: RobustnessConfig, tick: Tick
) -> list[Robustness]:
    places = spread(len(frames.indices), config.max_frames)
    indices = tuple(frames.indices[place] for place in places)
    cases = [(kind, severity) for kind in config.min_retained for severity in config.severities]
    counts = [{case: np.zeros_like(meter.frames[0]) for case in cases} for meter in meters]
    for number, index in enumerate(indices):
        sample = frames.dataset[index]
        for kind, severity in cases:
            image = corrupt(sample["image"], kind, severity, number=number)[None]
            for predict, count in zip(models, counts, strict=True):
                count[kind, severity] += _confusion(frames.dataset, predict(image)[0][0], sample["mask"])
            tick()
    return [
        Robustness(
            frame_indices=indices,
            clean_miou=float(miou(np.sum([meter.frames[place] for place in places], axis=0))),
            severities=config.severities,
            miou={
                kind: tuple(float(miou(count[kind, severity])) for severity in config.severities)
                for kind in config.min_retained
            },
        )
        for meter, count in zip(meters, counts, strict=True)
    ]


def _worst(
    indices: tuple[int, ...], names: Sequence[str], meter: _Meter, other: _Meter | None
) -> tuple[FrameScore, ...]:
    scores = miou(np.stack(meter.frames))
    others = None if other is None else miou(np.stack(other.frames))
    order: list[int] = np.argsort(scores, kind="stable").tolist()
    shown = [place for place in order if meter.frames[place].any()]
    return tuple(
        FrameScore(
            index=indices[place],
            name=names[place],
            miou=float(scores[place]),
            other_miou=None if others is None else float(others[place]),
        )
        for place in shown[:WORST_FRAMES]
    )


def _sparse(counts: Counts) -> SparseConfusion:
    return tuple((true, predicted, int(counts[true, predicted])) for true, predicted in np.argwhere(counts).tolist())


def _by_name(shares: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(CITYSCAPES19.names, shares.tolist(), strict=True))
