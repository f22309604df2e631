"""Everything that defines a training run, as one YAML file under configs/."""

from collections import Counter
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from isthmus.configuration import config, flatten
from isthmus.datasets.catalogue import SHARDS, DatasetConfig
from isthmus.datasets.shards.order import LANES
from isthmus.datasets.transforms import AugmentationConfig
from isthmus.training.evaluation import EvaluationConfig
from isthmus.training.madan.config import MadanConfig
from isthmus.training.madan.stages import learning_steps
from isthmus.training.optim import OptimiserConfig
from isthmus.training.randomization.config import RandomizationConfig
from isthmus.training.runtime import Precision
from isthmus.training.schedules import ScheduleConfig
from isthmus.training.segmenters import POOLING_DECODERS, SegmenterConfig
from isthmus.training.source_only.config import SourceOnlyConfig
from isthmus.training.target_statistics.config import TargetStatisticsConfig

Role = Literal["source", "target", "validation", "evaluation"]
"""What a data set is for."""

MethodConfig = Annotated[
    SourceOnlyConfig | TargetStatisticsConfig | MadanConfig | RandomizationConfig, Field(discriminator="name")
]
"""What `method:` may hold, told apart by `name`."""


@config
class LoopConfig:
    """How long to train and how often to report, judge and save; all in steps."""

    steps: int
    """Length of the run."""
    batch_size: int
    """Frames a source, a step and a process."""
    evaluate_every: int
    """Steps between evaluations; there is one before the first and one after the last step as well."""
    checkpoint_every: int
    """Steps between checkpoints; a new best is saved as well."""
    log_every: int = 20
    """Steps between rows of the history."""
    keep_last: int = 2
    """Newest checkpoints that are kept beside the best. A resumed run may change this."""
    num_workers: int = 0
    """Processes that load frames, for each source; 0 loads between steps, and shards need 0, 1, 2, 4 or 8. A resumed
    run may change this."""
    cache_mb: int = 0
    """MiB of decoded frames to keep, for each source and process; shards are streamed and never kept. A resumed run
    may change this."""
    precision: Precision = "fp32"
    """`bf16` runs training's forward passes in autocast; evaluation and export are always fp32."""
    channels_last: bool = False
    """Lay images out as NHWC, which most convolutions like better."""
    compile: bool = False
    """Send training forward passes of all large networks through torch.compile."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "evaluate_every", "checkpoint_every", "log_every", "keep_last"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: write a number above 0")
        for name in ("num_workers", "cache_mb"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: write 0 or more")


_CHANGEABLE_ON_RESUME: Final = ("loop.keep_last", "loop.num_workers", "loop.cache_mb")
_PLACES: Final = (".root", ".styles.images", ".styles.translation.checkpoints")
"""Ends of the keys that say where data lie."""


@config
class TrainingConfig:
    """One named run."""

    name: str
    """Of the run, for people and for tracking."""
    seed: int
    """Of everything random."""
    sources: tuple[DatasetConfig, ...]
    """Labelled simulations; each is drawn independently and fills its own batch."""
    target: DatasetConfig | None = None
    """The unlabelled real domain, for methods that adapt to it; its labels are never looked at."""
    validation: DatasetConfig | None
    """Where the best checkpoint is chosen. Must be stated; null chooses none, and the last checkpoint counts."""
    evaluated_on: tuple[DatasetConfig, ...]
    """Labelled sets that the run is judged on and never chosen by."""
    segmenter: SegmenterConfig
    """The network that is trained and served."""
    method: MethodConfig
    """How it is trained."""
    augmentation: AugmentationConfig
    """How training frames are varied; decides the size of what the network sees."""
    loop: LoopConfig
    """How long, and how often."""
    evaluation: EvaluationConfig
    """How validation and evaluated_on are predicted."""
    optimiser: OptimiserConfig | None = None
    """Of the segmenter; for all methods that train, and for those alone."""
    schedule: ScheduleConfig | None = None
    """Of the segmenter's learning rate; for all methods that train, and for those alone."""

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("sources is empty: name at least one labelled data set")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: write 0 or more")
        if self.target is not None and not isinstance(self.method, MadanConfig | TargetStatisticsConfig):
            raise ValueError(f"target is given, but method {self.method.name} never looks at one: leave it out")
        if isinstance(self.method, MadanConfig):
            self._check_madan(self.method)
        if isinstance(self.method, TargetStatisticsConfig):
            self._check_target_statistics(self.method)
        else:
            self._check_training()
        if isinstance(self.method, RandomizationConfig):
            self.method.styles.check_sources([source.title for source in self.sources])
        if self.segmenter.decoder in POOLING_DECODERS and self._images_per_pass < 2:
            raise ValueError(
                f"decoder {self.segmenter.decoder} normalises over the batch after pooling each frame to one pixel: "
                "set loop.batch_size to 2 or more"
            )
        streamed = any(one.dataset == SHARDS for role, one in self.roles if role in {"source", "target"})
        if streamed and self.loop.num_workers and LANES % self.loop.num_workers:
            raise ValueError(f"loop.num_workers is {self.loop.num_workers}: shards are read by 0, 1, 2, 4 or 8")
        judged = [dataset for role, dataset in self.roles if role in {"validation", "evaluation"}]
        twice = sorted(title for title, count in Counter(one.title for one in judged).items() if count > 1)
        if twice:
            raise ValueError(f"two judged sets are called {', '.join(twice)}: give one of them a name")

    @property
    def _images_per_pass(self) -> int:
        """Images in the smallest batch that goes through the segmenter in training."""
        method, batch = self.method, self.loop.batch_size
        if isinstance(method, TargetStatisticsConfig):
            return batch + method.source_frames(batch)
        if isinstance(method, MadanConfig) and (method.normalisation == "own" or self._trains_sources(method)):
            return batch  # the target alone, or an F_i's own source
        versions = method.smallest_pass if isinstance(method, RandomizationConfig) else 1
        return batch * len(self.sources) * versions

    @property
    def _learning(self) -> list[tuple[int, str]]:
        """Steps over which a segmenter's schedule is spread, and what they are called."""
        if not isinstance(self.method, MadanConfig):
            return [(self.loop.steps, "loop.steps")]
        learning = learning_steps(self.method, self.loop.steps)
        steps = []
        if learning.resting < learning.total:  # else generators learn alone
            steps.append((learning.number, "the steps at which the segmenter learns, by method.stages"))
        if self._trains_sources(self.method):
            steps.append((learning.warm_up, "the first stage's steps, which train the sources' own segmenters"))
        return steps

    def _trains_sources(self, method: MadanConfig) -> bool:
        """Whether there is a first stage, and an F_i in it that no checkpoint gives."""
        given = len([path for path in method.source_checkpoints if path is not None])
        return learning_steps(method, self.loop.steps).warm_up > 0 and given < method.num_domains(len(self.sources))

    def _check_training(self) -> None:
        for name in ("optimiser", "schedule"):
            if getattr(self, name) is None:
                raise ValueError(f"{name} is missing: method {self.method.name} trains")
        for steps, what in self._learning:
            if self.schedule is not None and self.schedule.warmup_steps >= steps:
                raise ValueError(
                    f"schedule.warmup_steps is {self.schedule.warmup_steps}: write less than {what}, {steps}"
                )

    def _check_target_statistics(self, method: TargetStatisticsConfig) -> None:
        self._check_target("which would be counted instead of the frames as they are: set both to 0")
        for name in ("optimiser", "schedule"):
            if getattr(self, name) is not None:
                raise ValueError(f"{name} is given, but method target_statistics trains nothing: leave it out")
        wanted, there = method.source_frames(self.loop.batch_size), self.loop.batch_size * len(self.sources)
        if wanted > there:
            raise ValueError(
                f"method.source_share is {method.source_share}: with {self.loop.batch_size} of the target that is "
                f"{wanted} frames of the sources a step, and they give {there}: write a smaller share"
            )
        if method.source_share > 0 and wanted == 0:
            raise ValueError(
                f"method.source_share is {method.source_share}: less than one frame beside {self.loop.batch_size} of "
                "the target; write 0, a larger share or a larger loop.batch_size"
            )

    def _check_target(self, why: str) -> None:
        if self.target is None:
            raise ValueError(f"method {self.method.name} adapts to a target: name its unlabelled frames under target")
        if self.augmentation.color_jitter_p > 0 or self.augmentation.blur_p > 0:
            raise ValueError(f"augmentation.color_jitter_p and .blur_p change colours and blur, {why}")

    def _check_madan(self, method: MadanConfig) -> None:
        self._check_target(
            "which hides from method madan the looks that it is to tell apart: set both to 0; method.color_jitter "
            "changes colours for segmenters alone"
        )
        domains = method.num_domains(len(self.sources))
        if len(method.source_checkpoints) not in {0, domains}:
            raise ValueError(
                f"method.source_checkpoints names {len(method.source_checkpoints)} for {domains} source domains: "
                "write one for each, null for those that the first stage shall train, or leave it empty"
            )
        if method.weights.has_pixel_level:
            _check_generators(method, domains)
        elif method.source_checkpoints:
            raise ValueError(
                "method.source_checkpoints names segmenters that judge translations, and with method.weights.gan and "
                ".cycle at 0 nothing is translated: leave it empty"
            )
        whole = self.augmentation.crop_size_hw
        if method.crop_hw is not None and any(a > b for a, b in zip(method.crop_hw, whole, strict=True)):
            raise ValueError(f"method.crop_hw is {method.crop_hw}, larger than augmentation.crop_size_hw, {whole}")

    @property
    def datasets(self) -> tuple[DatasetConfig, ...]:
        """All data sets of the run, each once."""
        unique: list[DatasetConfig] = []
        for _, dataset in self.roles:
            if dataset not in unique:
                unique.append(dataset)
        return tuple(unique)

    @property
    def roles(self) -> tuple[tuple[Role, DatasetConfig], ...]:
        """All data sets with what they are for; a set may have several roles."""
        roles: list[tuple[Role, DatasetConfig]] = [("source", source) for source in self.sources]
        if self.target is not None:
            roles.append(("target", self.target))
        if self.validation is not None:
            roles.append(("validation", self.validation))
        return (*roles, *(("evaluation", dataset) for dataset in self.evaluated_on))


