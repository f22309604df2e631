"""Judging a segmenter on a labelled data set, in the data set's own label space and at a stated resolution."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from isthmus.artifact import CardEvaluation
from isthmus.configuration import config
from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.label_space import LabelSpace
from isthmus.datasets.sample import Sample
from isthmus.datasets.transforms import resize_pair
from isthmus.training.distributed import World
from isthmus.training.inference import predict_train_ids, sliding_logits
from isthmus.training.metrics import ConfusionMatrix, Scores

ALONE: Final = World()
JudgedRole = Literal["validation", "evaluation"]
"""Whether a judged set chooses the best checkpoint or decides nothing."""


@config
class EvaluationConfig:
    """How frames are predicted; scores are always taken at the size of the label files."""

    resolution_hw: tuple[int, int] | None
    """Frames are resized to this before the network sees them; null leaves them as on disk."""
    mode: Literal["whole", "sliding"] = "whole"
    """Whole frames, or windows whose logits are averaged where they overlap."""
    window_hw: tuple[int, int] | None = None
    """Size of a window, for `sliding`."""
    stride_hw: tuple[int, int] | None = None
    """Distance between windows, for `sliding`."""
    batch_size: int = 4
    """Frames predicted at once, where they have one size."""

    def __post_init__(self) -> None:
        for name in ("resolution_hw", "window_hw", "stride_hw"):
            size = getattr(self, name)
            if size is not None and min(size) < 1:
                raise ValueError(f"{name} is {list(size)}: write sides of at least 1 pixel")
        windowed = self.window_hw is not None and self.stride_hw is not None
        if self.mode == "sliding" and not windowed:
            raise ValueError("mode sliding needs window_hw and stride_hw")
        if self.mode == "whole" and (self.window_hw is not None or self.stride_hw is not None):
            raise ValueError("window_hw and stride_hw are for mode: sliding")
        if windowed and any(s > w for s, w in zip(self.stride_hw or (), self.window_hw or (), strict=True)):
            raise ValueError("stride_hw must not be larger than window_hw: pixels between windows would be skipped")
        if self.batch_size < 1:
            raise ValueError("batch_size must be at least 1")


@dataclass(frozen=True, slots=True)
class JudgedFrame:
    """One frame after prediction, for pictures."""

    name: str
    image: NDArray[np.uint8]
    """[H, W, 3] RGB, as on disk."""
    mask: NDArray[np.uint8]
    """[H, W] true own ids or 255."""
    pred: NDArray[np.uint8]
    """[H, W] predicted own ids or 255."""


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Scores on one data set."""

    title: str
    """Of the data set, for people and for metric names; unique in a run."""
    dataset: str
    split: str
    num_frames: int
    resolution_hw: tuple[int, int]
    """What the network saw; of the first frame where frames keep their sizes."""
    mode: str
    window_hw: tuple[int, int] | None
    """Size of a sliding window; None for whole frames."""
    stride_hw: tuple[int, int] | None
    """Distance between windows; None for whole frames."""
    space: LabelSpace
    scores: Scores
    confusion: NDArray[np.int64]
    """[C, C + 1] pixels: row true class, column predicted class or, last, none of them."""

    def to_tree(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "title": self.title,
            "dataset": self.dataset,
            "split": self.split,
            "num_frames": self.num_frames,
            "resolution_hw": list(self.resolution_hw),
            "mode": self.mode,
            "window_hw": None if self.window_hw is None else list(self.window_hw),
            "stride_hw": None if self.stride_hw is None else list(self.stride_hw),
            "label_space": self.space.name,
            "miou": self.scores.miou,
            "miou_shared": self.scores.miou_shared,
            **self.scores.miou_subsets,
            "pixel_accuracy": self.scores.pixel_accuracy,
            "iou_per_class": dict(self.scores.iou_per_class),
            "confusion": self.confusion.tolist(),
        }

    def to_card(self, role: JudgedRole) -> CardEvaluation:
        """The part that travels in a model card."""
        return CardEvaluation(
            role=role,
            title=self.title,
            target=self.dataset,
            split=self.split,
            num_frames=self.num_frames,
            resolution_hw=self.resolution_hw,
            miou=self.scores.miou,
            miou_shared=self.scores.miou_shared,
            pixel_accuracy=self.scores.pixel_accuracy,
            iou_per_class=dict(self.scores.iou_per_class),
        )

    def render(self, console: Console) -> None:
        """Print a table of IoU per class in percent, with the means and the resolution."""
        height, width = self.resolution_hw
        mode = self.mode
        if self.window_hw is not None and self.stride_hw is not None:
            mode += " {}x{} by {}x{}".format(*self.window_hw, *self.stride_hw)
        table = Table(title=f"{self.title}: {self.num_frames} frames, network at {height}x{width}, {mode}")
        table.add_column("class")
        table.add_column("IoU %", justify="right")
        for name, iou in self.scores.iou_per_class.items():
            table.add_row(name, _percent(iou))
        table.add_section()
        table.add_row("mIoU, own classes", _percent(self.scores.miou))
        table.add_row("mIoU, classes shared with all sources", _percent(self.scores.miou_shared))
        for subset, miou in self.scores.miou_subsets.items():
            table.add_row(f"mIoU, SYNTHIA's {subset.removeprefix('miou_')} classes", _percent(miou))
        table.add_row("pixel accuracy", _percent(self.scores.pixel_accuracy))
        console.print(table)


