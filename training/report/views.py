"""From evidence to what the page's tables and charts show.

Legend: `C` own classes of a target's label space.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from isthmus.datasets.label_space import CITYSCAPES19, LABEL_SPACES
from isthmus.training.gate.evidence import Estimate, Evidence, Judgement, TargetEvidence
from isthmus.training.report import charts
from isthmus.training.report.charts import Series
from isthmus.training.report.frames import FrameRow

_MOST_CONFUSIONS: Final = 12
_LEAST_CONFUSION: Final = 0.01


@dataclass(frozen=True, slots=True)
class ClassRow:
    """IoU of one class in [0, 1], by model; None where it was not measured or nothing can be said."""

    name: str
    color: tuple[int, int, int]
    share: float | None
    """Of the valid pixels; None where truth was not looked at."""
    challenger: float | None
    champion: float | None
    source_only: float | None

    @property
    def difference(self) -> float | None:
        """Challenger minus champion."""
        return None if self.challenger is None or self.champion is None else self.challenger - self.champion


@dataclass(frozen=True, slots=True)
class ConfusionRow:
    """Where a share of a true class went; shares in [0, 1]."""

    true: str
    predicted: str
    challenger: float
    champion: float | None


@dataclass(frozen=True, slots=True)
class RobustnessRow:
    """mIoU in [0, 1] under one corruption at one severity."""

    corruption: str
    severity: int
    challenger: float
    champion: float | None
    kept: float | None
    """Challenger's share of its mIoU on the same frames as they are; None where that is 0."""


@dataclass(frozen=True, slots=True)
class EstimateRow:
    """What an estimator says about the challenger and, where there is one, the champion."""

    estimator: str
    challenger: Estimate
    champion: Estimate | None


@dataclass(frozen=True, slots=True)
class ShareRow:
    """Shares of pixels by predicted train class, in [0, 1]."""

    name: str
    color: tuple[int, int, int]
    challenger: float
    champion: float | None
    sources: float | None