def _check_generators(method: MadanConfig, num_domains: int) -> None:
    """Whether generators, and the segmenters that they need, learn somewhere, and each of their parts plays."""
    stages = method.stages
    if stages.generators_from == 0 and method.start_from is None:
        raise ValueError(
            "method.stages.generators_from is 0, so nothing trains the segmenters before they are needed: "
            "name a run in method.start_from"
        )
    if stages.generators_rest:
        if method.start_from is None:
            raise ValueError(
                f"method.stages.generators_until is {stages.generators_until}, so nothing trains the generators: name "
                "a run of method madan in method.start_from, or let them learn beyond generators_from"
            )
        return
    playing = ("semantic", "sad", "ccd") if num_domains > 1 else ("semantic",)
    for name in playing:
        begin = getattr(stages, f"{name}_from")
        if getattr(method.weights, name) > 0 and begin is not None and 1.0 > stages.generators_until <= begin:
            raise ValueError(
                f"method.stages.{name}_from is {begin}, when generators already hold still (generators_until is "
                f"{stages.generators_until}): begin earlier, or set method.weights.{name} to 0"
            )


def changed_keys(then: dict[str, Any], config: TrainingConfig) -> list[str]:
    """What stands between a run and its continuation: keys whose values differ and move weights.

    Where data lie moves none: their digests tell whether they are the same.

    Args:
        then: The configuration's tree as a checkpoint holds it.
        config: The configuration now.

    Returns:
        Sorted `key (was …, is …)`.
    """
    differing = _differing(then, config)
    return [text for key, text in differing.items() if key not in _CHANGEABLE_ON_RESUME and not key.endswith(_PLACES)]


def moved_roots(then: dict[str, Any], config: TrainingConfig) -> list[str]:
    """Places of data sets and styles that differ, as `changed_keys` writes them."""
    return [text for key, text in _differing(then, config).items() if key.endswith(_PLACES)]


def _differing(then: dict[str, Any], config: TrainingConfig) -> dict[str, str]:
    old, new = flatten(then), flatten(config)
    keys = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    return {key: f"{key} (was {old.get(key)!r}, is {new.get(key)!r})" for key in keys}
