import json
import shutil

import pytest
import torch

from isthmus.errors import CheckpointError
from isthmus.training.checkpoint import (
    CheckpointInfo,
    CheckpointStore,
    check_files,
    load_network,
    read_info,
    read_state,
    read_weights,
    resolve,
)


def info(step: int, best: int | None = None) -> CheckpointInfo:
    return CheckpointInfo(
        name="test",
        method="source_only",
        step=step,
        config={"loop": {"steps": 3}},
        config_hash="0",
        source_train_ids=(0, 1),
        datasets=(),
        evaluations=(),
        best_step=best,
        best_miou=None if best is None else 0.5,
        git_commit="0",
        lock_hash="0",
        versions={},
    )


def save(store: CheckpointStore, step: int, best: int | None = None):
    weights = {"weight": torch.full((2,), float(step))}
    return store.save(info(step, best), {"segmenter": weights}, {"numbers": [step, torch.tensor(step)]})


def steps(store: CheckpointStore) -> list[str]:
    return [folder.name.removeprefix("step-").lstrip("0") for folder in store.steps()]


def test_round_trip(tmp_path):
    folder = save(CheckpointStore(tmp_path, keep_last=2), 7, best=7)
    check_files(folder)
    assert read_info(folder) == info(7, best=7)
    assert read_weights(folder, "segmenter")["weight"].tolist() == [7.0, 7.0]
    assert read_state(folder)["numbers"] == [7, torch.tensor(7)]
    assert not list(folder.parent.glob(".writing-*"))


def test_channels_last_weights_are_saved(tmp_path):
    weight = torch.rand(4, 3, 2, 2).to(memory_format=torch.channels_last)
    folder = CheckpointStore(tmp_path, 1).save(info(1), {"segmenter": {"weight": weight}}, {})
    assert torch.equal(read_weights(folder, "segmenter")["weight"], weight)


def test_the_last_few_and_the_best_are_kept(tmp_path):
    store = CheckpointStore(tmp_path, keep_last=2)
    for step, best in ((1, 1), (2, 2), (3, 2), (4, 2), (5, 2)):
        save(store, step, best)
    assert steps(store) == ["2", "4", "5"]
    assert resolve(tmp_path).name == "step-00000002"


def test_the_newest_whole_checkpoint_names_the_best(tmp_path):
    store = CheckpointStore(tmp_path, keep_last=2)
    save(store, 1, best=1)
    save(store, 2, best=1)
    torn = save(store, 3, best=3)
    (torn / "state.pt").write_bytes(b"")
    assert resolve(tmp_path).name == "step-00000001"


def test_a_best_that_is_gone_is_an_understandable_error(tmp_path):
    store = CheckpointStore(tmp_path, keep_last=2)
    shutil.rmtree(save(store, 1, best=1))
    save(store, 2, best=1)
    with pytest.raises(CheckpointError, match=r"of step 1, is gone.*Name another one: step-00000002"):
        resolve(tmp_path)


def test_a_run_without_a_whole_checkpoint_resolves_to_nothing(tmp_path):
    (save(CheckpointStore(tmp_path, keep_last=2), 1) / "manifest.json").write_text("")
    with pytest.raises(CheckpointError, match="no checkpoint of this run is whole"):
        resolve(tmp_path)


def test_best_of_an_older_kept_checkpoint_stays(tmp_path):
    store = CheckpointStore(tmp_path, keep_last=2)
    for step, best in ((1, 1), (2, 1), (3, 3)):
        save(store, step, best)
    # If 3 turns out damaged, the run goes on from 2, whose best is 1.
    assert steps(store) == ["1", "2", "3"]


def test_without_a_best_the_newest_is_meant(tmp_path):
    store = CheckpointStore(tmp_path, keep_last=2)
    save(store, 1)
    newest = save(store, 2)
    assert resolve(tmp_path) == newest
    assert resolve(newest) == newest


