import numpy as np
import pytest
import torch
from rich.console import Console

from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.catalogue import DatasetConfig, build_dataset
from isthmus.datasets.label_space import CAMVID11, TRAIN_ID
from isthmus.training.evaluation import EvaluationConfig, evaluate


class Always(torch.nn.Module):
    """Sees one class everywhere."""

    def __init__(self, train_id: int) -> None:
        super().__init__()
        self.train_id = train_id
        self.seen: list[tuple[int, ...]] = []

    def forward(self, image):
        assert not self.training
        assert 0 <= image.min() <= image.max() <= 1
        self.seen.append(tuple(image.shape))
        logits = torch.zeros(image.shape[0], 19, *image.shape[-2:])
        logits[:, self.train_id] = 1
        return logits


@pytest.fixture
def camvid(tiny_data) -> SegmentationDataset:
    return build_dataset(DatasetConfig(dataset="camvid", root=tiny_data / "camvid", split="val"))


def share_of(dataset: SegmentationDataset, own_class: str) -> float:
    masks = np.stack([CAMVID11.fold(dataset[index]["mask"]) for index in range(len(dataset))])
    return float((masks == CAMVID11.names.index(own_class)).sum() / (masks != 255).sum())


def test_one_class_everywhere_scores_its_share(camvid):
    network = Always(TRAIN_ID["truck"]).train()
    config = EvaluationConfig(resolution_hw=(30, 40), batch_size=3)
    result = evaluate(network, camvid, config, shared_train_ids=range(19))
    share = share_of(camvid, "car")  # CamVid's trucks are cars
    assert result.scores.iou_per_class["car"] == pytest.approx(share)
    assert result.scores.pixel_accuracy == pytest.approx(share)
    assert network.seen == [(3, 3, 30, 40), (1, 3, 30, 40)]
    assert network.training


def test_scores_are_taken_at_the_size_of_the_labels(camvid):
    result = evaluate(Always(0), camvid, EvaluationConfig(resolution_hw=(30, 40)), shared_train_ids=range(19))
    labelled = sum(int((camvid[index]["mask"] != 255).sum()) for index in range(len(camvid)))
    assert int(result.confusion.sum()) == labelled
    assert result.resolution_hw == (30, 40)


def test_frames_as_on_disk(camvid):
    network = Always(0)
    result = evaluate(network, camvid, EvaluationConfig(resolution_hw=None), shared_train_ids=range(19))
    assert network.seen == [(4, 3, 60, 80)]
    assert result.resolution_hw == (60, 80)


def test_sliding_windows(camvid, capsys):
    network = Always(0)
    config = EvaluationConfig(
        resolution_hw=(30, 40), mode="sliding", window_hw=(30, 20), stride_hw=(30, 20), batch_size=4
    )
    result = evaluate(network, camvid, config, shared_train_ids=range(19))
    assert network.seen == [(4, 3, 30, 20)] * 2
    assert result.mode == "sliding"
    tree = result.to_tree()
    assert (tree["window_hw"], tree["stride_hw"]) == ([30, 20], [30, 20])
    result.render(Console(width=120))
    assert "sliding 30x20 by 30x20" in " ".join(capsys.readouterr().out.split())


def test_a_set_that_holds_no_labelled_pixel_has_no_score(camvid, monkeypatch):
    def unlabelled(frame):
        return np.full((60, 80), 255, np.uint8)

    monkeypatch.setattr(camvid, "read_mask", unlabelled)
    result = evaluate(Always(0), camvid, EvaluationConfig(resolution_hw=(30, 40)), shared_train_ids=range(19))
    card = result.to_card("validation")
    assert (card.role, card.miou, card.miou_shared, card.pixel_accuracy) == ("validation", None, None, None)


def test_progress_is_told_and_frozen_parts_stay_in_eval_mode(camvid):
    network = torch.nn.Sequential(Always(0), torch.nn.Identity()).train()
    network[1].eval()
    told = []
    config = EvaluationConfig(resolution_hw=(30, 40), batch_size=3)
    evaluate(network, camvid, config, shared_train_ids=(), on_progress=lambda *counts: told.append(counts))
    assert told == [(3, 4), (4, 4)]
    assert [module.training for module in network.modules()] == [True, True, False]


def test_frames_are_handed_out_in_own_ids(camvid):
    judged = {}
    evaluate(
        Always(TRAIN_ID["truck"]),
        camvid,
        EvaluationConfig(resolution_hw=(30, 40)),
        shared_train_ids=(),
        on_frame=lambda index, frame: judged.update({index: frame}),
    )
    assert sorted(judged) == [0, 1, 2, 3]
    assert judged[2].name == camvid.frames[2].name
    assert set(np.unique(judged[2].pred)) == {CAMVID11.names.index("car")}
    assert judged[2].image.shape == (60, 80, 3)


def test_the_tree_is_json_and_the_card_agrees(camvid):
    import json

    result = evaluate(Always(0), camvid, EvaluationConfig(resolution_hw=(30, 40)), shared_train_ids=(0,))
    tree = json.loads(json.dumps(result.to_tree()))
    card = result.to_card("evaluation")
    assert tree["miou_shared"] == card.miou_shared == result.scores.iou_per_class["road"]
    assert tree["num_frames"] == card.num_frames == 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mode": "sliding"}, "needs window_hw"),
        ({"window_hw": (8, 8)}, "are for mode: sliding"),
        ({"mode": "sliding", "window_hw": (8, 8), "stride_hw": (9, 8)}, "would be skipped"),
        ({"batch_size": 0}, "at least 1"),
        ({"mode": "sliding", "window_hw": (8, 8), "stride_hw": (8, 0)}, r"stride_hw is \[8, 0\]"),
    ],
)
def test_wrong_configurations_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        EvaluationConfig(resolution_hw=None, **wrong)
