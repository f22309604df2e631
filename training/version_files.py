"""What a version carries beside its export, so that nobody has to ask where it comes from.

    config.yaml      the resolved configuration of its run
    domain_gap.json  how far apart its domains lie for the weights, where their frames are at hand
    pictures/        the run's curves, and what it drew when the weights were made

and its scores and data sets as MLflow takes them.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import yaml

from isthmus.artifact import CardDataset, CardEvaluation, Manifest, ModelCard
from isthmus.errors import CheckpointError, ConfigurationError, DataError
from isthmus.training.checkpoint import CheckpointInfo, CheckpointStore, read_info
from isthmus.verdict import TAG

CONFIG_FILE: Final = "config.yaml"
PICTURES: Final = "pictures"
DOMAIN_GAP_FILE: Final = "domain_gap.json"
PAGE_FILE: Final = "report.html"
_CURVES: Final = "curves.png"
_GAP_FRAMES: Final = 24
_STEP_PREFIX: Final = "step-"


def attach_run(run: Path, card: ModelCard, into: Path, say: Callable[[str], None]) -> None:
    """Collect what the run that an export was made from has to show.

    Args:
        run: Output folder of `isthmus train`.
        card: Of the export.
        into: An empty folder for the files.
        say: Takes what a person should know.

    Raises:
        CheckpointError: The folder holds no checkpoint.
        ConfigurationError: None of its checkpoints was made with the configuration that the card names.
    """
    info = _info_behind(run, card)
    text = yaml.safe_dump(info.config, sort_keys=False, allow_unicode=True)
    (into / CONFIG_FILE).write_text(text, encoding="utf-8")
    pictures = into / PICTURES
    pictures.mkdir()
    if (run / _CURVES).is_file():
        shutil.copyfile(run / _CURVES, pictures / _CURVES)
    drawn = _drawn_at(run, card.step)
    if drawn is not None:
        for picture in sorted(drawn.glob("*.png")):
            shutil.copyfile(picture, pictures / picture.name)
    _attach_domain_gap(run, into, say)


def version_tags(card: ModelCard, manifest: Manifest) -> dict[str, str]:
    """The tags that a version carries, so that lists and searches need no download."""
    facts = {
        "sha256": manifest.sha256,
        "label_space": manifest.label_space_hash,
        "method": card.method,
        "decoder": card.decoder,
        "encoder": card.encoder,
        "step": str(card.step),
        "git_commit": card.git_commit,
        "config_hash": card.config_hash,
        "lock_hash": card.lock_hash,
    }
    for item in card.evaluations:
        if item.miou is not None:
            facts[f"miou.{evaluation_title(item)}"] = f"{item.miou:.6f}"
    return {f"{TAG}{key}": value for key, value in facts.items()}


def evaluation_title(item: CardEvaluation) -> str:
    """What a target is called in metrics and tags: its title, or reader and split."""
    return item.title or f"{item.target}/{item.split}"


def evaluation_metrics(item: CardEvaluation) -> dict[str, float]:
    """All scores of one target by metric name, such as `registered.TITLE.miou` and `registered.TITLE.iou.person`."""
    scores = {"miou": item.miou, "miou_shared": item.miou_shared, "pixel_accuracy": item.pixel_accuracy}
    scores |= {f"iou.{name}": iou for name, iou in item.iou_per_class.items()}
    prefix = f"registered.{evaluation_title(item)}"
    return {f"{prefix}.{name}": score for name, score in scores.items() if score is not None}


def judged_dataset(card: ModelCard, item: CardEvaluation) -> CardDataset | None:
    """The data set that an evaluation was made on, if the card lists it."""
    judged = (one for one in card.datasets if one.role in {"evaluation", "validation"})
    return next((one for one in judged if (one.dataset, one.split) == (item.target, item.split)), None)


def _info_behind(run: Path, card: ModelCard) -> CheckpointInfo:
    """What the checkpoint behind the export says; the nearest step where it is no longer kept."""
    infos = [read_info(folder) for folder in CheckpointStore(run, 1).steps()]
    if not infos:
        raise CheckpointError("no checkpoint here", where=run, remedy="Name a run's output folder.")
    behind = [info for info in infos if info.config_hash == card.config_hash]
    if not behind:
        raise ConfigurationError(
            "this run was configured otherwise than the one that the export was made from",
            where=run,
            remedy="Name the run that `isthmus export` read, or leave --run out.",
        )
    return min(behind, key=lambda info: abs(info.step - card.step))


def _attach_domain_gap(run: Path, into: Path, say: Callable[[str], None]) -> None:
    from isthmus.training.report import checkpoint_domain_gap

    try:
        gap = checkpoint_domain_gap(run, frames_per_domain=_GAP_FRAMES, device="cpu")
    except DataError as error:
        say(f"the report will show no domain gap: {error}")
        return
    (into / DOMAIN_GAP_FILE).write_text(json.dumps(gap.to_tree()), encoding="utf-8")


def _drawn_at(run: Path, step: int) -> Path | None:
    """The folder of pictures drawn last at or before a step."""
    drawn = {int(path.name.removeprefix(_STEP_PREFIX)): path for path in (run / PICTURES).glob(f"{_STEP_PREFIX}*")}
    return drawn[max(at)] if (at := [number for number in drawn if number <= step]) else None
