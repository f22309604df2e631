"""What a run left behind: its segmenter, loaded from a checkpoint and judged."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from isthmus.configuration import explain
from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.catalogue import DatasetConfig, build_dataset
from isthmus.errors import CheckpointError, ConfigurationError
from isthmus.training.checkpoint import CheckpointInfo, check_files, load_network, read_info, resolve
from isthmus.training.config import TrainingConfig
from isthmus.training.evaluation import EvaluationConfig, EvaluationResult, JudgedFrame, evaluate
from isthmus.training.figures import file_stem, judged_picture, save_confusion, save_picture
from isthmus.training.progress import counted
from isthmus.training.runtime import choose_device
from isthmus.training.segmenters import Segmenter, build_segmenter


def load_segmenter(path: Path) -> tuple[Segmenter, CheckpointInfo]:
    """The segmenter of a checkpoint, in eval mode on the CPU.

    Args:
        path: A run's output folder (its best checkpoint, else its newest) or one checkpoint's folder.

    Raises:
        CheckpointError: There is none, or it is damaged.
    """
    folder = resolve(path)
    check_files(folder)
    info = read_info(folder)
    segmenter = build_segmenter(run_config(info).segmenter, load_weights=False)
    load_network(segmenter, folder, "segmenter")
    return segmenter.eval(), info


def run_config(info: CheckpointInfo) -> TrainingConfig:
    """The configuration of the run that a checkpoint belongs to.

    Raises:
        CheckpointError: It is of a version of isthmus with other keys.
    """
    try:
        return TypeAdapter(TrainingConfig).validate_json(json.dumps(info.config), strict=True)
    except ValidationError as error:
        raise CheckpointError(
            f"the configuration in it is none of this version: {explain(error)}",
            where=f"{info.name}, step {info.step}",
            remedy="Use the version of isthmus that wrote it.",
        ) from error


def evaluate_checkpoint(
    checkpoint: Path,
    *,
    datasets: Sequence[DatasetConfig] | None = None,
    evaluation: EvaluationConfig | None = None,
    output: Path | None = None,
    num_pictures: int = 8,
    device: str = "auto",
    console: Console | None = None,
) -> tuple[EvaluationResult, ...]:
    """Judge a checkpoint's segmenter.

    Args:
        checkpoint: A run's output folder (its best checkpoint) or one checkpoint's folder.
        datasets: Labelled sets to judge on; those of the run's `evaluated_on` where left out.
        evaluation: Resolution and mode; the run's where left out.
        output: Where to write `evaluation.json` and, for each set, `N-TITLE-confusion.png` and a folder
            `N-TITLE/` of overlays, the title being the set's `name` or else reader, split and part; nothing is
            written where left out.
        num_pictures: Overlays a data set, of evenly spaced frames.
        device: `auto`, `cpu` or `cuda`.
        console: Where to print the tables; nothing is printed where left out.

    Raises:
        CheckpointError: There is none, or it is damaged.
        ConfigurationError: There is nothing to judge on.
        DataError: A data set cannot be read.
    """
    segmenter, info = load_segmenter(checkpoint)
    run = run_config(info)
    wanted = run.evaluated_on if datasets is None else datasets
    if not wanted:
        raise ConfigurationError(
            "the run names no set to be evaluated on", where=checkpoint, remedy="Name a data set to judge on."
        )
    chosen = choose_device(device)
    segmenter.to(chosen)
    results = []
    for number, dataset_config in enumerate(wanted):
        dataset = build_dataset(dataset_config)
        keep = None
        if output is not None:
            keep = _keeper(dataset, output / f"{number}-{file_stem(dataset_config.title)}", num_pictures)
        with counted(Console(stderr=True), f"judging on {dataset_config.title}") as count:
            result = evaluate(
                segmenter,
                dataset,
                run.evaluation if evaluation is None else evaluation,
                shared_train_ids=info.source_train_ids,
                title=dataset_config.title,
                device=chosen,
                on_frame=keep,
                on_progress=count,
            )
        if console is not None:
            result.render(console)
        results.append(result)
    if output is not None:
        _write(output, info, results)
    return tuple(results)


def _write(output: Path, info: CheckpointInfo, results: Sequence[EvaluationResult]) -> None:
    output.mkdir(parents=True, exist_ok=True)
    tree = {"name": info.name, "step": info.step, "results": [result.to_tree() for result in results]}
    (output / "evaluation.json").write_text(json.dumps(tree, indent=2), encoding="utf-8")
    for number, result in enumerate(results):
        save_confusion(result, output / f"{number}-{file_stem(result.title)}-confusion.png")


def _keeper(dataset: SegmentationDataset, folder: Path, num_pictures: int) -> Callable[[int, JudgedFrame], None]:
    """Writes overlays of so many frames, evenly spaced over the set."""
    number = min(num_pictures, len(dataset))
    pictured = frozenset(torch.linspace(0, len(dataset) - 1, number).long().tolist())

    def keep(index: int, frame: JudgedFrame) -> None:
        if index in pictured:
            save_picture(judged_picture(frame, dataset.label_space), folder / f"{index:06d}.png")

    return keep
