"""What the watch says about a run that goes wrong, and that it keeps still otherwise."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from isthmus.datasets.label_space import IGNORE_INDEX, TRAIN_ID
from isthmus.training.discriminators import PatchDiscriminatorConfig
from isthmus.training.generators import GeneratorConfig
from isthmus.training.madan.config import MadanConfig, StagesConfig
from isthmus.training.madan.pictures import Shown
from isthmus.training.madan.pixel import Frames, Translated
from isthmus.training.madan.stages import stage_at
from isthmus.training.madan.watch import Watch

STEPS = 1000
"""A quarter of them is 5 looks."""
STAGES = StagesConfig(generators_from=0, sad_from=0.1, ccd_from=0.1, task_from=0.1, features_from=0.2, ramp=0.1)
LN2 = math.log(2)


def config_of(**changes: Any) -> MadanConfig:
    values = {"generator": GeneratorConfig(), "discriminator": PatchDiscriminatorConfig(), "stages": STAGES}
    return MadanConfig(name="madan", **{**values, **changes})


def watch_of(num_sources: int = 2, **changes: Any) -> Watch:
    return Watch(config_of(**changes), STEPS, num_sources)


def look(watch: Watch, step: int, frames: Shown | None = None, **losses: float) -> list[str]:
    """What it says at a step with these losses; healthy frames unless others are given."""
    values = {name.replace("__", "."): torch.tensor(loss) for name, loss in losses.items()}
    return watch.notes(step, frames or shown(), values, stage_at(config_of(), step, STEPS, 2))


class Says(nn.Module):
    """A segmenter that sees one class everywhere."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._train_id = TRAIN_ID[name]

    def forward(self, image: Tensor) -> Tensor:
        logits = torch.zeros(len(image), 19, *image.shape[-2:])
        logits[:, self._train_id] = 1.0
        return logits


def shown(*, contrast: float = 1.0, back: float = 1.0, alike: bool = False, meant: str = "sky") -> Shown:
    """Two frames of sky; F_i sees sky, F_A what it is told. `back` is the share of contrast that comes back."""
    image = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    mean = image.mean((2, 3), keepdim=True)
    adapted = mean + contrast * (image - mean)
    if alike:
        adapted = adapted[:1].expand_as(adapted)
    frames = Frames([image], [torch.full((2, 20, 20), TRAIN_ID["sky"])], image)
    translated = Translated(adapted, mean + back * (image - mean), image, {})
    return Shown(frames, (translated,), [Says("sky")], Says(meant))


def test_a_healthy_run_is_left_in_peace() -> None:
    watch = watch_of()
    for step in range(0, STEPS, 50):
        assert look(watch, step, target_discriminator=0.2, source_discriminator=0.2) == []


@pytest.mark.parametrize(
    ("frames", "losses", "words"),
    [
        ({}, {"target_discriminator": 0.001}, ["target discriminator wins outright (loss 0.001", "learning_rate"]),
        ({}, {"source_discriminator": 0.001}, ["source discriminator wins outright"]),
        ({}, {"feature_discriminator": 0.01}, ["feature discriminator wins", "0.69 at", "feature_learning_rate"]),
        ({}, {"aggregation_discriminator": 0.01}, ["aggregation discriminator wins outright"]),
        ({"back": 0.4}, {}, ["source 0 do not come back", "(error 0.60 of a blank", "raise method.weights.cycle"]),
        ({"contrast": 0.1}, {}, ["source 0 have gone flat (contrast 0.10", "collapsed"]),
        ({"alike": True}, {}, ["source 0 all look alike (they differ 0.00 times", "collapsed"]),
        ({"meant": "vegetation"}, {}, ["turns sky of source 0 into vegetation (100 % of it)", "weights.semantic"]),
    ],
)
def test_what_goes_wrong_twice_is_said_with_its_remedy(
    frames: dict[str, Any], losses: dict[str, float], words: Sequence[str]
) -> None:
    watch = watch_of()
    assert look(watch, 500, shown(**frames), **losses) == []
    (note,) = look(watch, 550, shown(**frames), **losses)
    for word in words:
        assert word in note


def test_one_source_that_fails_is_not_hidden_by_another() -> None:
    watch = watch_of()
    for step in (0, 50):
        notes = look(
            watch, step, source_discriminator=0.12, source_discriminator__0=0.001, source_discriminator__1=0.24
        )
    (note,) = notes
    assert note.startswith("the source discriminator for source 0 wins outright")


def test_where_sources_are_looked_at_their_mean_is_not() -> None:
    watch = watch_of()
    for step in (0, 50):
        notes = look(watch, step, source_discriminator=0.0, source_discriminator__0=0.0, source_discriminator__1=0.0)
    assert len(notes) == 2


