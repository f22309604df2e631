"""Verbs that train and judge."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from isthmus.errors import CheckpointError, ConfigurationError, DataError, IsthmusError

if TYPE_CHECKING:
    from isthmus.datasets.catalogue import DatasetConfig
    from isthmus.training.evaluation import EvaluationConfig

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

    wanted = load_config(config, TrainingConfig, set_)
    try:
        made = train_run(wanted, output, resume=resume, tracking=tracking, device=device)
    except (CheckpointError, ConfigurationError, DataError) as error:
        raise _with_variables(error, config, set_) from error
    if int(os.environ.get("RANK", "0")) == 0:
        print(f"{made.steps} steps done; chosen checkpoint {made.best_checkpoint}")
        print(f"Next: isthmus evaluate {output}, isthmus export {output} --out …")


def _with_variables(error: IsthmusError, config: Path, overrides: Sequence[str]) -> IsthmusError:
    """The same error; where the key that it names was written with variables, its remedy names them too."""
    from isthmus.configuration import values_with_variables, variables_in

    key = re.split(r"[: ]", error.where or "", maxsplit=1)[0]
    given = [override.partition("=")[0] for override in overrides]
    for name, text in values_with_variables(config).items():
        if name in {key, f"{key}.root"} and not any(f"{name}.".startswith(f"{one}.") for one in given):
            variables = " and ".join(variables_in(text))
            remedy = f"{error.remedy or ''} {name} is {text} in {config}: {variables} may be set.".strip()
            return type(error)(error.problem, where=error.where, remedy=remedy)
    return error


def adapt(
    run: tyro.conf.Positional[Path],
    *,
    source: int,
    out: Path,
    dataset: str | None = None,
    root: Path | None = None,
    split: str | None = None,
    device: Device = "auto",
) -> None:
    """Write a source in the target's look, as a MADAN run's generator sees it: same layout, same labels.

    $ isthmus adapt runs/madan --source 0 --out data/gta5-adapted
    $ isthmus adapt runs/madan --source 0 --dataset gta5 --root data/gta5 --split all --out data/gta5-adapted

    The new set is read like the source itself; an interrupted call goes on where it stopped.

    Args:
        run: Output folder of `isthmus train` with method madan, or one checkpoint's folder.
        source: Which of the run's sources, counted from 0.
        out: Folder of the new set.
        dataset: Other frames of the same simulator instead, with --root.
        root: Their top folder.
        split: Their split; by default the first.
        device: auto takes a GPU where there is one.
    """
    from rich.console import Console

    from isthmus.datasets.catalogue import DatasetConfig, splits_of
    from isthmus.training.madan.adapting import adapt_source
    from isthmus.training.progress import counted

    if (dataset is None) != (root is None):
        raise ConfigurationError("--dataset and --root go together", remedy="Give both, or neither.")
    frames = None
    if dataset is not None and root is not None:
        frames = DatasetConfig(dataset=dataset, root=root, split=split or splits_of(dataset, root)[0])
    with counted(Console(stderr=True), "adapting") as count:
        made = adapt_source(run, source, out, dataset=frames, device=device, on_frame=count)
    print(f"{made['num_frames']} adapted frames of {made['dataset']} in {out}, digest {made['digest'][:12]}")


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
        out: Folder for evaluation.json, confusion matrices and overlays (frame, truth, prediction) by each set's name.
        as_json: Print JSON instead of tables.
        device: auto takes a GPU where there is one.
    """
    from rich.console import Console

    from isthmus.training.trained import evaluate_checkpoint

    results = evaluate_checkpoint(
        run,
        datasets=_wanted(dataset, root, split),
        evaluation=_changed(run, resolution_hw=resolution_hw, window_hw=window_hw, stride_hw=stride_hw),
        output=out,
        device=device,
        console=None if as_json else Console(),
    )
    if as_json:
        print(json.dumps([result.to_tree() for result in results], indent=2))


def _wanted(dataset: str | None, root: Path | None, split: str | None) -> "tuple[DatasetConfig, ...] | None":
    if dataset is None and root is None and split is None:
        return None
    if dataset is None or root is None:
        raise ConfigurationError(
            "--dataset and --root go together, and --split with them", remedy="Give both of them, or none of the three."
        )
    from isthmus.datasets.catalogue import DatasetConfig, splits_of

    splits = splits_of(dataset, root)
    return (DatasetConfig(dataset=dataset, root=root, split=split or ("val" if "val" in splits else splits[0])),)


def _changed(run: Path, **sizes: tuple[int, int] | None) -> "EvaluationConfig | None":
    """The run's way of predicting with other sizes; None where none is given."""
    from dataclasses import replace

    from pydantic import ValidationError

    from isthmus.training.checkpoint import read_info, resolve
    from isthmus.training.trained import run_config

    given: dict[str, Any] = {name: size for name, size in sizes.items() if size is not None}
    if not given:
        return None
    if "window_hw" in given or "stride_hw" in given:
        given["mode"] = "sliding"
    try:
        return replace(run_config(read_info(resolve(run))).evaluation, **given)
    except ValidationError as error:
        raise ConfigurationError(
            error.errors()[0]["msg"].removeprefix("Value error, "),
            where="--resolution-hw, --window-hw, --stride-hw",
        ) from error
