"""What a finished run scored on the sets that it is judged on, and which of its steps its own rule chose.

Reads `config.yaml`, `history.jsonl`, `ancestry.json` and `style_domains.json`, no weights.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from isthmus.configuration import explain, load_config
from isthmus.datasets.catalogue import DatasetConfig
from isthmus.errors import ConfigurationError, UnreadableFileError
from isthmus.training.history import HISTORY_FILE, read_history
from isthmus.training.seen import SeenSettings, ancestry_in_words, place_of, seen_in_training

CONFIG_FILE: Final = "config.yaml"
_Role = Literal["validation", "evaluation"]


class _Loop(BaseModel):
    steps: int


class _Settings(SeenSettings):
    """What the report needs of a run's configuration."""

    name: str
    seed: int
    loop: _Loop
    validation: DatasetConfig | None


@dataclass(frozen=True, slots=True)
class Target:
    """A labelled set that runs are judged on."""

    title: str
    dataset: str
    split: str
    num_frames: int
    label_space: str
    true_pixels: tuple[int, ...]
    """Labelled pixels of each class of its label space; tells other frames apart."""

    @property
    def num_classes(self) -> int:
        """Classes of its label space."""
        return len(self.true_pixels)

    @property
    def num_occurring(self) -> int:
        """Those of them that its frames show: what its mIoU is the mean over."""
        return sum(pixels > 0 for pixels in self.true_pixels)

    @property
    def heading(self) -> str:
        """For example `camvid/val (11 classes)`, or `street (17 of 19 classes)` where two never occur."""
        shown = "" if self.num_occurring == self.num_classes else f"{self.num_occurring} of "
        return f"{self.title} ({shown}{self.num_classes} classes)"