@pytest.mark.parametrize("file", ["segmenter.safetensors", "state.pt", "info.json", "manifest.json"])
def test_a_damaged_newest_is_reported_and_passed_over(tmp_path, file):
    store = CheckpointStore(tmp_path, keep_last=2)
    older = save(store, 1)
    newer = save(store, 2)
    content = bytearray((newer / file).read_bytes())
    (newer / file).write_bytes(content[: len(content) // 2])
    said = []
    assert store.newest(said.append) == older
    assert len(said) == 1
    assert file in said[0]
    assert "damaged checkpoint passed over" in said[0]
    # The run goes on over the damaged step; what was there stays aside.
    save(store, 2)
    save(store, 3)
    assert steps(store) == ["2", "3"]
    assert (tmp_path / "checkpoints" / "damaged-step-00000002").is_dir()


def test_none_whole_is_an_error(tmp_path):
    store = CheckpointStore(tmp_path, keep_last=2)
    (save(store, 1) / "state.pt").unlink()
    with pytest.raises(CheckpointError, match="no checkpoint of this run is whole"):
        store.newest(lambda _: None)


def test_a_half_written_folder_is_no_checkpoint(tmp_path):
    store = CheckpointStore(tmp_path, keep_last=2)
    (tmp_path / "checkpoints" / ".writing-00000009").mkdir(parents=True)
    assert store.newest(lambda _: None) is None
    with pytest.raises(CheckpointError, match="no checkpoint here"):
        resolve(tmp_path)


def test_pickled_code_is_no_state(tmp_path):
    folder = save(CheckpointStore(tmp_path, 1), 1)
    torch.save({"method": print}, folder / "state.pt")
    with pytest.raises(CheckpointError, match=r"state\.pt"):
        read_state(folder)


def test_a_foreign_description_names_its_field(tmp_path):
    folder = save(CheckpointStore(tmp_path, 1), 1)
    tree = json.loads((folder / "info.json").read_text())
    (folder / "info.json").write_text(json.dumps(tree | {"step": "one"}))
    with pytest.raises(CheckpointError, match="step: Input should be a valid integer"):
        read_info(folder)


def test_a_stranger_among_the_files_is_refused(tmp_path):
    folder = save(CheckpointStore(tmp_path, 1), 1)
    (folder / "other.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"not listed in manifest\.json"):
        check_files(folder)


@pytest.mark.parametrize("manifest", ["{}", "[]", '{"info.json": 1}'])
def test_a_manifest_that_lists_nothing_is_refused(tmp_path, manifest):
    folder = save(CheckpointStore(tmp_path, 1), 1)
    (folder / "manifest.json").write_text(manifest)
    with pytest.raises(CheckpointError):
        check_files(folder)


def test_another_schema_is_refused(tmp_path):
    folder = save(CheckpointStore(tmp_path, 1), 1)
    tree = json.loads((folder / "info.json").read_text())
    (folder / "info.json").write_text(json.dumps(tree | {"schema_version": 2}))
    with pytest.raises(CheckpointError, match="has schema 2, this version reads 1"):
        read_info(folder)


def test_a_step_that_is_written_again_replaces_the_first(tmp_path):
    store = CheckpointStore(tmp_path, keep_last=2)
    save(store, 1)
    folder = save(store, 1, best=1)
    assert read_info(folder).best_step == 1
    assert [path.name for path in folder.parent.iterdir()] == ["step-00000001"]


def test_weights_that_do_not_fit_are_one_line_of_whole_keys(tmp_path):
    held = {f"layer.{number}.weight": torch.zeros(2) for number in range(4)} | {"head": torch.zeros(3, 2)}
    folder = CheckpointStore(tmp_path, 1).save(info(1), {"segmenter": held}, {})
    network = torch.nn.Module()
    network.register_parameter("head", torch.nn.Parameter(torch.zeros(4, 2)))
    network.register_parameter("bias", torch.nn.Parameter(torch.zeros(4)))
    with pytest.raises(CheckpointError) as caught:
        load_network(network, folder, "segmenter")
    assert caught.value.problem == (
        "the weights of segmenter do not fit: head is 3x2 and should be 4x2, bias is missing, layer.0.weight has no "
        "place, and 3 more"
    )
