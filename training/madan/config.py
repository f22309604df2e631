"""Configuration of MADAN: which parts play, how much each weighs, and when it enters."""

from pathlib import Path
from typing import Literal

from isthmus.configuration import config
from isthmus.training.discriminators import PatchDiscriminatorConfig
from isthmus.training.generators import GeneratorConfig
from isthmus.training.madan.color_jitter import ColorJitterConfig
from isthmus.training.madan.self_training import SelfTrainingConfig


@config
class StagesConfig:
    """When each part enters, as shares of the run's steps: 0 is the first step, 1 after the last.

    Before `generators_from`, F and the F_i learn from the sources as they are. From `task_from` on, F learns from
    adapted images, and F_A follows it. A run that starts from checkpoints sets the first to 0.
    """

    generators_from: float = 0.15
    """Pixel adaptation, cycle and semantic consistency."""
    generators_until: float = 1.0
    """Generators and discriminators of images hold still from here on; F goes on learning from what they give. Equal
    to `generators_from`, so 0 with 0, they never learn: those of `start_from` are used as they are."""
    semantic_from: float | None = None
    """Semantic consistency, where it shall wait: while F_A knows the sources' look alone, it holds that look fast. The
    paper's first round of generators has none. null: whole from `generators_from` on."""
    sad_from: float = 0.35
    """Sub-domain aggregation; the paper waits for a quarter of the generators' training."""
    ccd_from: float = 0.5
    """Cross-domain cycle; the paper waits for half of the generators' training."""
    task_from: float = 0.4
    """Training of the segmenter on adapted images."""
    features_from: float = 0.6
    """Feature- and category-level alignment."""
    self_training_from: float | None = None
    """Self-training on the target, where it shall wait. null: together with the task."""
    ramp: float = 0.05
    """Each that has a beginning of its own grows from 0 to its whole weight within so much of the run."""

    def __post_init__(self) -> None:
        beginnings = ("semantic_from", "sad_from", "ccd_from", "task_from", "features_from", "self_training_from")
        for name in ("generators_from", "generators_until", *beginnings, "ramp"):
            share = getattr(self, name)
            if share is not None and not 0.0 <= share <= 1.0:
                raise ValueError(f"{name} is {share}: write a share of the run, from 0 to 1")
        if self.generators_until < self.generators_from:
            raise ValueError(
                f"generators_until is {self.generators_until}, before generators_from ({self.generators_from}): write "
                "the same for both to use the generators of start_from as they are, or a later share to train them"
            )
        for name in ("semantic_from", "sad_from", "ccd_from", "task_from"):
            share = getattr(self, name)
            if share is not None and share < self.generators_from:
                raise ValueError(
                    f"{name} is {share}, before generators_from ({self.generators_from}): it needs adapted images"
                )
        if self.task_from > self.generators_until:
            raise ValueError(
                f"task_from is {self.task_from}, after generators_until ({self.generators_until}): nothing would learn "
                "between them"
            )
        for name, part in (("features_from", "alignment"), ("self_training_from", "self-training")):
            share = getattr(self, name)
            if share is not None and share < self.task_from:
                raise ValueError(
                    f"{name} is {share}, before task_from ({self.task_from}): {part} moves the segmenter, which rests "
                    "until then"
                )

    @property
    def generators_rest(self) -> bool:
        """Whether generators never learn in this run, though F learns from what they give."""
        return self.generators_until <= self.generators_from < 1.0


