"""The one loop: time, data, evaluation, checkpoints and reports for whichever method it is given."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from isthmus.datasets.sample import Batch
from isthmus.errors import TrainingError
from isthmus.training.config import LoopConfig
from isthmus.training.evaluation import EvaluationResult, JudgedRole
from isthmus.training.history import History
from isthmus.training.method import Method, Picture, StepResult
from isthmus.training.progress import Reporter
from isthmus.training.runtime import Runtime
from isthmus.training.tracking import Tracker

_SWALLOWED: Final = 0.75
"""Share of all pixels for one class, where it fills less than half of that, at which a network has gone to ruin."""


@dataclass(slots=True)
class LoopState:
    """Where a run stands; what a checkpoint keeps of the loop itself."""

    step: int = 0
    """Steps done."""
    best_step: int | None = None
    """Step with the best validation mIoU so far, from 1; None where there is no validation set, or nothing learned."""
    best_miou: float | None = None
    """That mIoU."""
    window: dict[str, Tensor] = field(default_factory=dict)
    """Sums of losses and metrics since the last row of the history, by `losses.NAME` and `metrics.NAME`."""
    window_steps: dict[str, int] = field(default_factory=dict)
    """Steps of the window that reported each of them: a method's parts begin at different steps."""

    def add(self, result: StepResult) -> None:
        """Take a step's numbers into the window; on the device, so that nothing waits for it."""
        for kind, values in (("losses", result.losses), ("metrics", result.metrics)):
            for name, value in values.items():
                tensor = torch.as_tensor(value, dtype=torch.float64)
                key = f"{kind}.{name}"
                self.window[key] = self.window[key] + tensor if key in self.window else tensor
                self.window_steps[key] = self.window_steps.get(key, 0) + 1

    def broken(self) -> list[str]:
        """Keys of the window that are no longer finite numbers; waits for the device."""
        return [key for key, total in self.window.items() if not torch.isfinite(total)]

    def take_means(self) -> tuple[dict[str, float], dict[str, float]]:
        """Mean losses and metrics of the window, which is emptied."""
        means = {key: float(total) / self.window_steps[key] for key, total in self.window.items()}
        self.window, self.window_steps = {}, {}
        losses = {key.removeprefix("losses."): mean for key, mean in means.items() if key.startswith("losses.")}
        return losses, {key.removeprefix("metrics."): mean for key, mean in means.items() if key.startswith("metrics.")}


@dataclass(frozen=True, slots=True)
class Judgement:
    """One round of evaluation."""

    validation: EvaluationResult | None
    """Decides which checkpoint is best."""
    evaluated_on: Sequence[EvaluationResult] = ()
    """Decides nothing."""

    @property
    def results(self) -> list[tuple[JudgedRole, EvaluationResult]]:
        """All results with their roles."""
        results: list[tuple[JudgedRole, EvaluationResult]] = [("evaluation", result) for result in self.evaluated_on]
        return results if self.validation is None else [("validation", self.validation), *results]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the loop works with."""

    method: Method
    runtime: Runtime
    sources: Sequence[Iterator[Batch]]
    """Endless batches, one stream a source."""
    target: Iterator[Batch] | None
    """Endless unlabelled batches, where the run has a target."""
    judge: Callable[[int], Judgement]
    """Evaluates the method's segmenter after so many steps."""
    save: Callable[[LoopState, Judgement | None], None]
    """Writes a checkpoint; the judgement is that of the same weights, if there is one."""
    draw: Callable[[int, Mapping[str, Picture]], None]
    """Keeps pictures of a step."""
    history: History | None
    """None on processes that do not write."""
    tracker: Tracker
    reporter: Reporter


def run_loop(session: Session, config: LoopConfig, state: LoopState) -> Judgement | None:
    """Train from `state.step` to `config.steps`.

    A new run is judged and saved before its first step, so that a broken evaluation or a full disk shows at once.

    Args:
        session: Method, data and where everything goes.
        config: How long and how often.
        state: Where the run stands; moved along.

    Returns:
        The judgement of the last weights, None where a resumed run had nothing left to do.

    Raises:
        TrainingError: A loss or metric is no longer a finite number.
    """
    judgement = None
    if state.step == 0:
        judgement = _judge(session, state)
        session.save(state, judgement)
    with session.reporter.training(state.step):
        clock = _Clock(config.batch_size * len(session.sources) * session.runtime.world.size)
        while state.step < config.steps:
            result = _train_step(session, state)
            clock.tick()
            session.reporter.advance(state.step)
            for note in result.notes:
                _note(session, state, note)
            dues = (config.log_every, config.evaluate_every, config.checkpoint_every)
            if any(_due(state, config, every) for every in dues):
                _check_finite(state)
            if _due(state, config, config.log_every):
                _log(session, state, clock.images_per_second())
            best_before, judgement = state.best_step, None
            if _due(state, config, config.evaluate_every):
                judgement = _judge(session, state)
                if result.pictures is not None and session.runtime.world.is_main:
                    session.draw(state.step, result.pictures())
            if _due(state, config, config.checkpoint_every) or state.best_step != best_before:
                session.save(state, judgement)
            del result  # what its pictures hold is free before the next step needs memory
            clock.restart()
    return judgement


