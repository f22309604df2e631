"""The loop's order of things, with a method that trains nothing."""

from collections.abc import Sequence
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console

from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.errors import TrainingError
from isthmus.training.config import LoopConfig
from isthmus.training.distributed import World
from isthmus.training.evaluation import EvaluationResult
from isthmus.training.history import History, read_history
from isthmus.training.loop import Judgement, LoopState, Session, run_loop
from isthmus.training.method import StepResult
from isthmus.training.metrics import Scores
from isthmus.training.progress import Reporter
from isthmus.training.runtime import Runtime
from isthmus.training.tracking import NoTracker


def judged(miou: float) -> EvaluationResult:
    return EvaluationResult(
        title="gta5/all",
        dataset="gta5",
        split="all",
        num_frames=1,
        resolution_hw=(1, 1),
        mode="whole",
        window_hw=None,
        stride_hw=None,
        space=CITYSCAPES19,
        scores=Scores(iou_per_class={"road": miou}, miou=miou, miou_shared=miou, pixel_accuracy=miou),
        confusion=np.zeros((19, 20), np.int64),
    )


class Counting:
    """Gives its step as loss and keeps what it was given."""

    name = "counting"
    networks: dict = {}  # noqa: RUF012
    segmenter = torch.nn.Identity()

    def __init__(self, losses: Sequence[float] = ()) -> None:
        self.losses = losses
        self.steps: list[int] = []
        self.targets: list[object] = []

    def train_step(self, step, sources, target):
        assert len(sources) == 2
        self.steps.append(step)
        self.targets.append(target)
        loss = self.losses[step] if self.losses else float(step)
        return StepResult(
            losses={"total": torch.tensor(loss)}, pictures=lambda: {"batch": np.zeros((1, 1, 3), np.uint8)}
        )


class Bench:
    """A session that notes what the loop asks for."""

    def __init__(self, tmp_path, method: Counting, mious=(0.5,) * 9, target=None, console=None) -> None:
        self.events: list[str] = []
        scores = iter(mious)

        def batches(name):
            while True:
                yield {"image": torch.zeros(1, 3, 1, 1), "names": [name]}

        def judge(step):
            self.events.append(f"judge {step}")
            return Judgement(validation=judged(next(scores)))

        self.session = Session(
            method=method,
            runtime=Runtime(
                world=World(), device=torch.device("cpu"), precision="fp32", channels_last=False, compile=False
            ),
            sources=[batches("first"), batches("second")],
            target=batches("real") if target else None,
            judge=judge,
            save=lambda state, judgement: self.events.append(f"save {state.step} {judgement is not None}"),
            draw=lambda step, pictures: self.events.append(f"draw {step} {','.join(pictures)}"),
            history=History(tmp_path),
            tracker=NoTracker(),
            reporter=Reporter(console or Console(quiet=True), 5, is_main=True),
        )


def loop_config(**changes) -> LoopConfig:
    return LoopConfig(
        **{"steps": 5, "batch_size": 1, "evaluate_every": 2, "checkpoint_every": 3, "log_every": 2} | changes
    )


def test_judges_and_saves_before_it_trains_and_after_the_last_step(tmp_path):
    method = Counting()
    bench = Bench(tmp_path, method)
    run_loop(bench.session, loop_config(), LoopState())
    assert method.steps == [0, 1, 2, 3, 4]
    assert method.targets == [None] * 5
    assert bench.events == [
        *("judge 0", "save 0 True"),
        *("judge 2", "draw 2 batch", "save 2 True"),
        "save 3 False",
        *("judge 4", "draw 4 batch"),
        *("judge 5", "draw 5 batch", "save 5 True"),
    ]


def test_a_new_best_is_saved_at_once(tmp_path):
    bench = Bench(tmp_path, Counting(), mious=(0.1, 0.4, 0.3, 0.4))
    state = LoopState()
    run_loop(bench.session, loop_config(checkpoint_every=9), state)
    assert [event for event in bench.events if event.startswith("save")] == [
        "save 0 True",
        "save 2 True",
        "save 5 True",
    ]
    assert (state.best_step, state.best_miou) == (2, 0.4)  # an equal score later is no better


