"""A run from start to end.

OUTPUT/
    config.yaml         the resolved configuration
    history.jsonl       losses, metrics and scores by step
    curves.png          the same, drawn
    ancestry.json       data sets that reached the run through others, see `ancestry`
    style_domains.json  of method randomization: what each style domain is made of
    checkpoints/        see `checkpoint`
    pictures/           step-N/…: overlays of judged frames and what the method draws
    mlflow_run.json     the MLflow run that this one reports to, where it is tracked
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from isthmus.artifact import CardDataset
from isthmus.configuration import config_hash, to_tree, to_yaml
from isthmus.errors import ConfigurationError
from isthmus.training import resuming
from isthmus.training.ancestry import Ancestor, inherited_cards, write_ancestry
from isthmus.training.build import (
    build_method,
    build_streams,
    describe_datasets,
    shared_train_ids,
)
from isthmus.training.checkpoint import (
    CheckpointInfo,
    CheckpointStore,
    read_info,
    read_state,
    read_weights,
    resolve,
)
from isthmus.training.config import TrainingConfig
from isthmus.training.distributed import joined_world
from isthmus.training.evaluation import EvaluationResult
from isthmus.training.figures import save_curves, save_picture
from isthmus.training.history import History, read_history
from isthmus.training.inheritance import INHERITED_ROLES, ancestry_of, untold_sources
from isthmus.training.judging import Judge
from isthmus.training.loop import Judgement, LoopState, Session, run_loop
from isthmus.training.method import Method, Picture
from isthmus.training.named_sets import open_named
from isthmus.training.progress import Reporter
from isthmus.training.randomization.config import RandomizationConfig
from isthmus.training.randomization.method import Randomization
from isthmus.training.randomization.styles.images import images_below
from isthmus.training.randomization.styles.stylist import styles_to_know
from isthmus.training.reproducibility import (
    Provenance,
    provenance,
    random_state,
    restore_random_state,
    seed_everything,
)
from isthmus.training.runtime import Runtime, choose_device
from isthmus.training.target_pool import check_styles_apart, check_target_apart
from isthmus.training.tracking import NoTracker, Tracker, Tracking, tracked

CONFIG_FILE: Final = "config.yaml"
CURVES_FILE: Final = "curves.png"


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """What a finished run left."""

    output: Path
    """The run's folder."""
    best_checkpoint: Path
    """Folder of the best checkpoint, of the last where no validation set chooses one."""
    last_checkpoint: Path
    """Folder of the last checkpoint."""
    steps: int
    """Steps done in all."""
    validation: EvaluationResult | None
    """Of the last weights; None without a validation set, or where nothing was left to do."""
    evaluations: tuple[EvaluationResult, ...]
    """Of the last weights on each of `evaluated_on`; empty where nothing was left to do."""


def train(
    config: TrainingConfig,
    output: Path,
    *,
    resume: bool = False,
    tracking: Tracking = "mlflow",
    device: str = "auto",
    console: Console | None = None,
) -> TrainingOutcome:
    """Train a segmenter; under `torchrun`, together with the other processes of the run.

    Args:
        config: What to train.
        output: The run's folder; must be new or empty unless `resume`.
        resume: Go on from the newest whole checkpoint in `output`, or start where there is none yet. On a CPU
            the result equals the uninterrupted run's bit for bit.
        tracking: `mlflow` (the sqlite store of this folder, or `MLFLOW_TRACKING_URI`) or `none`.
        device: `auto`, `cpu` or `cuda`.
        console: Where progress is shown; standard error where left out.

    Raises:
        ConfigurationError: `output` is not empty, or the resumed run was configured otherwise.
        CheckpointError: No checkpoint in `output` is whole, or it is another world's.
        DataError: A data set cannot be read.
        RegistryError: MLflow cannot be reached.
        TrainingError: A loss or metric is no longer finite.
    """
    console = console or Console(stderr=True)
    with ExitStack() as stack:
        world = stack.enter_context(joined_world(choose_device(device).type))
        runtime = Runtime(
            world=world,
            device=choose_device(device, world.local_rank),
            precision=config.loop.precision,
            channels_last=config.loop.channels_last,
            compile=config.loop.compile,
        )
        run = _Run(config, output, runtime, Reporter(console, config.loop.steps, is_main=world.is_main))
        run.prepare(resume=resume)
        tracker = stack.enter_context(run.tracked(tracking)) if world.is_main else NoTracker()
        judgement = run_loop(run.session(tracker), config.loop, run.state)
        run.finish(tracker)
    return TrainingOutcome(
        output=output,
        best_checkpoint=resolve(output),
        last_checkpoint=run.store.steps()[-1],
        steps=run.state.step,
        validation=judgement.validation if judgement else None,
        evaluations=tuple(judgement.evaluated_on) if judgement else (),
    )