def test_what_was_wrong_once_is_not_said_much_later() -> None:
    watch = watch_of()
    look(watch, 0, shown(meant="vegetation"))
    for step in range(50, 250, 50):
        assert look(watch, step, shown(meant="building" if step < 150 else "sky")) == (
            [] if step != 100 else [
                "translation turns sky of source 0 into building (100 % of it): raise method.weights.semantic"
            ]
        )  # fmt: skip
    assert watch.state_dict()["trends"]["means"]["changed.0.sky.vegetation"] == pytest.approx(1 / 16)


def test_a_class_that_was_out_of_sight_is_judged_by_what_is_there_now() -> None:
    watch = watch_of()
    look(watch, 0, shown(meant="vegetation"))
    look(watch, 50, shown(meant="vegetation"))
    assert look(watch, 100, shown()) == []  # the mean is 0.5 still; nothing of it is there


def test_the_mean_that_tripped_is_what_is_printed() -> None:
    watch = watch_of()
    look(watch, 0, shown(back=0.5 - 1e-3))
    (note,) = look(watch, 50, shown(back=0.2))
    assert "(error 0.65 of" in note  # half of 0.5 and half of 0.8


@pytest.mark.parametrize(
    ("name", "chance", "changes", "remedy"),
    [
        ("target_discriminator", 0.25, {}, "instance_norm to false"),
        ("source_discriminator__1", 0.25, {}, "method.weights.gan to 0"),
        ("aggregation_discriminator", LN2, {}, "wider or deeper"),
        ("aggregation_discriminator", math.log(3), {"num_sources": 3}, "method.weights.sad to 0"),
        ("aggregation_discriminator__0", 0.25, {"formulation": "paper"}, "method.weights.sad to 0"),
        ("feature_discriminator", LN2, {}, "raise method.feature_learning_rate"),
    ],
)
def test_a_discriminator_that_stays_at_chance_is_named(
    name: str, chance: float, changes: dict[str, Any], remedy: str
) -> None:
    watch = watch_of(**changes)
    said = {step: look(watch, step, **{name: 0.97 * chance}) for step in range(300, 900, 50)}
    assert [step for step, notes in said.items() if notes] == [500, 750]  # after five looks, and after five more
    (note,) = said[500]
    subject, _, source = name.partition("__")
    assert note.startswith(f"the {subject.replace('_', ' ')}{f' for source {source}' if source else ''} has been at")
    assert "for 250 steps" in note
    assert remedy in note
    sound = watch_of(**changes)
    assert not any(look(sound, step, **{name: 0.9 * chance}) for step in range(300, 900, 50))


def test_a_discriminator_may_guess_until_its_part_plays_whole() -> None:
    watch = watch_of()
    notes = {step: look(watch, step, aggregation_discriminator=LN2) for step in range(0, 500, 50)}
    assert [step for step, some in notes.items() if some] == [400]  # whole from step 199 on: looks 200, …, 400


def test_the_long_way_down_from_worse_than_chance_is_no_guessing() -> None:
    watch = watch_of()
    for step, share in enumerate((1.31, 1.04, 0.92, 0.95, 0.92, 0.9, 0.8)):  # like sound runs
        assert look(watch, 50 * step, target_discriminator=0.25 * share) == []


def test_all_steps_between_looks_count() -> None:
    watch = watch_of()
    for step in range(1, 101):
        notes = look(watch, step, target_discriminator=0.2 if step % 50 == 0 else 0.001)
    (note,) = notes
    assert "wins outright (loss 0.005" in note


def test_the_remedy_leaves_out_what_is_done() -> None:
    watch = watch_of(discriminator=PatchDiscriminatorConfig(instance_norm=False))
    for step in range(300, 550, 50):
        notes = look(watch, step, target_discriminator=0.25)
    assert "instance_norm" not in notes[0]


def test_classes_without_labels_are_not_looked_at() -> None:
    watch, frames = watch_of(), shown(meant="vegetation")
    frames.crop.masks[0].fill_(IGNORE_INDEX)
    assert look(watch, 0, frames) == look(watch, 50, frames) == []


def test_between_its_looks_the_watch_is_silent() -> None:
    watch = watch_of()
    look(watch, 0, shown(meant="vegetation"))
    assert look(watch, 51, shown(meant="vegetation"), target_discriminator=0.0) == []


def test_a_restored_watch_goes_on() -> None:
    begun, restored = watch_of(), watch_of()
    for step in range(0, 221, 10):
        look(begun, step, target_discriminator=0.25, source_discriminator=0.001)
    restored.load_state_dict(begun.state_dict())
    said = [
        [look(one, s, target_discriminator=0.25, source_discriminator=0.01) for s in (240, 250)]
        for one in (begun, restored)
    ]
    assert said[0] == said[1]
    assert [len(notes) for notes in said[0]] == [0, 1]
    assert "wins outright (loss 0.00" in said[0][1][0]
