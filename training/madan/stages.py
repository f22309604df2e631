"""What plays at a step and how much: the stages of a run as pure functions of the step."""

import math
from dataclasses import dataclass

from isthmus.training.madan.config import MadanConfig


@dataclass(frozen=True, slots=True)
class Stage:
    """Weights of all parts at one step; 0 is out."""

    warm_up: bool
    """F and the F_i learn from the sources as they are; nothing is adapted yet."""
    generators: bool
    """Generators and discriminators of images learn; else they hold still, or there are none."""
    gan: float
    cycle: float
    semantic: float
    sad: float
    ccd: float
    task: float
    """Training of F on adapted images: 0 or, after its ramp, 1; always 1 where there are no generators."""
    source: float
    feature: float
    score: float
    category: float
    self_training: float


@dataclass(frozen=True, slots=True)
class LearningSteps:
    """At which of a run's steps F learns: in the first stage, then again from the task on."""

    warm_up: int
    """Steps of the first stage, from 0 on."""
    resting: int
    """Steps between it and the task, in which generators and discriminators learn alone."""
    total: int
    """Of the whole run."""

    @property
    def number(self) -> int:
        """Steps at which F learns: what its learning rate's schedule is spread over, at least 1."""
        return max(1, self.total - self.resting)

    def index(self, step: int) -> int:
        """Which of them the step `step` of the run is, from 0."""
        return step if step < self.warm_up else step - self.resting


def learning_steps(config: MadanConfig, total_steps: int) -> LearningSteps:
    """When F learns, in a run of `total_steps`: always, where no generators are to be waited for."""
    if not config.weights.has_pixel_level:
        return LearningSteps(0, 0, total_steps)
    stages = config.stages
    warm_up = _first_step(stages.generators_from, total_steps)
    return LearningSteps(warm_up, _first_step(stages.task_from, total_steps) - warm_up, total_steps)


def _first_step(share: float, total_steps: int) -> int:
    """The first step, from 0, that is not before `share` of the run."""
    step = math.ceil(share * total_steps)
    return step - 1 if step > 0 and (step - 1) / total_steps >= share else step  # 0.07 * 100 is above 7


def stage_at(config: MadanConfig, step: int, total_steps: int, num_sources: int) -> Stage:
    """The stage of step `step` of `total_steps`.

    Args:
        config: Of the method.
        step: From 0.
        total_steps: Of the whole run.
        num_sources: M; with one source nothing is aggregated.
    """
    stages, weights = config.stages, config.weights
    at = step / total_steps

    def grown(begin: float) -> float:
        """0 before `begin`, 1 from `begin` + ramp on; the first step of a part already moves it."""
        if at < begin:
            return 0.0
        return min((at - begin + 1 / total_steps) / stages.ramp, 1.0) if stages.ramp > 0 else 1.0

    several = float(num_sources > 1)
    pixel = weights.has_pixel_level
    warm_up = pixel and at < stages.generators_from
    learn = pixel and not warm_up and at < stages.generators_until
    aligned, task = grown(stages.features_from), grown(stages.task_from)
    alone = task if stages.self_training_from is None else grown(stages.self_training_from)
    return Stage(
        warm_up=warm_up,
        generators=learn,
        gan=learn * weights.gan,
        cycle=learn * weights.cycle,
        semantic=learn * weights.semantic * (1.0 if stages.semantic_from is None else grown(stages.semantic_from)),
        sad=learn * several * weights.sad * grown(stages.sad_from),
        ccd=learn * several * weights.ccd * grown(stages.ccd_from),
        task=task if pixel else 1.0,
        source=weights.source,
        feature=weights.feature * aligned,
        score=weights.score * aligned,
        category=weights.category * aligned,
        self_training=weights.self_training * alone,
    )
