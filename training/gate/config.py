"""The rules of a gate and the frames that it judges on.

A rule with a default of None exists only where a configuration gives it a number; one that exists and cannot be asked
(no frame of that name, no such class, no source frames to fit on) is missing, and a missing rule refuses.
"""

import fnmatch
import hashlib
from collections.abc import Mapping
from typing import Any, Final

import yaml

from isthmus.configuration import config, to_tree
from isthmus.datasets.catalogue import DatasetConfig
from isthmus.datasets.label_space import CITYSCAPES19, LABEL_SPACES
from isthmus.training.gate.corruptions import CORRUPTIONS, SEVERITIES
from isthmus.training.gate.label_free import STYLE_ESTIMATORS, Estimator

_UNLABELLED_RULES: Final = (
    "min_estimated_miou",
    "max_estimated_miou_drop",
    "min_agreement_with_champion",
    "min_agreement_across_styles",
    "max_class_share_shift",
    "min_class_entropy",
)
_CLASS_NAMES: Final = frozenset(name for space in LABEL_SPACES.values() for name in space.names)


@config
class FramesConfig:
    """Some frames of a data set."""

    data: DatasetConfig
    """The data set; its title names the target in verdicts and is unique in a gate."""
    frames: str | None = None
    """A slice: only frames whose name in the data set matches this pattern, such as `*/night/*`; not for shards."""
    max_frames: int
    """At most so many of them, evenly spaced."""

    def __post_init__(self) -> None:
        if self.max_frames < 1:
            raise ValueError(f"max_frames is {self.max_frames}: write a number above 0")
        if self.frames is not None and self.data.dataset == "shards":
            raise ValueError("frames picks files by name: leave it out for shards, or pack the slice by itself")

    @property
    def title(self) -> str:
        """The data set's."""
        return self.data.title

    def matches(self, name: str) -> bool:
        """Whether a frame of this name belongs to the slice."""
        return self.frames is None or fnmatch.fnmatchcase(name, self.frames)


@config
class RobustnessConfig:
    """How well mIoU holds on spoiled frames."""

    max_frames: int
    """Spoil at most so many of the judged frames, evenly spaced."""
    severities: tuple[int, ...] = SEVERITIES
    """How strongly, of 1, 2 and 3."""
    min_retained: dict[str, float]
    """By corruption: least share of the clean mIoU that is left, as the mean over the severities, in [0, 1]."""

    def __post_init__(self) -> None:
        if self.max_frames < 1:
            raise ValueError(f"max_frames is {self.max_frames}: write a number above 0")
        if not self.severities or len({*self.severities} & {*SEVERITIES}) != len(self.severities):
            raise ValueError(f"severities are {list(self.severities)}: write some of {list(SEVERITIES)}, each once")
        unknown = sorted(self.min_retained.keys() - CORRUPTIONS.keys())
        if unknown or not self.min_retained:
            named = ", ".join(unknown) or "nothing"
            raise ValueError(f"min_retained names {named}: choose from {', '.join(CORRUPTIONS)}")
        _check_shares(self.min_retained)


