"""From a run's folder to an export: which checkpoint, at which network size, with which facts on the card."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isthmus.artifact import Precision
from isthmus.datasets.catalogue import build_dataset
from isthmus.errors import DataError
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
    frames: Sequence[NDArray[np.uint8]] | None = None,
    precision: Precision = "fp32",
    say: Callable[[str], None] = print,
) -> ExportResult:
    """Export a run's best checkpoint, or the checkpoint that is named.

    Args:
        run: Output folder of a run, or one of its checkpoints.
        out: Folder of the export.
        name: Name on the card; the run's by default.
        network_size_hw: Multiples of 32; `default_network_size` otherwise.
        frames: See `export_onnx`; a few of the run's `evaluated_on` where left out. They are only compared on:
            none of them gets into the export.
        precision: See `export_onnx`.
        say: Takes what a person should know before the export goes on.

    Raises:
        CheckpointError: There is no checkpoint, or it is damaged.
        ExportError: The size does not fit, or torch cannot export the segmenter.
        ParityError: onnxruntime disagrees with torch.
    """
    segmenter, info = load_segmenter(run)
    config = run_config(info)
    size_hw = network_size_hw or default_network_size(config)
    evaluated_hw = config.evaluation.resolution_hw
    if evaluated_hw != size_hw:
        shown = "frames as on disk" if evaluated_hw is None else "{}x{}".format(*evaluated_hw)
        say(
            f"the network will see {size_hw[0]}x{size_hw[1]}; the run was evaluated at {shown}, its scores are for that"
        )
    if frames is None:
        frames = _evaluated_frames(config, say)
    facts = card_facts(info, config, name)
    return export_onnx(segmenter, facts, out, network_size_hw=size_hw, frames=frames, precision=precision)


def _evaluated_frames(config: TrainingConfig, say: Callable[[str], None]) -> list[NDArray[np.uint8]]:
    """First, middle and last frame of the first set that the run was judged on, if it lies on this machine."""
    if not config.evaluated_on:
        return []
    wanted = config.evaluated_on[0]
    try:
        dataset = build_dataset(wanted)
        indices = sorted({0, len(dataset) // 2, len(dataset) - 1})
        return [dataset.read_unlabelled(index)["image"] for index in indices]
    except DataError as error:
        say(f"compared on drawn streets only, not on frames of {wanted.title}: {error}")
        return []


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
