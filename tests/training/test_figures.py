import numpy as np
from PIL import Image

from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.training import figures
from isthmus.training.evaluation import EvaluationResult
from isthmus.training.figures import overlay, save_confusion, save_curves
from isthmus.training.metrics import Scores


def test_overlay_mixes_colours_and_leaves_unlabelled_pixels():
    image = np.full((1, 2, 3), 100, np.uint8)
    mixed = overlay(image, np.array([[0, 255]], np.uint8), CITYSCAPES19)
    # road is (128, 64, 128): 0.45 · 100 + 0.55 · 128 = 115.4, 0.45 · 100 + 0.55 · 64 = 80.2
    assert mixed.tolist() == [[[115, 80, 115], [100, 100, 100]]]


def test_confusion_and_curves_are_pictures(tmp_path):
    confusion = np.zeros((19, 20), np.int64)
    confusion[0, 0] = 5
    result = EvaluationResult(
        title="cityscapes/val",
        dataset="cityscapes",
        split="val",
        num_frames=1,
        resolution_hw=(8, 8),
        mode="whole",
        window_hw=None,
        stride_hw=None,
        space=CITYSCAPES19,
        scores=Scores(iou_per_class={}, miou=None, miou_shared=None, pixel_accuracy=None),
        confusion=confusion,
    )
    save_confusion(result, tmp_path / "confusion.png")
    rows = [
        {"step": 1, "kind": "train", "losses": {"total": 1.0}},
        {"step": 1, "kind": "evaluation", "role": "validation", "title": "gta5/all", "miou": 0.5},
        {"step": 2, "kind": "evaluation", "role": "validation", "title": "gta5/all", "miou": None},
        {"step": 2, "kind": "note", "text": "the pool is empty"},
    ]
    save_curves(rows, tmp_path / "deep" / "curves.png")
    for name in ("confusion.png", "deep/curves.png"):
        assert Image.open(tmp_path / name).size[0] > 300


def test_losses_by_source_have_small_panels_of_their_own(tmp_path, monkeypatch):
    drawn = {}
    plot = figures._plot

    def noted(axes, curves, title, **options):
        drawn[title] = curves
        plot(axes, curves, title, **options)

    monkeypatch.setattr(figures, "_plot", noted)
    losses = {"cycle": 0.5, "total": 1.0}
    metrics = {"cycle.0": 0.25, "cycle.1": 0.75, "learning_rate": 0.1, "other.0": 0.5}
    row = {"step": 1, "kind": "train", "losses": losses}
    save_curves([{**row, "metrics": metrics}], tmp_path / "panels.png")
    assert drawn == {
        "loss": {"cycle": [(1, 0.5)], "total": [(1, 1.0)]},
        "mIoU %": {},
        "cycle": {"source 0": [(1, 0.25)], "source 1": [(1, 0.75)]},
    }
    save_curves([row], tmp_path / "plain.png")
    plain, panels = (Image.open(tmp_path / f"{name}.png").size for name in ("plain", "panels"))
    assert panels[0] == plain[0]
    assert panels[1] > plain[1] + 200
