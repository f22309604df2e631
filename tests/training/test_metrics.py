import pytest
import torch

from isthmus.datasets.label_space import CAMVID11, CITYSCAPES19, IGNORE_INDEX, SYNTHIA16, TRAIN_ID
from isthmus.training.metrics import ConfusionMatrix

ROAD, SIDEWALK, CAR, TRUCK, BUILDING = (TRAIN_ID[n] for n in ("road", "sidewalk", "car", "truck", "building"))


def test_scores_by_hand():
    matrix = ConfusionMatrix(CITYSCAPES19)
    # Truth: 3 road, 1 car, 1 ignored. Prediction takes one road for car.
    matrix.update(torch.tensor([ROAD, ROAD, CAR, CAR, ROAD]), torch.tensor([ROAD, ROAD, ROAD, CAR, IGNORE_INDEX]))
    scores = matrix.scores(range(19))
    assert scores.iou_per_class["road"] == pytest.approx(2 / 3)
    assert scores.iou_per_class["car"] == pytest.approx(1 / 2)
    assert scores.iou_per_class["train"] is None
    assert scores.miou == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert scores.pixel_accuracy == pytest.approx(3 / 4)


def test_matrix_is_summed_over_the_set_not_averaged_over_images():
    matrix = ConfusionMatrix(CITYSCAPES19)
    matrix.update(torch.tensor([ROAD] * 3), torch.tensor([ROAD] * 3))
    matrix.update(torch.tensor([CAR]), torch.tensor([ROAD]))
    assert matrix.scores(range(19)).iou_per_class["road"] == pytest.approx(3 / 4)


def test_truth_and_prediction_are_folded():
    matrix = ConfusionMatrix(CAMVID11)
    # CamVid has no trucks: a truck seen in a car's place is right.
    matrix.update(torch.tensor([TRUCK, ROAD]), torch.tensor([CAR, ROAD]))
    scores = matrix.scores(range(19))
    assert scores.iou_per_class["car"] == 1.0
    assert scores.miou == 1.0
    assert list(scores.iou_per_class) == list(CAMVID11.names)


def test_prediction_without_own_class_is_a_miss():
    matrix = ConfusionMatrix(CITYSCAPES19)
    matrix.update(torch.tensor([IGNORE_INDEX, ROAD], dtype=torch.uint8), torch.tensor([ROAD, ROAD]))
    scores = matrix.scores(range(19))
    assert scores.iou_per_class["road"] == pytest.approx(1 / 2)
    assert scores.pixel_accuracy == pytest.approx(1 / 2)
    assert matrix.counts[ROAD, -1] == 1


def test_shared_mean_leaves_classes_out_that_a_source_lacks():
    matrix = ConfusionMatrix(CITYSCAPES19)
    # Truck is no class of SYNTHIA: it counts in mIoU19 and not in mIoU16.
    matrix.update(torch.tensor([ROAD, ROAD]), torch.tensor([ROAD, TRUCK]))
    scores = matrix.scores(SYNTHIA16)
    assert scores.miou == pytest.approx((1 / 2 + 0) / 2)
    assert scores.miou_shared == pytest.approx(1 / 2)


def test_a_stray_pixel_of_a_class_that_never_occurs_changes_no_set_of_classes():
    truth = torch.tensor([ROAD] * 3 + [CAR] * 4)
    matrix = ConfusionMatrix(CITYSCAPES19)
    matrix.update(torch.tensor([ROAD, ROAD, TRUCK] + [CAR] * 4), truth)
    scores = matrix.scores(range(19))
    assert scores.iou_per_class["truck"] == 0
    assert scores.miou == pytest.approx((2 / 3 + 1) / 2)
    assert scores.miou_shared == pytest.approx((2 / 3 + 1) / 2)


def test_the_means_of_papers_with_synthia_come_from_the_same_matrix():
    matrix = ConfusionMatrix(CITYSCAPES19)
    wall = TRAIN_ID["wall"]
    # IoU: road 1, wall 1/2 (no class of the 13), truck 0 (no class of the 16).
    matrix.update(torch.tensor([ROAD, wall, wall]), torch.tensor([ROAD, wall, TRUCK]))
    scores = matrix.scores(range(19))
    assert scores.miou == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert scores.miou_subsets == {"miou_16": pytest.approx((1 + 1 / 2) / 2), "miou_13": pytest.approx(1)}
    assert ConfusionMatrix(CAMVID11).scores(range(19)).miou_subsets == {}


def test_nothing_seen_gives_no_numbers():
    scores = ConfusionMatrix(CITYSCAPES19).scores(range(19))
    assert (scores.miou, scores.miou_shared, scores.pixel_accuracy) == (None, None, None)
