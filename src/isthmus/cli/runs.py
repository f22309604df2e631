"""Verbs that train and judge."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from isthmus.errors import ConfigurationError

if TYPE_CHECKING:
    from isthmus.datasets.catalogue import DatasetConfig

Device = Literal["auto", "cpu", "cuda"]


def train(
    config: tyro.conf.Positional[Path],
    *,
    output: Path,
    resume: bool = False,
    set_: Annotated[tuple[str, ...], tyro.conf.arg(name="set")] = (),
    tracking: Literal["mlflow", "none"] = "mlflow",
    device: Device = "auto",
) -> None:
    """Train a segmenter as a configuration says.

    $ isthmus train configs/source_only/demo.yaml --output runs/demo
    $ isthmus train configs/source_only/demo.yaml --output runs/demo --resume
    $ isthmus train configs/source_only/demo.yaml --output runs/short --set loop.steps=50 seed=1
    $ torchrun --standalone --nproc-per-node 4 -m isthmus train configs/source_only/demo.yaml --output runs/four

    Writes checkpoints, history.jsonl, curves.png and pictures to the output folder, and reports to MLflow
    (MLFLOW_TRACKING_URI, or mlruns/mlflow.db in this folder).

    Args:
        config: A YAML file; see configs/.
        output: Folder of the run; must be new or empty unless --resume.
        resume: Go on from the newest checkpoint; on a CPU bit for bit as if it had never stopped.
        set_: key.sub=value, over what the file says.
        tracking: Report to MLflow, or keep the run to its folder.
        device: auto takes a GPU where there is one.
    """
    from isthmus.configuration import load_config
    from isthmus.training.config import TrainingConfig
    from isthmus.training.run import train as train_run

    train_run(load_config(config, TrainingConfig, set_), output, resume=resume, tracking=tracking, device=device)


def evaluate(
    run: tyro.conf.Positional[Path],
    *,
    dataset: str | None = None,
    root: Path | None = None,
    split: str | None = None,
    resolution_hw: tuple[int, int] | None = None,
    window_hw: tuple[int, int] | None = None,
    stride_hw: tuple[int, int] | None = None,
    out: Path | None = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    device: Device = "auto",
) -> None:
    """Judge a run's segmenter: IoU per class, mIoU, confusion matrix, overlays.

    $ isthmus evaluate runs/demo
    $ isthmus evaluate runs/demo --dataset cityscapes --root /data/cityscapes --split val --out report
    $ isthmus evaluate runs/demo --dataset camvid --root /data/camvid --split val --resolution-hw 360 480 --json

    Scores are taken at the size of the label files, from the summed confusion matrix.

    Args:
        run: Output folder of `isthmus train` (its best checkpoint), or one checkpoint's folder.
        dataset: Data set to judge on; by default those that the run's configuration names.
        root: Its top folder.
        split: Its split; by default `val` where it has one.
        resolution_hw: What the network sees; by default as the run was configured.
        window_hw: Sliding window instead of whole frames, with --stride-hw.
        stride_hw: Distance between windows.
        out: Folder for evaluation.json, confusion matrices and overlays (frame, truth, prediction).
        as_json: Print JSON instead of tables.
        device: auto takes a GPU where there is one.
    """
    from rich.console import Console

    from isthmus.training.checkpoint import read_info, resolve
    from isthmus.training.trained import evaluate_checkpoint, run_config

    if (dataset is None) != (root is None):
        raise ConfigurationError("--dataset and --root go together", remedy="Give both, or neither.")
    evaluation = None
    if resolution_hw or window_hw or stride_hw:
        from dataclasses import replace

        before = run_config(read_info(resolve(run))).evaluation
        evaluation = replace(
            before,
            resolution_hw=resolution_hw or before.resolution_hw,
            mode="sliding" if window_hw or stride_hw else before.mode,
            window_hw=window_hw or before.window_hw,
            stride_hw=stride_hw or before.stride_hw,
        )
    results = evaluate_checkpoint(
        run,
        datasets=_wanted(dataset, root, split),
        evaluation=evaluation,
        output=out,
        device=device,
        console=None if as_json else Console(),
    )
    if as_json:
        print(json.dumps([result.to_tree() for result in results], indent=2))


def _wanted(dataset: str | None, root: Path | None, split: str | None) -> "tuple[DatasetConfig, ...] | None":
    if dataset is None or root is None:
        return None
    from isthmus.datasets.catalogue import DatasetConfig, dataset_class

    splits = dataset_class(dataset).splits
    return (DatasetConfig(dataset=dataset, root=root, split=split or ("val" if "val" in splits else splits[0])),)