def evaluate(
    segmenter: nn.Module,
    dataset: SegmentationDataset,
    config: EvaluationConfig,
    *,
    shared_train_ids: Iterable[int],
    title: str | None = None,
    device: torch.device | None = None,
    world: World = ALONE,
    on_frame: Callable[[int, JudgedFrame], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Sum one confusion matrix over a data set.

    Logits are upsampled bilinearly to the size of the label files before the argmax, and compared there. All in
    fp32, whatever a run trains in: that is what an export says, too.

    Args:
        segmenter: RGB [B,3,H,W] in [0, 1] → logits [B,19,H,W]; put into eval mode and back.
        dataset: A labelled split.
        config: Resolution and mode.
        shared_train_ids: Train ids that every source labels, for `miou_shared`.
        title: Of the result; reader and split where it is left out.
        device: Where to compute; the CPU where it is left out.
        world: Processes that share the frames; each returns the same result.
        on_frame: Called with each frame's index and prediction, on the process that judged it.
        on_progress: Called with the numbers of frames done and in all, on this process.

    Raises:
        DataError: A frame cannot be read.
    """
    device = device or torch.device("cpu")
    matrix = ConfusionMatrix(dataset.label_space, device)
    was_training = {module: module.training for module in segmenter.modules()}
    segmenter.eval()
    resolution_hw = config.resolution_hw or _size_of_first(dataset)
    try:
        # One piece for each process: shards are then streamed once, not once a process.
        mine = range(world.rank * len(dataset) // world.size, (world.rank + 1) * len(dataset) // world.size)
        for indices in _batches(mine, config.batch_size):
            samples = [dataset[index] for index in indices]
            for index, sample, pred in zip(indices, samples, _predict(segmenter, samples, config, device), strict=True):
                matrix.update(pred, torch.from_numpy(sample["mask"]).to(device))
                if on_frame is not None:
                    on_frame(index, _judged(sample, pred, dataset.label_space))
            if on_progress is not None:
                on_progress(mine.index(indices[-1]) + 1, len(mine))
    finally:
        for module, training in was_training.items():  # one by one: parts may be frozen in eval mode
            module.training = training
    matrix.counts = world.sum(matrix.counts)
    return EvaluationResult(
        title=title or f"{dataset.dataset_name}/{dataset.split}",
        dataset=dataset.dataset_name,
        split=dataset.split,
        num_frames=len(dataset),
        resolution_hw=resolution_hw,
        mode=config.mode,
        window_hw=config.window_hw,
        stride_hw=config.stride_hw,
        space=dataset.label_space,
        scores=matrix.scores(shared_train_ids),
        confusion=matrix.counts.cpu().numpy(),
    )


@torch.inference_mode()
def _predict(
    segmenter: nn.Module, samples: list[Sample], config: EvaluationConfig, device: torch.device
) -> list[Tensor]:
    """Train ids of each frame at its label's size."""
    images = [_network_input(sample["image"], config.resolution_hw) for sample in samples]
    one_size = len({image.shape for image in images}) == 1
    groups = [torch.stack(images)] if one_size else [image[None] for image in images]
    logits: list[Tensor] = []
    for group in groups:
        image = group.to(device)
        if config.mode == "sliding":
            assert config.window_hw is not None
            assert config.stride_hw is not None
            logits += sliding_logits(segmenter, image, config.window_hw, config.stride_hw)
        else:
            logits += segmenter(image)
    return [
        predict_train_ids(one[None].float(), (sample["mask"].shape[0], sample["mask"].shape[1]))[0]
        for one, sample in zip(logits, samples, strict=True)
    ]


def _batches(indices: range, size: int) -> Iterator[range]:
    return (indices[first : first + size] for first in range(0, len(indices), size))


def _network_input(image: NDArray[np.uint8], resolution_hw: tuple[int, int] | None) -> Tensor:
    resized = image if resolution_hw is None else resize_pair(image, None, resolution_hw)[0]
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1).float() / 255


def _judged(sample: Sample, pred: Tensor, space: LabelSpace) -> JudgedFrame:
    return JudgedFrame(
        name=sample["name"],
        image=sample["image"],
        mask=space.fold(sample["mask"]),
        pred=space.fold(pred.cpu().numpy()),
    )


def _size_of_first(dataset: SegmentationDataset) -> tuple[int, int]:
    height, width = dataset.read_unlabelled(0)["image"].shape[:2]
    return height, width


def _percent(score: float | None) -> str:
    return "–" if score is None else f"{100 * score:.1f}"
