"""Pictures of frames: what the difference's colours mean, and that they stay small."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from isthmus.configuration import parse_config
from isthmus.datasets.label_space import CAMVID11, TRAIN_ID
from isthmus.training.gate.config import GateConfig
from isthmus.training.gate.evidence import FrameScore
from isthmus.training.gate.judge import judge
from isthmus.training.onnx_model import OnnxModel
from isthmus.training.report import frames as module
from isthmus.training.report.frames import (
    BOTH_WRONG,
    ONLY_CHALLENGER,
    ONLY_CHAMPION,
    PicturedFrame,
    difference_picture,
    draw_worst_frames,
    frame_rows,
)

ROAD, CAR, TRUCK, SKY = (TRAIN_ID[name] for name in ("road", "car", "truck", "sky"))
SCORE = FrameScore(index=0, name="a.png", miou=0.5, other_miou=None)


def pictured(challenger, champion, truth) -> PicturedFrame:
    """A white frame of one row."""
    rows = [None if row is None else np.array([row], np.uint8) for row in (challenger, champion, truth)]
    image = np.full((1, len(truth), 3), 200, np.uint8)
    return PicturedFrame(score=SCORE, image=image, challenger=rows[0], champion=rows[1], truth=rows[2])


def test_difference_says_who_is_right():
    frame = pictured(
        challenger=[ROAD, ROAD, ROAD, ROAD, CAR],
        champion=[ROAD, SKY, CAR, SKY, TRUCK],
        truth=[ROAD, ROAD, CAR, CAR, CAR],
    )
    same = (70, 70, 70)  # 0.35 of 200
    # In CamVid's classes a truck is a car: the last pixel is no difference.
    expected = [same, ONLY_CHALLENGER, ONLY_CHAMPION, BOTH_WRONG, same]
    assert difference_picture(frame, CAMVID11)[0].tolist() == [list(color) for color in expected]


def test_difference_where_nobody_knows_the_truth():
    frame = pictured(challenger=[ROAD, ROAD], champion=[SKY, ROAD], truth=[255, 255])
    assert difference_picture(frame, CAMVID11)[0].tolist() == [list(BOTH_WRONG), [70, 70, 70]]


def test_without_a_champion_errors_are_shown():
    frame = pictured(challenger=[ROAD, SKY, SKY], champion=None, truth=[ROAD, ROAD, 255])
    assert difference_picture(frame, CAMVID11)[0].tolist() == [[70, 70, 70], list(ONLY_CHAMPION), [70, 70, 70]]


def test_panels_are_small_pictures_in_reading_order(pictures):
    (first, _), *_ = frame_rows(pictures, {"camvid/val": "camvid11"}).values()
    assert [panel.title for panel in first.panels] == ["frame", "champion", "challenger", "difference", "truth"]
    kind, _, data = first.panels[0].uri.partition(",")
    assert kind == "data:image/webp;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (64, 48)


def test_pictures_shrink_until_all_fit(pictures, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_WIDTHS", (420, 32, 8))
    monkeypatch.setattr(module, "_BUDGET_BYTES", 10_000)
    rows = frame_rows(pictures, {"camvid/val": "camvid11"})["camvid/val"]
    assert {(panel.width, panel.height) for row in rows for panel in row.panels} == {(32, 24)}
    assert sum(len(panel.uri) for row in rows for panel in row.panels) <= 10_000


def test_worst_frames_are_segmented_again_by_both(exported, variant, data_root):
    gate = parse_config(
        f"""
        title: test
        min_golden_agreement: 0.5
        targets:
          - data: {{ dataset: cityscapes, root: {data_root}, split: val, name: street }}
            max_frames: 3
            min_miou: 0.1
            max_miou_drop: 0.1
        """,
        GateConfig,
    )
    challenger, champion = OnnxModel(variant(blind_to=("road",)).onnx_file), OnnxModel(exported.export.onnx_file)
    judgement = judge(challenger, champion, gate, name="street", versions=(2, 1))
    seen: list[tuple[int, int]] = []
    drawn = draw_worst_frames(
        judgement, gate, challenger, champion, most=2, on_progress=lambda done, number: seen.append((done, number))
    )
    assert seen == [(1, 2), (2, 2)]
    for frame, score in zip(drawn["street"], judgement.challenger.targets[0].worst_frames, strict=False):
        assert frame.score == score
        assert frame.image.shape == (64, 96, 3)
        assert not (frame.challenger == ROAD).any()
        assert (frame.champion == ROAD).any()
        assert (frame.truth == ROAD).any()
