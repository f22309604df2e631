"""From a run's folder to an export: which checkpoint, at which network size, with which facts on the card."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isthmus.training.checkpoint import CheckpointInfo
from isthmus.training.config import TrainingConfig
from isthmus.training.export import ExportFacts, ExportResult, export_onnx
from isthmus.training.segmenters import SIZE_MULTIPLE
from isthmus.training.trained import load_segmenter, run_config


def export_run(
    run: Path,
    out: Path,
    *,
    name: str | None = None,
    network_size_hw: tuple[int, int] | None = None,
    frames: Sequence[NDArray[np.uint8]] = (),
) -> ExportResult:
    """Export a run's best checkpoint, or the checkpoint that is named.

    Args:
        run: Output folder of a run, or one of its checkpoints.
        out: Folder of the export.
        name: Name on the card; the run's by default.
        network_size_hw: Multiples of 32; `default_network_size` otherwise.
        frames: See `export_onnx`.

    Raises:
        CheckpointError: There is no checkpoint, or it is damaged.
        ExportError: The size does not fit, or torch cannot export the segmenter.
        ParityError: onnxruntime disagrees with torch.
    """
    segmenter, info = load_segmenter(run)
    config = run_config(info)
    size_hw = network_size_hw or default_network_size(config)
    return export_onnx(segmenter, card_facts(info, config, name), out, network_size_hw=size_hw, frames=frames)


def default_network_size(config: TrainingConfig) -> tuple[int, int]:
    """What the run evaluates at, or else resizes to for training, each side rounded up to a multiple of 32."""
    height, width = config.evaluation.resolution_hw or config.augmentation.resize_hw
    return height + -height % SIZE_MULTIPLE, width + -width % SIZE_MULTIPLE


def card_facts(info: CheckpointInfo, config: TrainingConfig, name: str | None = None) -> ExportFacts:
    """What a checkpoint tells a model card."""
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