@config
class TargetConfig(FramesConfig):
    """Rules about labelled frames of one target; no frames that trained the challenger."""

    min_miou: float
    """Floor for the mIoU over the target's own classes, in [0, 1]; the score rule of a first promotion."""
    max_miou_drop: float
    """How far the mIoU may lie below the champion's on the same frames, in [0, 1]; 0 demands that it is not below."""
    interval_level: float = 0.95
    """Level of the paired bootstrap's interval of the difference, in (0, 1); its lower end is what counts."""
    min_frames: int = 10
    """Labelled frames that the interval needs; with fewer it proves nothing, and its rule is missing."""
    resamples: int = 1000
    """Draws of frames in the bootstrap."""
    min_class_iou: dict[str, float] | None = None
    """Floor of IoU by class, in [0, 1]; a name is the target's own, or a Cityscapes class that is a part of one."""
    max_class_iou_drop: dict[str, float] | None = None
    """By class: how far its IoU may lie below the champion's on the same frames, in [0, 1]."""
    max_obstacles_as_drivable: float | None = None
    """Largest share of obstacles' pixels that are taken for the road, in [0, 1]: a missed obstacle."""
    max_drivable_as_obstacles: float | None = None
    """Largest share of the road's pixels that are taken for an obstacle, in [0, 1]: braking for nothing."""
    max_ece: float | None = None
    """Largest expected calibration error of the confidence, in [0, 1]."""
    robustness: RobustnessConfig | None = None
    """Rules about spoiled frames."""

    def __post_init__(self) -> None:
        FramesConfig.__post_init__(self)
        if not 0 < self.interval_level < 1:
            raise ValueError(f"interval_level is {self.interval_level}: write a share between 0 and 1, such as 0.95")
        if self.min_frames < 2:
            raise ValueError(f"min_frames is {self.min_frames}: an interval needs at least 2")
        if self.resamples < 100:
            raise ValueError(f"resamples is {self.resamples}: an interval needs at least 100")
        names = ("min_miou", "max_miou_drop", "max_obstacles_as_drivable", "max_drivable_as_obstacles", "max_ece")
        _check_shares({name: getattr(self, name) for name in names})
        for key in ("min_class_iou", "max_class_iou_drop"):
            limits: dict[str, float] = getattr(self, key) or {}
            unknown = sorted(limits.keys() - _CLASS_NAMES)
            if unknown:
                raise ValueError(f"{key} names {', '.join(unknown)}: choose from {', '.join(CITYSCAPES19.names)}")
            _check_shares({f"{key} of {name}": limit for name, limit in limits.items()})


@config
class UnlabelledConfig(FramesConfig):
    """Rules about frames of a target without labels; labels that are there are not looked at."""

    estimator: Estimator = "difference of confidences"
    """Who estimates mIoU; `docs/benchmarks.md` says how far each can be trusted."""
    min_estimated_miou: float | None = None
    """Floor of the estimated mIoU, in [0, 1]."""
    max_estimated_miou_drop: float | None = None
    """How far the estimated mIoU may lie below the champion's, in [0, 1]."""
    min_agreement_with_champion: float | None = None
    """Least share of pixels that champion and challenger label alike, in [0, 1]."""
    min_agreement_across_styles: float | None = None
    """Least share of pixels whose label stays when the frame's colours change, in [0, 1]."""
    max_class_share_shift: float | None = None
    """Largest total variation, in [0, 1], between predicted class shares and the true ones of the source frames."""
    min_class_entropy: float | None = None
    """Least entropy of the predicted class shares, in nats: near 0 where everything became one class."""

    def __post_init__(self) -> None:
        FramesConfig.__post_init__(self)
        _check_shares({name: getattr(self, name) for name in _UNLABELLED_RULES if name != "min_class_entropy"})
        if self.min_class_entropy is not None and not 0 <= self.min_class_entropy < 2.94:
            raise ValueError(
                f"min_class_entropy is {self.min_class_entropy}: write nats from 0 to 2.94 (19 equal shares)"
            )
        if not self.has_rules:
            raise ValueError(f"{self.title} has no rule: write one, or leave the target out")

    @property
    def has_rules(self) -> bool:
        """Whether anything is asked of these frames."""
        return any(getattr(self, name) is not None for name in _UNLABELLED_RULES)

    @property
    def needs_styles(self) -> bool:
        """Whether its frames are looked at in other colours as well."""
        return self.min_agreement_across_styles is not None or self.estimates_by_style

    @property
    def estimates_by_style(self) -> bool:
        """Whether source frames are looked at in other colours as well."""
        return self.needs_estimate and self.estimator in STYLE_ESTIMATORS

    @property
    def needs_estimate(self) -> bool:
        """Whether a rule asks for an estimated score."""
        return self.min_estimated_miou is not None or self.max_estimated_miou_drop is not None

    @property
    def needs_source(self) -> bool:
        """Whether a rule needs labelled source frames."""
        return self.needs_estimate or self.max_class_share_shift is not None