def _due(state: LoopState, config: LoopConfig, every: int) -> bool:
    return state.step % every == 0 or state.step == config.steps


def _train_step(session: Session, state: LoopState) -> StepResult:
    sources = [session.runtime.to_device(next(stream)) for stream in session.sources]
    target = None if session.target is None else session.runtime.to_device(next(session.target))
    result = session.method.train_step(state.step, sources, target)
    state.add(result)
    state.step += 1
    return result


def _check_finite(state: LoopState) -> None:
    """Before a window is reported and before its weights are judged or saved: good checkpoints outlive a bad run."""
    broken = state.broken()
    if broken:
        raise TrainingError(
            f"{', '.join(broken)} is not finite at step {state.step}",
            remedy="Lower optimiser.learning_rate, set optimiser.gradient_clip_norm, or train in fp32.",
        )


def _log(session: Session, state: LoopState, images_per_second: float) -> None:
    losses, metrics = state.take_means()
    if session.history is not None:
        row: dict[str, Any] = {"losses": losses, "metrics": metrics, "images_per_second": round(images_per_second, 2)}
        session.history.append(state.step, "train", row)
        named = {f"loss.{name}": value for name, value in losses.items()}
        session.tracker.log_metrics(state.step, {**named, **metrics, "images_per_second": images_per_second})
    session.reporter.log(state.step, losses, images_per_second)


def _judge(session: Session, state: LoopState) -> Judgement:
    judgement = session.judge(state.step)
    # What was there before the first step is no work of this run, however well it scores.
    if judgement.validation is not None and state.step > 0:
        miou = judgement.validation.scores.miou or 0.0
        if state.best_miou is None or miou > state.best_miou:
            state.best_step, state.best_miou = state.step, miou
    for role, result in judgement.results:
        session.reporter.judged(state.step, role, result)
        if session.history is not None:
            session.history.append(state.step, "evaluation", {"role": role, **result.to_tree()})
            session.tracker.log_metrics(state.step, _named_scores(role, result))
        swallowed = _swallowing_class(result)
        if swallowed is not None and state.step > 0:
            _note(session, state, f"{result.title}: {swallowed}")
    return judgement


def _note(session: Session, state: LoopState, text: str) -> None:
    session.reporter.say(f"step {state.step}: {text}")
    if session.history is not None:
        session.history.append(state.step, "note", {"text": text})


def _swallowing_class(result: EvaluationResult) -> str | None:
    """A sentence about a network that sees hardly anything but one class, which is not what is there."""
    total = int(result.confusion.sum())
    if total == 0:
        return None
    predicted = result.confusion.sum(0)[: len(result.space.names)] / total
    there = result.confusion.sum(1) / total
    most = int(predicted.argmax())
    if predicted[most] < _SWALLOWED or there[most] > _SWALLOWED / 2:
        return None
    return (
        f"{100 * predicted[most]:.0f} % of all pixels are taken for {result.space.names[most]}, which fills "
        f"{100 * there[most]:.0f} %: the segmenter has gone to ruin; go back to an earlier checkpoint with a lower "
        "optimiser.learning_rate"
    )


def _named_scores(role: str, result: EvaluationResult) -> dict[str, float]:
    scores = result.scores
    prefix = f"{role}.{result.title}"
    named = {
        f"{prefix}.miou": scores.miou,
        f"{prefix}.miou_shared": scores.miou_shared,
        f"{prefix}.pixel_accuracy": scores.pixel_accuracy,
    }
    named |= {f"{prefix}.{name}": miou for name, miou in scores.miou_subsets.items()}
    named |= {f"{prefix}.iou.{name}": iou for name, iou in scores.iou_per_class.items()}
    return {name: value for name, value in named.items() if value is not None}


class _Clock:
    """Images a second over the steps since the last report, without evaluations and checkpoints."""

    def __init__(self, images_per_step: int) -> None:
        self._images_per_step = images_per_step
        self._seconds, self._steps = 0.0, 0
        self.restart()

    def restart(self) -> None:
        """The next step begins now."""
        self._started = time.perf_counter()

    def tick(self) -> None:
        """A step has ended."""
        self._seconds += time.perf_counter() - self._started
        self._steps += 1

    def images_per_second(self) -> float:
        """The speed since this was last asked."""
        speed = self._images_per_step * self._steps / max(self._seconds, 1e-9)
        self._seconds, self._steps = 0.0, 0
        return speed
