"""A model card, pictures and a domain gap that go with the judgements of gate/examples.py."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from isthmus.artifact import CardDataset, CardEvaluation, CardNormalisation, ModelCard
from isthmus.datasets.label_space import CITYSCAPES19, TRAIN_ID
from isthmus.training.export import card_label_space
from isthmus.training.golden import encode_golden
from isthmus.training.report.domain_gap import DomainGap, DomainPoints
from isthmus.training.report.frames import FramePictures, PicturedFrame
from isthmus.training.report.page import write_report


@pytest.fixture(scope="session")
def card() -> ModelCard:
    """Of the examples' challenger."""
    grey = np.full((4, 4, 3), 128, np.uint8)
    return ModelCard(
        name="street-segmenter",
        method="madan",
        decoder="fpn",
        encoder="resnet18",
        label_space=card_label_space(CITYSCAPES19),
        network_size_hw=(64, 96),
        normalisation=CardNormalisation(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
        datasets=(CardDataset(role="source", dataset="gta5", split="train", num_frames=2, digest="d" * 64),),
        evaluations=(
            CardEvaluation(
                target="cityscapes",
                split="val",
                num_frames=3,
                resolution_hw=(64, 96),
                miou=0.5,
                miou_shared=0.55,
                pixel_accuracy=0.75,
                iou_per_class={"road": 0.9, "train": None},
            ),
        ),
        step=1000,
        git_commit="abc123",
        config_hash="1" * 64,
        lock_hash="2" * 64,
        weights_sha256="4" * 64,
        created_at="2026-01-02T03:04:05+00:00",
        golden=encode_golden(grey, grey[..., 0]),
    )


@pytest.fixture(scope="session")
def pictures(gate_examples: ModuleType) -> FramePictures:
    """Of the labelled target's two worst frames: road below sky, which the champion takes for building."""
    target = gate_examples.labelled_target(0.8)
    truth = np.full((48, 64), TRAIN_ID["road"], np.uint8)
    truth[:20] = TRAIN_ID["sky"]
    champion = np.where(truth == TRAIN_ID["sky"], TRAIN_ID["building"], truth).astype(np.uint8)
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    return {
        target.title: [
            PicturedFrame(score=score, image=image, challenger=truth, champion=champion, truth=truth)
            for score in target.worst_frames
        ]
    }


@pytest.fixture(scope="session")
def gap() -> DomainGap:
    """Two domains of two frames."""
    return DomainGap(
        explained=(0.75, 0.25),
        domains=(
            DomainPoints(title="gta5/train", role="source", points=((-1.0, 0.0), (-0.5, 0.5)), distance=0.5),
            DomainPoints(title="camvid/train", role="target", points=((1.0, 0.0), (0.5, -0.5)), distance=None),
        ),
    )


Draw = Callable[..., Path]


@pytest.fixture
def draw(tmp_path: Path, card: ModelCard, pictures: FramePictures, gap: DomainGap) -> Draw:
    """Write a page of a judgement, with everything that can be on it unless told otherwise."""

    def write(judgement, **changes) -> Path:
        facts = {
            "card": card,
            "champion_card": card if judgement.champion else None,
            "frames": pictures,
            "lineage": {"run": "0123abcd"},
            "domain_gap": gap,
        }
        return write_report(tmp_path / "report", judgement, **facts | changes)

    return write