class _Run:
    """The parts of one run, in the order in which they come to life."""

    def __init__(self, config: TrainingConfig, output: Path, runtime: Runtime, reporter: Reporter) -> None:
        self.config, self.output, self.runtime, self.reporter = config, output, runtime, reporter
        self.world = runtime.world
        self.store = CheckpointStore(output, config.loop.keep_last)
        self.state = LoopState()

    def prepare(self, *, resume: bool) -> None:
        """Look at the folder, open the data, build the method and, on resume, fill it in."""
        config, world = self.config, self.world
        # Only rank 0 looks and writes: all start at the same moment on the same folder.
        found = self._look(resume=resume) if world.is_main else None
        checkpoint: Path | None = world.gather(found)[0]
        seed_everything(config.seed, deterministic=self.runtime.device.type == "cpu")
        self.sources = [open_named(f"sources.{i}", source) for i, source in enumerate(config.sources)]
        self.target = None if config.target is None else open_named("target", config.target, labelled=False)
        self.judge = Judge.of(config, self.runtime, self.reporter)
        if self.target is not None and world.is_main:
            check_target_apart(self.target, [(one.title, one.dataset) for one in self.judge.sets])
        if isinstance(config.method, RandomizationConfig) and world.is_main:
            judged = [(one.title, one.dataset) for one in self.judge.sets]
            check_styles_apart(images_below(config.method.styles.image_folders), judged)
            for note in styles_to_know(config.method.styles):
                self.reporter.say(note)
        self.ancestry = self._ancestry(checkpoint) if world.is_main else None
        self.cards: tuple[CardDataset, ...] = world.gather(self._describe(checkpoint) if world.is_main else ())[0]
        self.provenance: Provenance = provenance(self.runtime.device)
        self.method: Method = build_method(
            config, self.sources, self.runtime, resuming=checkpoint is not None, target=self.target
        )
        # Networks start equal on all ranks; what is random in a step (dropout) is each rank's own.
        seed_everything(config.seed + world.rank, deterministic=self.runtime.device.type == "cpu")
        self._rows = 0 if checkpoint is None else self._restore(checkpoint)

    def _ancestry(self, checkpoint: Path | None) -> tuple[Ancestor, ...] | None:
        """What stands behind this run; its own checkpoint knows it without the others."""
        if checkpoint is not None:
            return read_info(checkpoint).ancestry
        for source in untold_sources(self.config.sources):
            self.reporter.say(
                f"{source.root}: an adapted set that does not tell what its generator was trained on, so the model "
                "card will not either; call `isthmus adapt` on that folder again to write it down"
            )
        return ancestry_of(self.config)

    def _describe(self, checkpoint: Path | None) -> tuple[CardDataset, ...]:
        """All data sets, the inherited ones last."""
        if checkpoint is None:
            inherited = inherited_cards(self.ancestry or ())
        else:
            inherited = tuple(one for one in read_info(checkpoint).datasets if one.role in INHERITED_ROLES)
        with self.reporter.counting("reading labels for digests") as count:
            return (*describe_datasets(self.config, count), *inherited)

    def tracked(self, tracking: Tracking) -> Any:
        """The tracker's context."""
        return tracked(tracking, self.output, self.config, self.provenance, self.cards, report=self.reporter.say)

    def session(self, tracker: Tracker) -> Session:
        """Everything as the loop wants it; now that all has been opened, the folder is written to."""
        self.tracker = tracker
        self.history: History | None = None
        if self.world.is_main:
            self.output.mkdir(parents=True, exist_ok=True)
            (self.output / CONFIG_FILE).write_text(to_yaml(self.config), encoding="utf-8")
            tracker.log_file(self.output / CONFIG_FILE, "")
            if self.ancestry is not None:
                tracker.log_file(write_ancestry(self.output, self.ancestry), "")
            if isinstance(self.method, Randomization):
                tracker.log_file(self.method.write_styles(self.output), "")
            self.history = History(self.output, self._rows)
        sources, target = build_streams(self.config, self.sources, self.target, self.runtime, self.state.step)
        return Session(
            method=self.method,
            runtime=self.runtime,
            sources=sources,
            target=target,
            judge=self._judge,
            save=self._save,
            draw=self._draw,
            history=self.history,
            tracker=tracker,
            reporter=self.reporter,
        )

    def finish(self, tracker: Tracker) -> None:
        """Draw the curves and hand them to the tracker."""
        if self.world.is_main:
            save_curves(read_history(self.output), self.output / CURVES_FILE)
            tracker.log_file(self.output / CURVES_FILE, "")
        self.world.barrier()

    def _look(self, *, resume: bool) -> Path | None:
        """The checkpoint to go on from."""
        if self.output.exists() and not self.output.is_dir():
            raise ConfigurationError("the output is no folder", where=self.output, remedy="Name another one.")
        if not resume and self.output.exists() and any(self.output.iterdir()):
            raise ConfigurationError(
                "the output folder is not empty",
                where=self.output,
                remedy="Add --resume to go on with the run in it, or name another folder.",
            )
        checkpoint = self.store.newest(self.reporter.say)
        if checkpoint is not None:
            resuming.check_same_configuration(read_info(checkpoint), self.config, self.output)
            self.reporter.say(f"going on from {checkpoint}")
        elif resume:
            self.reporter.say(f"nothing to resume in {self.output}: starting from step 0")
        return checkpoint

    def _restore(self, checkpoint: Path) -> int:
        """Fill method, random states and loop state in; gives the rows of the history to keep."""
        info, saved = read_info(checkpoint), read_state(checkpoint)
        resuming.check_same_processes(len(saved["random"]), self.world.size, checkpoint)
        resuming.check_same_frames(info, self.cards, checkpoint)
        # Checkpoints from before there were shards hold no keys, and drew from files.
        resuming.check_same_order(saved.get("draw_keys", self._draw_keys), self._draw_keys, checkpoint)
        resuming.say_what_differs(info, self.config, self.provenance, self.reporter.say)
        for name, network in self.method.networks.items():
            network.load_state_dict(read_weights(checkpoint, name))
        self.method.load_state_dict(saved["method"])
        if "local" in saved:  # checkpoints from before there were image pools hold none, and need none
            self.method.load_local_state(saved["local"][self.world.rank])
        restore_random_state(saved["random"][self.world.rank])
        self.state = LoopState(**saved["loop"])
        return int(saved["history_rows"])

    def _save(self, state: LoopState, judgement: Judgement | None) -> None:
        random_states = self.world.gather(random_state())
        local_states = self.world.gather(self.method.local_state())
        if self.history is not None:
            self.store.save(
                self._info(state, judgement),
                {name: network.state_dict() for name, network in self.method.networks.items()},
                {
                    "method": self.method.state_dict(),
                    "random": random_states,
                    "local": local_states,
                    "draw_keys": self._draw_keys,
                    "loop": {name: getattr(state, name) for name in LoopState.__dataclass_fields__},
                    "history_rows": self.history.num_rows,
                },
            )
        self.world.barrier()

    @property
    def _draw_keys(self) -> list[str]:
        drawn_from = self.sources if self.target is None else [*self.sources, self.target]
        return [dataset.draw_key for dataset in drawn_from]

    def _info(self, state: LoopState, judgement: Judgement | None) -> CheckpointInfo:
        return CheckpointInfo(
            name=self.config.name,
            method=self.config.method.name,
            step=state.step,
            config=to_tree(self.config),
            config_hash=config_hash(self.config),
            source_train_ids=shared_train_ids(self.sources),
            datasets=self.cards,
            ancestry=self.ancestry,
            evaluations=tuple(result.to_card(role) for role, result in judgement.results) if judgement else (),
            best_step=state.best_step,
            best_miou=state.best_miou,
            git_commit=self.provenance.git_commit,
            lock_hash=self.provenance.lock_hash,
            versions=self.provenance.versions,
        )

    def _judge(self, step: int) -> Judgement:
        return self.judge.evaluate(self.method, shared_train_ids(self.sources), partial(self._draw, step))

    def _draw(self, step: int, pictures: Mapping[str, Picture]) -> None:
        if not self.world.is_main:
            return
        for name, picture in pictures.items():
            path = self.output / "pictures" / f"step-{step:08d}" / f"{name}.png"
            save_picture(picture, path)
            self.tracker.log_file(path, f"pictures/step-{step:08d}")