class _Evaluation(BaseModel):
    """What the report needs of an evaluation row."""

    step: int
    role: _Role
    title: str
    dataset: str
    split: str
    num_frames: int
    resolution_hw: tuple[int, int]
    mode: str
    window_hw: tuple[int, int] | None
    stride_hw: tuple[int, int] | None
    label_space: str
    miou: float | None
    confusion: tuple[tuple[int, ...], ...]

    @property
    def target(self) -> Target:
        """The set that was judged."""
        return Target(
            title=self.title,
            dataset=self.dataset,
            split=self.split,
            num_frames=self.num_frames,
            label_space=self.label_space,
            true_pixels=tuple(map(sum, self.confusion)),
        )

    @property
    def predicted(self) -> str:
        """How frames went through the network: `240x320, whole`."""
        sizes = (self.resolution_hw, self.window_hw, self.stride_hw)
        network, window, stride = ("x".join(map(str, size or ())) for size in sizes)
        return f"{network}, {self.mode}" + (f" {window} by {stride}" if window else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRun:
    """A finished run's scores, all mIoU in [0, 1]."""

    folder: Path
    name: str
    method: str
    seed: int
    step: int
    """The chosen one."""
    chosen_by: str
    """In words."""
    predicted: str
    """Resolution and mode of its evaluations."""
    seen: tuple[str, ...]
    """What it trained on of the targets' data sets, in words; empty where nothing is known to have been seen."""
    ancestry: tuple[str, ...]
    """What reached it through others, and what of that is not known, in words."""
    targets: tuple[Target, ...]
    curves: Mapping[str, Mapping[int, float]]
    """mIoU by target's title and step."""

    @property
    def miou(self) -> dict[str, float]:
        """At the chosen step, by target."""
        return {title: curve[self.step] for title, curve in self.curves.items()}

    @property
    def best(self) -> dict[str, tuple[int, float]]:
        """Step and mIoU of the best evaluation, by target; see `OPTIMISTIC`."""
        learned = {t: {step: miou for step, miou in curve.items() if step > 0} for t, curve in self.curves.items()}
        return {title: max(curve.items(), key=lambda point: point[1]) for title, curve in learned.items()}

    @property
    def best_miou(self) -> dict[str, float]:
        """The mIoU of `best`, by target."""
        return {title: miou for title, (_, miou) in self.best.items()}

    @property
    def num_evaluations(self) -> int:
        """Evaluations of each target, from the one before the first step on."""
        return len(next(iter(self.curves.values())))


def read_run(folder: Path) -> JudgedRun:
    """Read a finished run.

    Every evaluation judges validation and all targets, and the best step is one of the evaluations, so that the
    chosen step has a score on each target.

    Args:
        folder: Output folder of `isthmus train`.

    Raises:
        ConfigurationError: There is no run, it is unfinished, or a target's frames are its validation.
        UnreadableFileError: The history is damaged.
    """
    if not (folder / HISTORY_FILE).is_file():
        raise ConfigurationError("no run here", where=folder, remedy="Name an output folder of `isthmus train`.")
    settings = load_config(folder / CONFIG_FILE, _Settings)
    rows = _evaluations(folder)
    steps = sorted({row.step for row in rows})
    if steps[-1:] != [settings.loop.steps]:
        raise ConfigurationError(
            f"unfinished: the last evaluation of {settings.loop.steps} steps is missing",
            where=folder,
            remedy="Wait for it, or go on with `isthmus train … --resume`.",
        )
    titles = [one.title for one in settings.evaluated_on]
    evaluated = _by_step_and_title(folder, rows, "evaluation", steps, titles)
    validation = [settings.validation.title] if settings.validation else []
    validated = _by_step_and_title(folder, rows, "validation", steps, validation)
    last = [evaluated[settings.loop.steps, title] for title in titles]
    step, chosen_by = _choice(folder, settings, validated)
    return JudgedRun(
        folder=folder,
        name=settings.name,
        method=settings.method.name,
        seed=settings.seed,
        step=step,
        chosen_by=chosen_by,
        predicted="; ".join(dict.fromkeys(row.predicted for row in last)),
        seen=seen_in_training(folder, settings),
        ancestry=ancestry_in_words(folder, settings),
        targets=tuple(row.target for row in last),
        curves={t: {s: _score(folder, evaluated[s, t]) for s in steps} for t in titles},
    )


def _evaluations(folder: Path) -> list[_Evaluation]:
    try:
        rows = list(read_history(folder, "evaluation"))
        return TypeAdapter(list[_Evaluation]).validate_python(rows)
    except ValidationError as error:
        raise UnreadableFileError(explain(error)[:300], where=folder / HISTORY_FILE) from error
    except ValueError as error:  # no JSON, or no UTF-8
        raise UnreadableFileError(
            f"a row is cut off or damaged ({error})",
            where=folder / HISTORY_FILE,
            remedy="Where the run still trains, wait for it; otherwise go on with `isthmus train … --resume`.",
        ) from error


def _by_step_and_title(
    folder: Path, rows: Sequence[_Evaluation], role: _Role, steps: Sequence[int], titles: Sequence[str]
) -> dict[tuple[int, str], _Evaluation]:
    """The rows of a role, once it is sure that each evaluation judged all of its sets once, on the same frames."""
    found = [row for row in rows if row.role == role]
    counts = Counter((row.step, row.title) for row in found)
    wanted = Counter((step, title) for step in steps for title in titles)
    wrong = [f"{title} at step {step}" for step, title in sorted(((counts - wanted) + (wanted - counts)).keys())]
    targets = {title: {row.target for row in found if row.title == title} for title in titles}
    wrong += [f"{title}, whose frames changed within the run" for title, ones in targets.items() if len(ones) > 1]
    if wrong:
        raise UnreadableFileError(
            f"not one {role} of each set that config.yaml names at each evaluation: {', '.join(wrong)}",
            where=folder / HISTORY_FILE,
            remedy="Train it again, or put its own history.jsonl and config.yaml back.",
        )
    return {(row.step, row.title): row for row in found}


def _choice(folder: Path, settings: _Settings, judged: Mapping[tuple[int, str], _Evaluation]) -> tuple[int, str]:
    """The step whose checkpoint is the run's best, found as the loop finds it, and the rule in words."""
    validation = settings.validation
    if validation is None:
        return settings.loop.steps, "the last step (no validation)"
    of_source = place_of(validation) in map(place_of, settings.sources)
    if not of_source and place_of(validation) in map(place_of, settings.evaluated_on):
        raise ConfigurationError(
            f"chosen by a target's labels: validation {validation.title} and a target share {validation.root}",
            where=folder,
            remedy="Train it with held-out frames of a source as validation, or with null.",
        )
    learned = [row for row in judged.values() if row.step > 0]
    best = max(learned, key=lambda row: (row.miou or 0.0, -row.step))
    return best.step, f"best on {'source ' if of_source else ''}validation {validation.title}"


def _score(folder: Path, row: _Evaluation) -> float:
    if row.miou is None:
        raise ConfigurationError(
            f"no mIoU on {row.title}: no pixel of its {row.num_frames} frames is labelled",
            where=folder,
            remedy="Train it with labelled frames under evaluated_on.",
        )
    return row.miou
