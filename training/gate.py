"""The promotion gate: what a challenger must show before it may serve.

A gate is a list of rules that each give one `Check`; a challenger passes when all checks do. Scores of challenger and
champion are always measured here, on the same frames: numbers that a model card brings along are not trusted.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from isthmus.artifact import CardDataset
from isthmus.configuration import config
from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.catalogue import DatasetConfig, build_dataset, dataset_digest
from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.training.metrics import ConfusionMatrix
from isthmus.training.onnx_model import OnnxModel


@config
class GateConfig:
    """Rules of a gate and the labelled frames that it judges on."""

    dataset: DatasetConfig
    """Labelled frames of the target; no data set that trained the challenger."""
    max_frames: int
    """Judge on at most so many frames, evenly spaced over the data set."""
    min_miou: float
    """Floor for the mIoU over the data set's own classes, in [0, 1]; the only score rule of a first promotion."""
    max_miou_drop: float
    """How far the mIoU may lie below the champion's, in [0, 1]; 0 demands that it is not below."""
    min_golden_agreement: float
    """Least share of the golden frame's pixels that equal torch's labels, in [0, 1]."""

    def __post_init__(self) -> None:
        if self.max_frames < 1:
            raise ValueError(f"max_frames is {self.max_frames}: write a number above 0")
        for name in ("min_miou", "max_miou_drop", "min_golden_agreement"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: write a share between 0 and 1")


@dataclass(frozen=True, slots=True)
class Check:
    """The answer of one rule."""

    rule: str
    passed: bool
    measured: str
    required: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """All answers for one challenger."""

    challenger: int
    """Version that was judged."""
    champion: int | None
    """Version that it was compared with; None when there was none and only the floor rules applied."""
    dataset: str
    """Name and split of the gate's data set."""
    dataset_digest: str
    num_frames: int
    checks: tuple[Check, ...]
    note: str = ""
    """What a person should know beside the checks."""

    @property
    def passed(self) -> bool:
        """Whether every rule passed."""
        return all(check.passed for check in self.checks)

    def to_tree(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "passed": self.passed}

    def to_text(self) -> str:
        """What was judged against what, and a table of the rules, failed ones first."""
        against = "no champion yet: the floors alone decide" if self.champion is None else f"version {self.champion}"
        if self.note:
            against = self.note
        title = f"version {self.challenger} against {against}; {self.num_frames} frames of {self.dataset}"
        rows = [("", "rule", "measured", "required")]
        rows += [
            ("passed" if check.passed else "FAILED", check.rule, check.measured, check.required)
            for check in sorted(self.checks, key=lambda check: check.passed)
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
        return "\n".join([title, *(f"  {line.rstrip()}" for line in lines)])


def judge(
    challenger: OnnxModel,
    champion: OnnxModel | None,
    gate: GateConfig,
    *,
    versions: tuple[int, int | None],
    note: str = "",
    on_frame: Callable[[int, int], None] | None = None,
) -> GateReport:
    """Ask every rule about a challenger.

    Without a champion the rule that compares with one does not exist and the floors alone decide.

    Args:
        challenger: The model that wants to serve.
        champion: The model that serves, if any.
        gate: Rules and data.
        versions: Registry versions of both, for the report.
        note: Stands in the report.
        on_frame: Called after each frame with the number done and the number in all, for a progress bar.

    Raises:
        DataError: The gate's data set cannot be read.
    """
    dataset = build_dataset(gate.dataset)
    frames = spread(len(dataset), gate.max_frames)
    digest = dataset_digest(dataset)
    checks = [_label_space(challenger, champion), _unseen(challenger, digest), _golden(challenger, gate)]
    if checks[0].passed:  # scores of models that mean different things by an id cannot be compared
        models = [challenger] if champion is None else [challenger, champion]
        scores = _mious(models, dataset, frames, on_frame)
        checks.append(_floor(scores[0], gate))
        if champion is not None:
            checks.append(_not_below(scores[0], scores[1], gate))
    return GateReport(
        challenger=versions[0],
        champion=versions[1],
        dataset=gate.dataset.title,
        dataset_digest=digest,
        num_frames=len(frames),
        checks=tuple(checks),
        note=note,
    )


def spread(num_frames: int, limit: int) -> tuple[int, ...]:
    """Indices of at most `limit` of `num_frames` frames, evenly spaced: neighbours in a drive are near-duplicates.

    >>> spread(10, 4)
    (0, 3, 6, 9)
    >>> spread(3, 200)
    (0, 1, 2)
    """
    count = min(num_frames, limit)
    return tuple(round(index) for index in np.linspace(0, num_frames - 1, count).tolist())


def _label_space(challenger: OnnxModel, champion: OnnxModel | None) -> Check:
    spaces = {"ours": CITYSCAPES19.id_hash}
    if champion is not None:
        spaces["champion's"] = champion.card.label_space.id_hash
    own = challenger.card.label_space.id_hash
    required = ", ".join(f"{owner} {space}" for owner, space in spaces.items())
    return Check("label space", all(space == own for space in spaces.values()), own, required)


def _unseen(challenger: OnnxModel, digest: str) -> Check:
    """Only the very same set is recognised: another part or limit of it has another digest."""
    trained_on = [f"{one.dataset}/{one.split}" for one in challenger.card.datasets if _is_source(one, digest)]
    measured = f"trained on {', '.join(trained_on)}" if trained_on else "no source of the challenger"
    return Check("unseen frames", not trained_on, measured, "frames that did not train the challenger")


def _is_source(card: CardDataset, digest: str) -> bool:
    return card.role == "source" and card.digest == digest


def _golden(challenger: OnnxModel, gate: GateConfig) -> Check:
    agreement = challenger.golden_agreement()
    least = gate.min_golden_agreement
    return Check("golden frame", agreement >= least, _percent(agreement, 3), f"at least {_percent(least, 3)}")


def _floor(miou: float, gate: GateConfig) -> Check:
    return Check("mIoU floor", miou >= gate.min_miou, _percent(miou), f"at least {_percent(gate.min_miou)}")


def _not_below(miou: float, champion: float, gate: GateConfig) -> Check:
    least = champion - gate.max_miou_drop
    difference = f"{100 * (miou - champion):+.2f} points"
    return Check(
        "mIoU against the champion",
        miou >= least,
        f"{_percent(miou)} ({difference})",
        f"at least {_percent(least)} (champion {_percent(champion)})",
    )


def _mious(
    models: list[OnnxModel],
    dataset: SegmentationDataset,
    frames: tuple[int, ...],
    on_frame: Callable[[int, int], None] | None,
) -> list[float]:
    """Each model's mIoU over the data set's own classes, all on the same frames."""
    matrices = [ConfusionMatrix(dataset.label_space) for _ in models]
    for done, index in enumerate(frames, start=1):
        sample = dataset[index]
        mask = torch.from_numpy(sample["mask"])
        for model, matrix in zip(models, matrices, strict=True):
            labels, _ = model.predict(sample["image"][None])
            matrix.update(torch.from_numpy(labels[0]), mask)
        if on_frame is not None:
            on_frame(done, len(frames))
    # None: the frames hold no labelled pixel, so nothing was shown.
    return [matrix.scores(dataset.labelled_train_ids).miou or 0.0 for matrix in matrices]


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"
