"""What a run takes from an earlier one must be what it takes it for."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isthmus.errors import CheckpointError
from isthmus.training.beginnings import earlier_runs
from isthmus.training.checkpoint import INFO_FILE, MANIFEST_FILE, resolve, sha256_of
from isthmus.training.config import TrainingConfig

AT_ONCE = "generators_from: 0.0, sad_from: 0.0, ccd_from: 0.0, task_from: 0.0, features_from: 0.0"
RESTING = f"method.stages={{{AT_ONCE}, generators_until: 0.0}}"
LEARNING = f"method.stages={{{AT_ONCE}}}"
GTA5 = '{dataset: gta5, root: "${TINY}/gta5", split: all, part: fit}'
SYNTHIA = '{dataset: synthia, root: "${TINY}/synthia", split: all}'
Load = Callable[..., TrainingConfig]
Rewrite = Callable[[Callable[[dict[str, Any]], object]], Path]


@pytest.fixture
def rewritten(madan_run: Path, tmp_path: Path) -> Rewrite:
    """Copies a checkpoint of the tiny run as one of another configuration."""

    def rewrite(change: Callable[[dict[str, Any]], object]) -> Path:
        folder = tmp_path / "earlier"
        shutil.copytree(resolve(madan_run), folder)
        info = json.loads((folder / INFO_FILE).read_text())
        change(info["config"])
        (folder / INFO_FILE).write_text(json.dumps(info))
        digests = json.loads((folder / MANIFEST_FILE).read_text())
        (folder / MANIFEST_FILE).write_text(json.dumps({**digests, INFO_FILE: sha256_of(folder / INFO_FILE)}))
        return folder

    return rewrite


@pytest.mark.parametrize("stages", [RESTING, LEARNING, "method.pool_size=3"])
@pytest.mark.parametrize(
    ("overrides", "listed"),
    [
        ((f"sources=[{SYNTHIA}]",), r"synthia/all \(method.combine_sources: false\)"),
        ((f"sources=[{SYNTHIA}, {GTA5}]",), r"synthia/all, gta5/all:fit \(method.combine_sources: false\)"),
        (("method.combine_sources=true",), r"gta5/all:fit, synthia/all \(method.combine_sources: true\)"),
    ],
)
def test_generators_of_other_sources_are_refused(
    madan_run: Path, madan_config: Load, overrides: tuple[str, ...], listed: str, stages: str
) -> None:
    theirs = r"gta5/all:fit, synthia/all \(method.combine_sources: false\)"
    message = rf"^method\.start_from: .*: holds generators of {theirs}, this run has {listed}\. Configure the same"
    config = madan_config(*overrides, stages, f"method.start_from={madan_run}")
    with pytest.raises(CheckpointError, match=message):
        earlier_runs(config)


def test_combined_sources_have_no_order(rewritten: Rewrite, madan_config: Load) -> None:
    folder = rewritten(lambda config: config["method"].update(combine_sources=True))
    swapped = f"sources=[{SYNTHIA}, {GTA5}]"
    start = f"method.start_from={folder}"
    assert earlier_runs(madan_config(swapped, "method.combine_sources=true", RESTING, start))
    with pytest.raises(CheckpointError, match=r"combine_sources: true\), this run has .*combine_sources: false\)"):
        earlier_runs(madan_config(RESTING, start))


def test_one_source_is_the_same_combined_or_not(rewritten: Rewrite, madan_config: Load) -> None:
    folder = rewritten(lambda config: config["sources"].pop())
    one = f"sources=[{GTA5}]"
    for combined in ("false", "true"):
        given = (one, f"method.combine_sources={combined}", f"method.start_from={folder}")
        assert earlier_runs(madan_config(*given, RESTING))


def test_sources_go_by_their_names(rewritten: Rewrite, madan_config: Load) -> None:
    def older(config: dict[str, Any]) -> None:
        config["sources"][0]["name"] = "arcade"
        config["sources"][0]["a_key_of_old"] = 1
        del config["method"]["combine_sources"]

    start = f"method.start_from={rewritten(older)}"
    named = GTA5.replace("part", "name: arcade, part")
    assert earlier_runs(madan_config(f"sources=[{named}, {SYNTHIA}]", start))
    with pytest.raises(CheckpointError, match=r"holds generators of arcade, synthia/all .*, this run has gta5/all:fit"):
        earlier_runs(madan_config(start))


def test_other_sources_may_take_a_segmenter(madan_run: Path, tiny_run: Any, madan_config: Load) -> None:
    without = "method.weights={gan: 0.0, cycle: 0.0, semantic: 0.0, sad: 0.0, ccd: 0.0, feature: 0.1}"
    assert earlier_runs(madan_config(f"sources=[{SYNTHIA}]", without, f"method.start_from={madan_run}"))
    assert earlier_runs(madan_config(f"sources=[{SYNTHIA}]", LEARNING, f"method.start_from={tiny_run.output}"))


@pytest.mark.parametrize("stages", [RESTING, LEARNING])
@pytest.mark.parametrize(
    ("generator", "told", "settings"),
    [
        ("width: 6, blocks: 1", "method.generator.width 4, this run 6", "method.generator.width=4"),
        (
            "width: 4, blocks: 2, residual: true",
            "method.generator.blocks 1, this run 2; method.generator.residual false, this run true",
            "method.generator.blocks=1 and method.generator.residual=false",
        ),
    ],
)
def test_generators_of_another_form_are_refused(
    madan_run: Path, madan_config: Load, generator: str, told: str, settings: str, stages: str
) -> None:
    with pytest.raises(CheckpointError) as caught:
        earlier_runs(madan_config(f"method.generator={{{generator}}}", stages, f"method.start_from={madan_run}"))
    assert str(caught.value) == (
        f"method.start_from: {resolve(madan_run)}: its generators have {told}. Set {settings}, or begin with a run of "
        "the same generators."
    )


def test_a_form_that_an_older_run_does_not_name_is_the_default(rewritten: Rewrite, madan_config: Load) -> None:
    def older(config: dict[str, Any]) -> None:
        config["method"]["generator"] = {"width": 4, "blocks": 1, "residual": True}

    start = f"method.start_from={rewritten(older)}"
    assert earlier_runs(madan_config("method.generator.residual=true", start))
    with pytest.raises(CheckpointError, match=r"method\.generator\.colors false, this run true\. Set method\.gen"):
        earlier_runs(madan_config("method.generator={width: 4, blocks: 1, residual: true, colors: true}", start))