@config
class LatencyConfig:
    """How long a frame may take, on the machine that judges."""

    max_ratio: float | None = None
    """Largest median against the champion's, which is timed in turn with it; above 0."""
    max_median_ms: float | None = None
    """Largest median in milliseconds; asked of a first champion too."""
    max_p95_ms: float | None = None
    """What 95 % of the calls must keep to, in milliseconds; asked of a first champion too."""
    calls: int = 20
    """Timed calls of each model."""

    def __post_init__(self) -> None:
        limits = {"max_ratio": self.max_ratio, "max_median_ms": self.max_median_ms, "max_p95_ms": self.max_p95_ms}
        for name, limit in limits.items():
            if limit is not None and limit <= 0:
                raise ValueError(f"{name} is {limit}: write a number above 0")
        if all(limit is None for limit in limits.values()):
            raise ValueError(f"latency has no rule: write {', '.join(limits)}, or some of them")
        if self.calls < 5:
            raise ValueError(f"calls is {self.calls}: a median needs at least 5")


@config
class GateConfig:
    """Everything that a challenger must show."""

    title: str
    """Of the gate, in verdicts."""
    min_golden_agreement: float
    """Least share of the golden frame's pixels that this machine's runtime labels as the card says, in [0, 1]."""
    max_size_mb: float | None = None
    """Largest `model.onnx`, in megabytes (10^6 bytes)."""
    max_size_ratio: float | None = None
    """Largest `model.onnx` against the champion's."""
    latency: LatencyConfig | None = None
    """Rule about speed."""
    source: FramesConfig | None = None
    """Labelled frames of a source that trained nothing: what label-free estimators are fitted on."""
    targets: tuple[TargetConfig, ...] = ()
    """Labelled frames."""
    unlabelled: tuple[UnlabelledConfig, ...] = ()
    """Frames without labels."""

    def __post_init__(self) -> None:
        _check_shares({"min_golden_agreement": self.min_golden_agreement})
        for name in ("max_size_mb", "max_size_ratio"):
            limit: float | None = getattr(self, name)
            if limit is not None and limit <= 0:
                raise ValueError(f"{name} is {limit}: write a number above 0")
        titles = [frames.title for frames in self.all_targets]
        if not titles:
            raise ValueError("no target: write `targets` (with labels) or `unlabelled`")
        twice = sorted({title for title in titles if titles.count(title) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is there twice: give each data set a `name` of its own")
        if self.source is None:
            needy = [frames.title for frames in self.unlabelled if frames.needs_source]
            if needy:
                raise ValueError(f"rules about {', '.join(needy)} need labelled source frames: write `source`")

    @property
    def all_targets(self) -> "tuple[TargetConfig | UnlabelledConfig, ...]":
        """With labels, then without."""
        return (*self.targets, *self.unlabelled)


def gate_yaml(gate: GateConfig) -> str:
    """All rules of a gate, defaults written out, without the folders that its data sets lie in on this machine.

    Equal rules give equal text. Which frames lay in the folders is what the digests in a verdict say.
    """
    tree = to_tree(gate)
    named: list[dict[str, Any] | None] = [tree["source"], *tree["targets"], *tree["unlabelled"]]
    for frames in named:
        if frames is not None:
            del frames["data"]["root"]
    return yaml.safe_dump(tree, sort_keys=True, allow_unicode=True)


def gate_sha256(gate: GateConfig) -> str:
    """SHA-256 (hex) of `gate_yaml` in UTF-8."""
    return hashlib.sha256(gate_yaml(gate).encode()).hexdigest()


def _check_shares(shares: Mapping[str, float | None]) -> None:
    for name, share in shares.items():
        if share is not None and not 0 <= share <= 1:
            raise ValueError(f"{name} is {share}: write a share between 0 and 1")