@dataclass(frozen=True, slots=True)
class TargetView:
    """One target: its evidence by model, None where a model was not judged on the same frames."""

    number: int
    """For anchors."""
    challenger: TargetEvidence
    champion: TargetEvidence | None
    source_only: TargetEvidence | None
    series: tuple[Series, ...]
    """Models that were judged here, the challenger first."""
    frames: tuple[FrameRow, ...]

    @property
    def models(self) -> list[tuple[Series, TargetEvidence]]:
        """Evidence by model, as `series` has them."""
        known = [one for one in (self.challenger, self.champion, self.source_only) if one is not None]
        return list(zip(self.series, known, strict=True))

    @property
    def classes(self) -> list[ClassRow]:
        """In the label space's order."""
        colors = LABEL_SPACES[self.challenger.label_space].colors
        counts = confusion_counts(self.challenger)
        shares = None if counts is None else counts.sum(1) / max(1, counts.sum())
        return [
            ClassRow(
                name=name,
                color=colors[own],
                share=None if shares is None else float(shares[own]),
                challenger=self.challenger.iou_per_class.get(name),
                champion=None if self.champion is None else self.champion.iou_per_class.get(name),
                source_only=None if self.source_only is None else self.source_only.iou_per_class.get(name),
            )
            for own, name in enumerate(self.challenger.class_names)
        ]

    @property
    def confusions(self) -> list[tuple[Series, Markup]]:
        """Confusion matrices of challenger and champion."""
        drawn = []
        for series, evidence in self.models:
            counts = confusion_counts(evidence)
            if counts is not None and series.role != "source-only":
                drawn.append((series, charts.confusion_chart(counts, evidence.class_names, series.title)))
        return drawn

    @property
    def largest_confusions(self) -> list[ConfusionRow]:
        """The challenger's, worst first."""
        counts = confusion_counts(self.challenger)
        if counts is None:
            return []
        other = None if self.champion is None else confusion_counts(self.champion)
        names = [*self.challenger.class_names, charts.NONE_OF_THEM]
        shares, others = _row_shares(counts), None if other is None else _row_shares(other)
        wrong = shares.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_CONFUSIONS]
        pairs = [divmod(int(place), shares.shape[1]) for place in order]
        return [
            ConfusionRow(
                names[row],
                names[column],
                float(shares[row, column]),
                None if others is None else float(others[row, column]),
            )
            for row, column in pairs
            if wrong[row, column] >= _LEAST_CONFUSION
        ]

    @property
    def reliability(self) -> Markup | None:
        """The diagram, where confidence was compared with truth."""
        known = [(series, one.reliability) for series, one in self.models if one.reliability is not None]
        return charts.reliability_chart(known) if known else None

    @property
    def robustness(self) -> list[tuple[str, Markup]]:
        """A chart a corruption, all with the same axes."""
        own = self.challenger.robustness
        if own is None:
            return []
        known = [(series, one.robustness) for series, one in self.models if one.robustness is not None]
        top = max(
            (value for _, one in known for value in (one.clean_miou, *(v for each in one.miou.values() for v in each))),
            default=1.0,
        )
        top = min(1.0, max(0.1, float(np.ceil(10 * top)) / 10))
        return [
            (
                name,
                charts.robustness_chart(
                    name,
                    own.severities,
                    [
                        (series, one.clean_miou, one.miou[name])
                        for series, one in known
                        if name in one.miou and one.severities == own.severities
                    ],
                    top,
                ),
            )
            for name in own.miou
        ]

    @property
    def robustness_rows(self) -> list[RobustnessRow]:
        """The numbers of `robustness`, challenger and champion."""
        own = self.challenger.robustness
        if own is None:
            return []
        other = None if self.champion is None else self.champion.robustness
        rows = []
        for name, values in own.miou.items():
            for place, (severity, value) in enumerate(zip(own.severities, values, strict=True)):
                comparable = other is not None and other.severities == own.severities and name in other.miou
                champion = other.miou[name][place] if comparable and other is not None else None
                kept = value / own.clean_miou if own.clean_miou > 0 else None
                rows.append(RobustnessRow(name, severity, value, champion, kept))
        return rows

    @property
    def estimates(self) -> list[EstimateRow]:
        """One an estimator."""
        return [
            EstimateRow(name, own, None if self.champion is None else self.champion.estimates.get(name))
            for name, own in self.challenger.estimates.items()
        ]

    @property
    def shares(self) -> list[ShareRow]:
        """One a train class."""
        sources = self.challenger.source_class_shares
        colors = dict(zip(CITYSCAPES19.names, CITYSCAPES19.colors, strict=True))
        return [
            ShareRow(
                name=name,
                color=colors[name],
                challenger=share,
                champion=None if self.champion is None else self.champion.class_shares.get(name),
                sources=None if sources is None else sources.get(name),
            )
            for name, share in self.challenger.class_shares.items()
        ]


def target_views(
    judgement: Judgement, source_only: Evidence | None, frames: dict[str, list[FrameRow]]
) -> list[TargetView]:
    """All targets that the challenger was judged on."""
    views = []
    for number, own in enumerate(judgement.challenger.targets, start=1):
        models = [
            (Series("challenger", model_title(judgement.challenger, "challenger")), own),
            *_same_frames(own, "champion", judgement.champion),
            *_same_frames(own, "source-only", source_only),
        ]
        by_role = {series.role: evidence for series, evidence in models}
        views.append(
            TargetView(
                number=number,
                challenger=own,
                champion=by_role.get("champion"),
                source_only=by_role.get("source-only"),
                series=tuple(series for series, _ in models),
                frames=tuple(frames.get(own.title, ())),
            )
        )
    return views


def model_title(evidence: Evidence, role: str) -> str:
    """For example `challenger, version 3 (madan)`."""
    return f"{role}, version {evidence.version} ({evidence.method})"


def confusion_counts(evidence: TargetEvidence) -> NDArray[np.int64] | None:
    """[C, C + 1] pixels; None without truth."""
    return None if evidence.confusion is None else np.array(evidence.confusion, np.int64)


def _same_frames(own: TargetEvidence, role: str, other: Evidence | None) -> list[tuple[Series, TargetEvidence]]:
    """The other model's evidence, if it was judged on the very same frames."""
    found = None if other is None else other.on(own.title)
    if other is None or found is None or (found.digest, found.frame_indices) != (own.digest, own.frame_indices):
        return []
    return [(Series(role, model_title(other, role)), found)]


def _row_shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return shares
