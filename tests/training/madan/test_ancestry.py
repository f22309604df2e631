"""What reaches a run through other runs: on its card, in its folder, and in the report on unseen targets."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.configuration import load_config
from isthmus.errors import UnreadableFileError
from isthmus.training.ancestry import ADAPTED_FILE, ANCESTRY_FILE, Ancestor, inherited_cards
from isthmus.training.checkpoint import read_info, resolve
from isthmus.training.config import TrainingConfig
from isthmus.training.generalisation import report_on
from isthmus.training.inheritance import ancestors_in, ancestry_of, untold_sources
from isthmus.training.judged_runs import JudgedRun
from isthmus.training.madan.adapting import adapt_source
from isthmus.training.run import train

RANDOMIZATION = Path(__file__).resolve().parents[3] / "configs" / "randomization" / "tiny.yaml"
Load = Callable[..., TrainingConfig]
SHORT = (
    "loop.steps=2",
    "loop.evaluate_every=2",
    "loop.checkpoint_every=2",
    "validation=null",
    "schedule.warmup_steps=1",
)


@pytest.fixture
def judged_on_target(madan_target: Path) -> str:
    """An override: judge on the data set that the MADAN run adapted to."""
    return f"evaluated_on=[{{dataset: camvid, root: {madan_target}, split: train, name: street}}]"


def trained(config: TrainingConfig, output: Path, *, resume: bool = False) -> JudgedRun:
    train(config, output, tracking="none", device="cpu", resume=resume)
    return report_on([output]).runs[0]


def test_the_target_of_the_run_that_one_began_with_is_carried_through_generations(
    madan_run: Path, madan_target: Path, tiny_config: Load, judged_on_target: str, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    known = trained(tiny_config(*SHORT, judged_on_target, f"method.start_from={madan_run}"), first)
    through = f"method.start_from {madan_run}"
    assert known.seen == (f"unlabelled frames of street's data set, seen through {through}",)
    assert f"camvid/train without labels ({madan_target}), seen through {through}" in known.ancestry

    again = trained(tiny_config(*SHORT, judged_on_target, f"method.start_from={first}"), second)
    through = f"method.start_from {first}, itself through {through}"
    assert again.seen == (f"unlabelled frames of street's data set, seen through {through}",)
    info = read_info(resolve(second))
    target = next(one for one in read_info(resolve(madan_run)).datasets if one.role == "target")
    assert [one for one in info.datasets if one.role == "inherited target"] == [
        target.model_copy(update={"role": "inherited target"})
    ]
    sources = [(one.role, one.dataset, one.split) for one in info.datasets if one.role == "inherited"]
    assert sources == [("inherited", "gta5", "all:fit"), ("inherited", "synthia", "all")]


def test_a_resumed_run_keeps_its_ancestry_without_its_ancestors(
    madan_run: Path, tiny_config: Load, judged_on_target: str, tmp_path: Path
) -> None:
    earlier, output = tmp_path / "earlier", tmp_path / "run"
    shutil.copytree(madan_run, earlier)
    halfway = [part if part != "loop.checkpoint_every=2" else "loop.checkpoint_every=1" for part in SHORT]
    config = tiny_config(*halfway, judged_on_target, f"method.start_from={earlier}")
    before = trained(config, output)
    shutil.rmtree(earlier)
    shutil.rmtree(output / "checkpoints" / "step-00000002")
    (output / ANCESTRY_FILE).unlink()
    after = trained(config, output, resume=True)
    assert (after.seen, after.ancestry) == (before.seen, before.ancestry)
    assert len(after.seen) == 1


def test_what_trained_the_generators_of_a_style_stands_behind_it(
    madan_run: Path, madan_target: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINY", str(tiny_data))
    translation = f"{{sources: [gta5/all:fit, synthia/all], checkpoints: [{madan_run}, unused]}}"
    styles = f"{{views: 2, domains: 1, weights: {{translation: 1.0}}, translation: {translation}}}"
    ancestry = ancestry_of(load_config(RANDOMIZATION, TrainingConfig, [f"method.styles={styles}"]))
    assert {one.through for one in ancestry} == {f"the generators of {madan_run}"}
    assert [(one.role, one.title) for one in ancestry] == [
        ("source", "gta5/all:fit"),
        ("source", "synthia/all"),
        ("target", "camvid/train"),
        ("validation", "gta5/all:holdout"),
    ]
    assert [one.root for one in ancestry if one.role == "target"] == [str(madan_target)]
    assert [card.role for card in inherited_cards(ancestry)] == ["inherited", "inherited", "inherited target"]


def test_an_adapted_source_brings_the_target_of_its_run(madan_run: Path, tiny_config: Load, tmp_path: Path) -> None:
    manifest = adapt_source(madan_run, 0, tmp_path, device="cpu")
    config = tiny_config(f"sources=[{{dataset: gta5, root: {tmp_path}, split: all}}]")
    ancestry = ancestry_of(config)
    assert {one.through for one in ancestry} == {f"the adapted source {tmp_path}"}
    assert "camvid/train" in [one.title for one in ancestry if one.role == "target"]
    assert untold_sources(config.sources) == []

    path = tmp_path / ADAPTED_FILE  # as it was before manifests held an ancestry
    path.write_text(json.dumps({key: value for key, value in manifest.items() if key != "ancestry"}))
    assert (ancestry_of(config), untold_sources(config.sources)) == ((), [config.sources[0]])
    assert adapt_source(madan_run, 0, tmp_path, device="cpu") == manifest
    assert ancestry_of(config) == ancestry

    path.write_text(json.dumps({**manifest, "ancestry": [{"role": "spectator"}]}))
    with pytest.raises(UnreadableFileError, match="damaged manifest"):
        ancestry_of(config)


def test_other_frames_that_were_adapted_are_ancestors_too(madan_run: Path, tiny_data: Path, tmp_path: Path) -> None:
    run = load_config(RANDOMIZATION, TrainingConfig, ["evaluated_on=[]"])
    held_out = replace(run.sources[0], root=tiny_data / "gta5", part="holdout")
    manifest = adapt_source(madan_run, 0, tmp_path, dataset=held_out, device="cpu")
    first = manifest["ancestry"][0]
    assert (first["role"], first["split"], first["digest"]) == ("source", "all:holdout", manifest["frames"])


def test_a_checkpoint_from_before_hands_on_its_own_sets_and_those_that_it_lists(madan_run: Path) -> None:
    info = read_info(resolve(madan_run))
    begun = info.datasets[0].model_copy(update={"role": "inherited", "digest": "b"})
    tree = json.loads(info.model_dump_json())
    del tree["ancestry"]
    old = type(info).model_validate_json(json.dumps(tree)).model_copy(update={"datasets": (*info.datasets, begun)})
    assert old.ancestry is None
    handed = [(one.role, one.title, bool(one.root)) for one in ancestors_in(old)]
    assert handed[2] == ("target", "camvid/train", True)
    assert handed[-1] == ("source", "gta5/all:fit", False)


def test_style_images_of_an_earlier_run_are_handed_on(madan_run: Path) -> None:
    info = read_info(resolve(madan_run))
    styles = {"views": 2, "weights": {"fourier": 1.0}, "images": "photographs"}
    method = {**info.config["method"], "styles": styles}
    younger = info.model_copy(update={"config": {**info.config, "method": method}})
    expected = Ancestor(role="style", dataset="style images", root="photographs")
    assert expected in ancestors_in(younger)
    styles["views"] = 1
    assert expected not in ancestors_in(younger)