@config
class WeightsConfig:
    """Weights of the losses; 0 takes a part out, with its networks. The paper prints none.

    `gan` and `cycle` both 0 take the whole pixel level out: F learns from the sources as they are, and alignment moves
    it alone (ADDA, CyCADA's feature level).
    """

    gan: float = 1.0
    """(1) and (2): images that their domain's discriminator takes for real."""
    cycle: float = 10.0
    """(3): there and back gives the image; images are in [0, 1]."""
    semantic: float = 1.0
    """(4), dynamic semantic consistency."""
    sad: float = 1.0
    """(5), sub-domain aggregation; plays from two sources on."""
    ccd: float = 0.2
    """(6), cross-domain cycle; plays from two sources on."""
    source: float = 0.0
    """Supervision of F on the sources as they are, after the first stage as well; the paper has none."""
    feature: float = 0.1
    """(8), alignment of F's last features; the released code's 0.1."""
    score: float = 0.0
    """The same on F's class scores, which the released code does first."""
    category: float = 0.0
    """Category-level alignment of MADAN+."""
    self_training: float = 0.0
    """Self-training with class mixing, which no MADAN paper has: ours, after DACS."""

    def __post_init__(self) -> None:
        for name in (
            "gan", "cycle", "semantic", "sad", "ccd", "source", "feature", "score", "category", "self_training"
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: write 0 or more")
        without = [name for name in ("semantic", "sad", "ccd", "source") if getattr(self, name) > 0]
        if not self.has_pixel_level and without:
            raise ValueError(
                "gan and cycle are both 0, so there are no generators, and F learns from the sources as they are: set "
                f"{', '.join(without)} to 0 as well, or write gan or cycle above 0"
            )

    @property
    def has_pixel_level(self) -> bool:
        """Whether there are generators."""
        return self.gan > 0 or self.cycle > 0


@config
class MadanConfig:
    """Multi-source adversarial domain aggregation, for one source (CyCADA) and more."""

    name: Literal["madan"]
    """Marks this method."""
    formulation: Literal["paper", "aggregated"] = "aggregated"
    """`paper`: a sub-domain discriminator a source, all pairs of the cross-domain cycle. `aggregated`: one M-way
    discriminator and one other source a step, whose cost does not grow with the square of M."""
    combine_sources: bool = False
    """Take all sources for one domain with one pair of generators: CyCADA on "source combined", the papers' baseline.
    There is one F_i then, and nothing to aggregate."""
    generator: GeneratorConfig
    """Of all 2M translators."""
    discriminator: PatchDiscriminatorConfig
    """Of all image discriminators."""
    stages: StagesConfig = StagesConfig()
    """When what enters."""
    weights: WeightsConfig = WeightsConfig()
    """How much what counts."""
    learning_rate: float = 2.0e-4
    """Of generators and discriminators; Adam with betas 0.5 and 0.999, constant, as the released code."""
    feature_learning_rate: float = 1.0e-4
    """Of the feature, score and category discriminators; Adam."""
    class_weights: Literal["none", "enet"] = "none"
    """Of the task loss; see source_only."""
    color_jitter: ColorJitterConfig | None = None
    """Random colours of what segmenters learn from. Generators and discriminators never see them: colours that
    `augmentation` changes blur the looks that they are to tell apart, so its color_jitter_p and blur_p should be 0."""
    crop_hw: tuple[int, int] | None = None
    """Height and width of the crops that generators and discriminators learn from; null takes whole training crops.
    The segmenter always sees whole ones."""
    scales: tuple[float, ...] = (1.0,)
    """Context-aware generation of MADAN+: shares of the crop, cut around one centre and brought to one size. The first
    is the whole, which aggregation and the segmenter see."""
    category_grid_hw: tuple[int, int] = (4, 8)
    """Cells of the category-level alignment's grid."""
    self_training: SelfTrainingConfig = SelfTrainingConfig()
    """How far F_A's answers on the target are believed."""
    normalisation: Literal["mixed", "own"] = "mixed"
    """Of F's batches: `mixed` normalises all of them together, and inference goes by their mixture. `own` normalises
    adapted frames, sources and target each by themselves, and inference goes by the target: domain-specific batch
    normalisation (Chang et al., arXiv:1906.03950) with common scales and shifts."""
    ema_decay: float = 0.99
    """How slowly F_A follows F, a step."""
    pool_size: int = 50
    """Translated images that each history holds."""
    per_source_backward: bool = True
    """One backward pass a source instead of one through all: same gradients, a fraction of the memory."""
    checkpointing: bool = False
    """Compute the generators' residual units again in the backward pass: same gradients, less memory, more time."""
    source_checkpoints: tuple[Path | None, ...] = ()
    """A source-only run or checkpoint for each F_i, in the sources' order; empty trains them in the first stage."""
    start_from: Path | None = None
    """A run or checkpoint whose networks this one starts with, as far as their names agree: a source-only one gives
    F, an earlier MADAN run gives all."""

    def __post_init__(self) -> None:
        if min(self.learning_rate, self.feature_learning_rate) <= 0:
            raise ValueError("learning_rate and feature_learning_rate must be above 0")
        if self.crop_hw is not None and min(self.crop_hw) < 32:
            raise ValueError(f"crop_hw is {self.crop_hw}: write 32 or more, patches need some room")
        check_scales(self.scales)
        if not 0.0 <= self.ema_decay < 1.0:
            raise ValueError(f"ema_decay is {self.ema_decay}: write a number from 0 to below 1")
        if self.pool_size < 0:
            raise ValueError(f"pool_size is {self.pool_size}: write 0 or more")

    def domain_of(self, source: int) -> int:
        """Index of the domain, and of its networks, that a source belongs to."""
        return 0 if self.combine_sources else source

    def num_domains(self, num_sources: int) -> int:
        """M."""
        return 1 if self.combine_sources else num_sources


def check_scales(scales: tuple[float, ...]) -> None:
    """Refuse scales that do not begin with the whole.

    Raises:
        ValueError: Saying what to write.
    """
    if not scales or scales[0] != 1.0 or not all(0.1 <= scale <= 1.0 for scale in scales):
        raise ValueError(f"scales is {scales}: begin with 1.0, then write shares from 0.1 on")
