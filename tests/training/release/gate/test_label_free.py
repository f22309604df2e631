import numpy as np
import pytest

from isthmus.datasets.label_space import CAMVID11, CITYSCAPES19, IDDLITE7, TRAIN_ID
from isthmus.training.gate.label_free import estimate, estimates
from isthmus.training.gate.observation import Observation, at_head

ROAD, CAR, TRUCK = TRAIN_ID["road"], TRAIN_ID["car"], TRAIN_ID["truck"]
COLOURS = np.array(CITYSCAPES19.colors, np.uint8)


def source_seen() -> Observation:
    """Road: 800 sure and right, 200 unsure and cars in truth; car: 1000 sure and right."""
    seen = Observation(CITYSCAPES19)
    seen.valid[ROAD, 255] = seen.right[ROAD, 255] = seen.truth[ROAD, ROAD] = 800
    seen.valid[ROAD, 102] = seen.truth[CAR, ROAD] = 200
    seen.valid[CAR, 255] = seen.right[CAR, 255] = seen.truth[CAR, CAR] = 1000
    seen.pixels += seen.valid
    return seen


def target_seen(space=CITYSCAPES19) -> Observation:
    """Road: 500 sure, 500 unsure; car: 1000 sure."""
    seen = Observation(space)
    seen.pixels[ROAD, [255, 102]] = 500
    seen.pixels[CAR, 255] = 1000
    return seen


def test_thresholded_confidence_by_hand():
    # The threshold for road lies between unsure and sure: 500 of 1000 are right, and the others are cars.
    found = estimates(source_seen(), target_seen())["thresholded confidence"]
    assert found.accuracy == pytest.approx(1500 / 2000)
    assert found.miou == pytest.approx((500 / 1000 + 1000 / 1500) / 2)


def test_a_threshold_within_one_confidence_keeps_a_fraction():
    source = source_seen()
    source.right[ROAD, 102] = source.truth[ROAD, ROAD] = 0
    source.truth[ROAD, ROAD], source.truth[CAR, ROAD] = 900, 100
    source.right[ROAD, 102] = 100  # 900 right: all sure ones and half of the unsure ones
    found = estimates(source, target_seen())["thresholded confidence"]
    assert found.accuracy == pytest.approx((500 + 250 + 1000) / 2000)


def test_difference_of_confidences_by_hand():
    # Road: precision 0.8, confidence 0.8 + 0.2 · 0.4 = 0.88 on the source and 0.7 on the target.
    found = estimates(source_seen(), target_seen())["difference of confidences"]
    right = 1000 * (0.8 + 0.7 - 0.88)
    assert found.accuracy == pytest.approx((right + 1000) / 2000)
    assert found.miou == pytest.approx((right / 1000 + 1000 / (2000 - right)) / 2)


def test_confidence_alone_by_hand():
    assert estimates(source_seen(), target_seen())["confidence"].accuracy == pytest.approx((700 + 1000) / 2000)


def test_scores_of_an_unshifted_target_are_the_sources_own():
    source = source_seen()
    found = estimates(source, source)
    for name in ("difference of confidences", "thresholded confidence"):
        assert found[name].accuracy == pytest.approx(0.9)
        assert found[name].miou == pytest.approx((800 / 1000 + 1000 / 1200) / 2)


def test_rare_classes_borrow_from_all():
    source, target = source_seen(), target_seen()
    source.valid[TRUCK, 255] = 10  # never right, but 10 pixels say little
    source.truth[CAR, TRUCK] = 10
    target.pixels[TRUCK, 255] = 1000
    found = estimates(source, target)["thresholded confidence"]
    # All classes together: 1800 right of 1810 sure pixels, so 1800/1810 of the target's sure trucks count as right.
    assert found.accuracy == pytest.approx((1500 + 1000 * 1800 / 1810) / 3000)


def test_mistakes_within_a_class_of_the_target_are_none():
    source, target = source_seen(), target_seen(IDDLITE7)
    target.pixels[CAR] = 0
    target.pixels[TRUCK, 255] = 1000  # IDD-Lite's vehicles, like cars
    found = estimates(source, target)["thresholded confidence"]
    assert found.miou == pytest.approx((500 / 1000 + 1000 / 1500) / 2)


def test_style_agreement_by_hand():
    source, target = source_seen(), target_seen()
    assert "style agreement" not in estimates(source, target)
    source.styled[ROAD, ROAD], source.styled[CAR, CAR] = 1000, 1000
    target.styled[ROAD, ROAD], target.styled[ROAD, CAR], target.styled[CAR, CAR] = 500, 500, 1000
    found = estimates(source, target)["style agreement"]
    assert target.style_agreement == pytest.approx(0.75)
    assert found.accuracy == pytest.approx(0.9 * 0.75)
    known, agreement = (800 / 1000 + 1000 / 1200) / 2, (500 / 1000 + 1000 / 1500) / 2
    assert found.miou == pytest.approx(known * agreement)


def test_frames_are_counted_at_the_heads_resolution():
    labels = np.full((4, 8), ROAD, np.uint8)
    labels[:, 4:] = CAR
    mask = labels.copy()
    mask[:2, :4] = 255
    mask[2:, 4:] = TRUCK
    confidence = np.array([[10, 20], [30, 40]], np.uint8)
    seen = Observation(CAMVID11)  # where a truck is a car
    seen.add(labels, confidence, mask)
    assert seen.pixels[ROAD, [10, 30]].tolist() == [1, 1]
    assert seen.pixels[CAR, [20, 40]].tolist() == [1, 1]
    assert seen.valid.sum() == seen.right.sum() == 3
    assert seen.truth[TRUCK, CAR] == 1
    assert seen.mean_confidence == pytest.approx(25 / 255)
    assert seen.true_shares[ROAD] == pytest.approx(1 / 3)
    assert at_head(np.arange(36, dtype=np.uint8).reshape(6, 6), (2, 3)).tolist() == [[7, 9, 11], [25, 27, 29]]


def test_labels_that_are_no_class_count_nowhere():
    seen = Observation(CITYSCAPES19)
    seen.add(np.array([[200, ROAD]], np.uint8), np.array([[9, 9]], np.uint8), np.array([[ROAD, ROAD]], np.uint8))
    assert seen.pixels.sum() == seen.right.sum() == 1


def test_a_model_that_is_less_sure_is_estimated_lower():
    draws = np.random.default_rng(0)
    mask = draws.integers(0, 19, (32, 32), np.uint8)

    def model(sureness: int):
        return lambda images: (mask[None], np.full((1, 8, 8), sureness - (images.mean() > 100) * 60, np.uint8))

    source = [{"image": COLOURS[mask] // 4, "mask": mask, "name": "dark"}] * 2
    target = [{"image": np.full((32, 32, 3), 180, np.uint8), "name": "bright"}]
    found = estimate(model(250), source, target, source_space=CITYSCAPES19, target_space=CITYSCAPES19)
    assert set(found) == {"confidence", "difference of confidences", "thresholded confidence", "style agreement"}
    # All right on the source at 250; the target is less sure by 60 of 255.
    assert found["difference of confidences"].accuracy == pytest.approx(1 - 60 / 255)
    # The threshold is the least confidence of a right source pixel, and all of the target lies below.
    assert found["thresholded confidence"].accuracy == 0
    assert found["style agreement"].accuracy == 1
