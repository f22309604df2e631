"""A run's judgement of its own segmenter, on the sets that its configuration names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.catalogue import DatasetConfig
from isthmus.training.config import TrainingConfig
from isthmus.training.evaluation import EvaluationConfig, EvaluationResult, JudgedFrame, evaluate
from isthmus.training.figures import file_stem, judged_picture
from isthmus.training.loop import Judgement
from isthmus.training.method import Method, Picture
from isthmus.training.named_sets import open_named
from isthmus.training.progress import Reporter
from isthmus.training.runtime import Runtime

_PICTURED_FRAMES: Final = 3
"""Frames of each judged set that are drawn at every evaluation."""


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """Frames that no step trains on."""

    title: str
    """In tables and plots."""
    dataset: SegmentationDataset

    @classmethod
    def open(cls, key: str, config: DatasetConfig) -> "JudgedSet":
        """The set that a configuration names under `key`; raises as `open_named` does."""
        return cls(config.title, open_named(key, config))


@dataclass(frozen=True, slots=True)
class Judge:
    """Evaluates the segmenter of a method, the same way at every step."""

    validation: JudgedSet | None
    """Decides which checkpoint is best."""
    evaluated_on: Sequence[JudgedSet]
    """Decide nothing."""
    config: EvaluationConfig
    runtime: Runtime
    reporter: Reporter

    @classmethod
    def of(cls, config: TrainingConfig, runtime: Runtime, reporter: Reporter) -> "Judge":
        """The judge of a run, its sets opened; raises as `open_named` does."""
        return cls(
            validation=None if config.validation is None else JudgedSet.open("validation", config.validation),
            evaluated_on=[JudgedSet.open(f"evaluated_on.{i}", one) for i, one in enumerate(config.evaluated_on)],
            config=config.evaluation,
            runtime=runtime,
            reporter=reporter,
        )

    @property
    def sets(self) -> list[JudgedSet]:
        """All sets that are judged on."""
        return [*self.evaluated_on, *([] if self.validation is None else [self.validation])]

    def evaluate(
        self, method: Method, shared_train_ids: Sequence[int], draw: Callable[[Mapping[str, Picture]], None]
    ) -> Judgement:
        """Evaluate what the method has learned so far; on all processes together.

        Args:
            method: Its segmenter is judged.
            shared_train_ids: Train ids that every source labels.
            draw: Takes pictures of the first frames of each set, on the first process.
        """
        # Running statistics of normalisation layers are each rank's own between steps; rank 0's are saved.
        self.runtime.world.share_buffers(method.segmenter)
        on = partial(self._judge_on, method=method, shared_train_ids=shared_train_ids, draw=draw)
        return Judgement(
            validation=None if self.validation is None else on(self.validation, "validation"),
            evaluated_on=[on(one, f"evaluation-{number}") for number, one in enumerate(self.evaluated_on)],
        )

    def _judge_on(
        self,
        judged: JudgedSet,
        name: str,
        *,
        method: Method,
        shared_train_ids: Sequence[int],
        draw: Callable[[Mapping[str, Picture]], None],
    ) -> EvaluationResult:
        dataset = judged.dataset

        def draw_first(index: int, frame: JudgedFrame) -> None:
            if index < _PICTURED_FRAMES and self.runtime.world.is_main:
                picture = judged_picture(frame, dataset.label_space)
                draw({f"{name}-{file_stem(judged.title)}-{index}": picture})

        with self.reporter.counting(f"judging on {judged.title}") as count:
            return evaluate(
                method.segmenter,
                dataset,
                self.config,
                shared_train_ids=shared_train_ids,
                title=judged.title,
                device=self.runtime.device,
                world=self.runtime.world,
                on_frame=draw_first,
                on_progress=count,
            )
