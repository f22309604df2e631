"""What was measured about a model on the gate's frames: plain numbers that rules are asked on and reports drawn from.

Legend: `C` own classes of a target's label space, `F` judged frames.
"""

import json
from dataclasses import field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from isthmus.configuration import config, explain, to_tree
from isthmus.errors import ContractError
from isthmus.gate_report import Finite, GateReport

SparseConfusion = tuple[tuple[int, int, int], ...]
"""(true class, predicted class or C for none of them, pixels) wherever pixels is not 0."""


@config
class ReliabilityBin:
    """Pixels whose confidence lies in one interval; all three in [0, 1]."""

    confidence: Finite
    """Their mean confidence."""
    accuracy: Finite
    """Share of them that is right."""
    share: Finite
    """Share of all valid pixels."""


@config
class Reliability:
    """How far confidence can be believed."""

    bins: tuple[ReliabilityBin, ...]
    """Bins that hold pixels, by rising confidence."""
    ece: Finite
    """Expected calibration error in [0, 1]: mean over pixels of |confidence − accuracy| of their bin."""


@config
class Robustness:
    """mIoU on spoiled frames, all in [0, 1]."""

    frame_indices: tuple[int, ...]
    """Frames that were spoiled, by their index in the data set."""
    clean_miou: Finite
    """Of the same frames as they are."""
    severities: tuple[int, ...]
    """For example 1, 2, 3."""
    miou: dict[str, tuple[Finite, ...]]
    """By name of the corruption, one a severity."""


@config
class Estimate:
    """What an estimator that looks at no label says about a target; both in [0, 1]."""

    miou: Finite | None
    """None where the estimator says nothing about classes."""
    accuracy: Finite | None
    """Share of right pixels."""


@config
class FrameScore:
    """One frame and how well it was segmented."""

    index: int
    """In the target's data set."""
    name: str
    """Inside its data set."""
    miou: Finite
    """Of this frame alone, over its true classes, in [0, 1]."""
    other_miou: Finite | None
    """The other model's on the same frame."""


@config
class TargetEvidence:
    """What was measured on one target's frames; numbers are None where they need truth and there is none."""

    title: str
    """Of the target."""
    digest: str
    """`catalogue.dataset_digest` of the whole set, hex."""
    labelled: bool
    """Whether truth was looked at."""
    label_space: str
    """Name in `label_space.LABEL_SPACES`."""
    class_names: tuple[str, ...]
    """Own classes of the target, C of them."""
    frame_indices: tuple[int, ...]
    """Judged frames, F of them, by their index in the data set."""
    frame_confusions: tuple[SparseConfusion, ...] | None = None
    """One a judged frame."""
    confusion: tuple[tuple[int, ...], ...] | None = None
    """[C][C + 1] pixels: row true class, column predicted class or, last, none of them; the sum over frames."""
    miou: Finite | None = None
    """Mean over the own classes that occur in the truth, in [0, 1]."""
    iou_per_class: dict[str, Finite | None] = field(default_factory=dict)
    """By own class; None where it occurs neither in truth nor in prediction."""
    pixel_accuracy: Finite | None = None
    """Share of valid pixels that are right."""
    reliability: Reliability | None = None
    """Of the confidence that the graph gives."""
    robustness: Robustness | None = None
    """None where the gate asks for no corruptions."""
    worst_frames: tuple[FrameScore, ...] = ()
    """Judged frames with the lowest mIoU of their own, worst first."""
    class_shares: dict[str, Finite]
    """Share of all pixels by predicted train class, 19 of them."""
    source_class_shares: dict[str, Finite] | None = None
    """Share of valid pixels by true train class, in the source frames that the gate names."""
    class_entropy: Finite
    """Entropy of `class_shares` in nats, 0..ln 19."""
    mean_confidence: Finite
    """Mean over pixels at the head's resolution, in [0, 1]."""
    estimates: dict[str, Estimate] = field(default_factory=dict)
    """By estimator, see `label_free`; empty where the gate names no source frames to fit on."""
    agreement_with_other: Finite | None = None
    """Share of pixels that the other model (champion or challenger) labels alike."""
    agreement_across_styles: Finite | None = None
    """Share of pixels whose label stays when the frame's colours change; None where it was not asked for."""

    @property
    def num_frames(self) -> int:
        """Judged frames."""
        return len(self.frame_indices)

    def frame_counts(self) -> NDArray[np.int64] | None:
        """`frame_confusions` as an array [F, C, C + 1]; None without truth."""
        if self.frame_confusions is None:
            return None
        classes = len(self.class_names)
        counts = np.zeros((len(self.frame_confusions), classes, classes + 1), np.int64)
        for frame, entries in enumerate(self.frame_confusions):
            for true, predicted, pixels in entries:
                counts[frame, true, predicted] = pixels
        return counts


