"""How the data sets of a run are described."""

import shutil

from isthmus.datasets.catalogue import DatasetConfig, build_dataset
from isthmus.datasets.fakes import write_fakes
from isthmus.training.build import describe_datasets


class WithTarget:
    """What `describe_datasets` reads of a configuration; no method here takes a target yet."""

    def __init__(self, source: DatasetConfig, target: DatasetConfig) -> None:
        self.roles = (("source", source), ("target", target))
        self.datasets = (source, target)


def test_a_target_needs_no_labels_and_is_digested_without_them(tmp_path):
    write_fakes("cityscapes", tmp_path / "real", "val", num_frames=3, size_hw=(16, 32), seed=0)
    write_fakes("gta5", tmp_path / "game", "all", num_frames=2, size_hw=(16, 32), seed=0)
    real = DatasetConfig(dataset="cityscapes", root=tmp_path / "real", split="val")
    game = DatasetConfig(dataset="gta5", root=tmp_path / "game", split="all")
    as_source, as_target = describe_datasets(WithTarget(real, real))
    assert as_source.digest != as_target.digest

    shutil.rmtree(tmp_path / "real" / "gtFine")
    assert describe_datasets(WithTarget(game, real))[1] == as_target
    dataset = build_dataset(real, labelled=False)
    assert [frame.label for frame in dataset.frames] == [None] * 3
    assert dataset.read_unlabelled(0)["image"].shape == (16, 32, 3)
    assert build_dataset(game, labelled=False).frames[0].label is None
