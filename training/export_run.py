"""From a run's folder to an export: the checkpoint's segmenter, and what its card says."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isthmus.datasets.catalogue import build_dataset
from isthmus.errors import DataError
from isthmus.training.checkpoint import CheckpointInfo
from isthmus.training.config import TrainingConfig
from isthmus.training.export import ExportFacts, ExportResult, export_onnx
from isthmus.training.trained import load_segmenter, run_config

_PARITY_FRAMES = 2


def export_run(
    run: Path, out: Path, *, name: str | None = None, network_size_hw: tuple[int, int] | None = None
) -> ExportResult:
    """Export the segmenter of a run or checkpoint.

    Parity is measured on frames of the run's first evaluation set as well, where that is still at hand.

    Args:
        run: A run's output folder (its best checkpoint) or one checkpoint's folder.
        out: Folder of the export.
        name: Name in the card; the run's where left out.
        network_size_hw: Size that the graph resizes frames to; what the run evaluates at where left out, else its
            training crop.

    Raises:
        CheckpointError: There is no whole checkpoint.
        ExportError: The segmenter cannot leave as ONNX at that size.
        ParityError: onnxruntime disagrees with torch.
    """
    segmenter, info = load_segmenter(run)
    config = run_config(info)
    size = network_size_hw or config.evaluation.resolution_hw or config.augmentation.crop_size_hw
    return export_onnx(segmenter, _facts(info, config, name), out, network_size_hw=size, frames=_frames(config))


def _facts(info: CheckpointInfo, config: TrainingConfig, name: str | None) -> ExportFacts:
    return ExportFacts(
        name=name or info.name,
        method=info.method,
        decoder=config.segmenter.decoder,
        encoder=config.segmenter.encoder,
        step=info.step,
        datasets=info.datasets,
        evaluations=info.evaluations,
        git_commit=info.git_commit,
        config_hash=info.config_hash,
        lock_hash=info.lock_hash,
    )


def _frames(config: TrainingConfig) -> list[NDArray[np.uint8]]:
    for dataset_config in config.evaluated_on:
        try:
            dataset = build_dataset(dataset_config)
            return [dataset.read_unlabelled(i)["image"] for i in range(min(_PARITY_FRAMES, len(dataset)))]
        except DataError:  # exported on another machine, without the data
            continue
    return []