@config
class Latency:
    """How long one frame takes, measured in turn with the other model where there is one."""

    median_ms: Finite
    """Half of the calls are faster, in milliseconds."""
    p95_ms: Finite
    """95 % of the calls are faster, in milliseconds."""
    frame_hw: tuple[int, int]
    """Size of the timed frame."""
    calls: int
    """Timed calls."""


@config
class Evidence:
    """Everything that was measured about one model."""

    name: str
    """On the model's card."""
    version: int
    """In the registry."""
    sha256: str
    """Of its `model.onnx`, hex."""
    method: str
    """That trained it."""
    step: int
    """Optimisation steps behind it."""
    label_space: str
    """Hash of its label space."""
    size_bytes: int
    """Of its `model.onnx`."""
    golden_agreement: Finite | None
    """Share of the golden frame's pixels that came out as the card says, in [0, 1]; None where it is unreadable."""
    latency: Latency | None = None
    """None where the gate has no rule about it."""
    targets: tuple[TargetEvidence, ...] = ()
    """In the gate's order; empty where models with other classes made them pointless."""

    def on(self, title: str) -> TargetEvidence | None:
        """What was measured on a target, if anything."""
        return next((target for target in self.targets if target.title == title), None)

    def to_tree(self) -> dict[str, Any]:
        """Plain values for JSON."""
        tree: dict[str, Any] = to_tree(self)
        return tree

    @classmethod
    def from_tree(cls, tree: Any, *, where: str = "evidence") -> Self:
        """Read it back from `to_tree`.

        Raises:
            ContractError: It is no evidence of this version.
        """
        try:
            return TypeAdapter(cls).validate_json(json.dumps(tree), strict=True)
        except ValidationError as error:
            remedy = "Let `isthmus promote` judge the version again."
            raise ContractError(f"no evidence of a gate ({explain(error)})", where=where, remedy=remedy) from error


@config
class Judgement:
    """A verdict and what it rests on."""

    report: GateReport
    """The verdict."""
    challenger: Evidence
    """Of the model that wants to serve."""
    champion: Evidence | None
    """Of the model that serves, if any."""

    def evidence_tree(self) -> dict[str, Any]:
        """Both models' evidence as plain values: what `evidence.json` holds."""
        return {
            "challenger": self.challenger.to_tree(),
            "champion": None if self.champion is None else self.champion.to_tree(),
        }

    @classmethod
    def from_trees(cls, report: Any, evidence: Any, *, where: str = "evidence") -> Self:
        """Put a judgement together again from `report.to_tree()` and `evidence_tree()`.

        Raises:
            ContractError: One of them is something else.
        """
        if not isinstance(evidence, dict) or set(evidence) != {"challenger", "champion"}:
            raise ContractError("no evidence of a gate", where=where, remedy="Let `isthmus promote` judge it again.")
        champion = evidence["champion"]
        return cls(
            report=GateReport.from_tree(report, where=where),
            challenger=Evidence.from_tree(evidence["challenger"], where=where),
            champion=None if champion is None else Evidence.from_tree(champion, where=where),
        )
