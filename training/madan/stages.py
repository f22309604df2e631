"""What plays at a step and how much: the stages of a run as pure functions of the step."""

from dataclasses import dataclass

from isthmus.training.madan.config import MadanConfig


@dataclass(frozen=True, slots=True)
class Stage:
    """Weights of all parts at one step; 0 is out."""

    warm_up: bool
    """F and the F_i learn from the sources as they are; nothing is adapted yet."""
    gan: float
    cycle: float
    semantic: float
    sad: float
    ccd: float
    task: float
    """Training of F on adapted images: 0 or, after its ramp, 1."""
    source: float
    feature: float
    score: float
    category: float
    self_training: float


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
    aligned, task = grown(stages.features_from), grown(stages.task_from)
    alone = task if stages.self_training_from is None else grown(stages.self_training_from)
    return Stage(
        warm_up=at < stages.generators_from,
        gan=weights.gan,
        cycle=weights.cycle,
        semantic=weights.semantic * (1.0 if stages.semantic_from is None else grown(stages.semantic_from)),
        sad=several * weights.sad * grown(stages.sad_from),
        ccd=several * weights.ccd * grown(stages.ccd_from),
        task=task,
        source=weights.source,
        feature=weights.feature * aligned,
        score=weights.score * aligned,
        category=weights.category * aligned,
        self_training=weights.self_training * alone,
    )