def test_what_a_run_began_with_is_never_its_best(tmp_path):
    bench = Bench(tmp_path, Counting(), mious=(0.9, 0.4, 0.3, 0.2))
    state = LoopState()
    run_loop(bench.session, loop_config(checkpoint_every=9), state)
    assert (state.best_step, state.best_miou) == (2, 0.4)


def test_history_holds_means_over_the_window(tmp_path):
    bench = Bench(tmp_path, Counting())
    run_loop(bench.session, loop_config(), LoopState())
    rows = list(read_history(tmp_path, "train"))
    assert [(row["step"], row["losses"]["total"]) for row in rows] == [(2, 0.5), (4, 2.5), (5, 4.0)]


def test_a_target_is_handed_on(tmp_path):
    method = Counting()
    run_loop(Bench(tmp_path, method, target=True).session, loop_config(), LoopState())
    assert [target["names"] for target in method.targets] == [["real"]] * 5


def test_a_resumed_run_is_not_judged_again_at_its_start(tmp_path):
    method = Counting()
    bench = Bench(tmp_path, method)
    run_loop(bench.session, loop_config(), LoopState(step=4))
    assert method.steps == [4]
    assert bench.events[0] == "judge 5"


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    method = Counting([1.0, float("nan"), 1.0, 1.0, 1.0])
    with pytest.raises(TrainingError, match=r"losses\.total is not finite at step 2.*learning_rate"):
        run_loop(Bench(tmp_path, method).session, loop_config(), LoopState())


@pytest.mark.parametrize("due", ["evaluate_every", "checkpoint_every"])
def test_weights_behind_a_loss_that_is_no_number_are_neither_judged_nor_saved(tmp_path, due):
    bench = Bench(tmp_path, Counting([1.0, 1.0, float("inf"), 1.0, 1.0]))
    config = loop_config(**{"evaluate_every": 9, "checkpoint_every": 9, "log_every": 9} | {due: 2})
    with pytest.raises(TrainingError, match="total is not finite at step 4"):
        run_loop(bench.session, config, LoopState())
    assert bench.events[-1].split()[1] == "2"


def test_notes_of_a_step_are_printed_and_only_the_first_process_draws(tmp_path):
    class Noting(Counting):
        def train_step(self, step, sources, target):
            return replace(super().train_step(step, sources, target), notes=("the pool is empty",))

    console = Console(record=True, file=StringIO())
    bench = Bench(tmp_path, Noting(), console=console)
    run_loop(bench.session, loop_config(steps=2), LoopState())
    assert "step 1: the pool is empty" in console.export_text()
    assert [row["text"] for row in read_history(tmp_path, "note")] == ["the pool is empty"] * 2
    second = replace(bench.session.runtime, world=World(rank=1))
    bench.events.clear()
    run_loop(replace(bench.session, runtime=second), loop_config(steps=2), LoopState())
    assert not [event for event in bench.events if event.startswith("draw")]


def test_a_network_that_sees_one_class_everywhere_is_told(tmp_path):
    confusion = np.zeros((19, 20), np.int64)
    confusion[:, 10] = 4  # sky, whatever is there
    bench = Bench(tmp_path, Counting())
    ruined = replace(bench.session, judge=lambda _: Judgement(replace(judged(0.1), confusion=confusion)))
    run_loop(ruined, loop_config(steps=2), LoopState())
    (note,) = read_history(tmp_path, "note")
    assert note["step"] == 2
    assert "100 % of all pixels are taken for sky, which fills 5 %" in note["text"]


def test_work_inside_the_training_bar_is_counted():
    console = Console(file=StringIO(), force_terminal=True, width=120)
    reporter = Reporter(console, 5, is_main=True)
    with reporter.training(0), reporter.counting("judging on camvid/val") as count:
        count(4, 4)
    assert "judging on camvid/val" in console.file.getvalue()
    assert "4/4" in console.file.getvalue()


def test_a_terminal_sees_loss_speed_and_time_left(tmp_path):
    console = Console(file=StringIO(), force_terminal=True, width=160)
    run_loop(Bench(tmp_path, Counting(), console=console).session, loop_config(), LoopState())
    shown = console.file.getvalue()
    assert "loss total 4.000" in shown
    assert "images/s" in shown
    assert "5/5" in shown
    assert "left" in shown
