import hashlib
import json
from pathlib import Path

import pytest

from isthmus.artifact import (
    CardClass,
    CardEvaluation,
    CardLabelSpace,
    CardNormalisation,
    GoldenFrame,
    Manifest,
    ModelCard,
    sha256_of,
)
from isthmus.errors import ContractError


@pytest.fixture
def card() -> ModelCard:
    return ModelCard(
        name="street",
        method="source_only",
        decoder="fpn",
        encoder="resnet18",
        label_space=CardLabelSpace(
            name="two",
            id_hash="0123456789ab",
            classes=(CardClass(name="road", color=(128, 64, 128)), CardClass(name="sky", color=(70, 130, 180))),
        ),
        network_size_hw=(256, 512),
        normalisation=CardNormalisation(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
        datasets=(),
        evaluations=(
            CardEvaluation(
                target="camvid",
                split="val",
                num_frames=101,
                resolution_hw=(360, 480),
                miou=0.427,
                miou_shared=0.43,
                pixel_accuracy=0.8,
                iou_per_class={"road": 0.9, "sky": None},
            ),
        ),
        step=600,
        git_commit="abc",
        config_hash="1",
        lock_hash="2",
        weights_sha256="3",
        created_at="2026-01-01T00:00:00+00:00",
        golden=GoldenFrame(image_png="", labels_png=""),
    )


def test_card_survives_the_journey(card: ModelCard):
    assert ModelCard.from_json(card.to_json(), where="here") == card


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "has schema 2, this version reads 1"),
        ({"step": "600"}, "step: Input should be a valid integer"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"created_at": "yesterday"}, "created_at: Value error, is no ISO 8601 time"),
        ({"created_at": "2026-01-01T00:00:00"}, "created_at: Value error, has no UTC offset"),
        ({"created_at": "0001-01-01T00:00:00+14:00"}, "created_at: Value error, is no ISO 8601 time"),
        ({"network_size_hw": [0, 512]}, r"network_size_hw\.0: Input should be greater than 0"),
        ({"label_space": {"name": "n", "id_hash": "h", "classes": []}}, r"label_space\.classes: Tuple should have"),
        (
            {"label_space": {"name": "n", "id_hash": "h", "classes": [{"name": "road", "color": [0, 256, -1]}]}},
            r"label_space\.classes\.0\.color\.1: Input should be less than or equal to 255",
        ),
        ({"network_size_hw": [256]}, r"network_size_hw\.1: Field required"),
    ],
)
def test_other_cards_are_refused_by_field(card: ModelCard, change: dict, message: str):
    text = json.dumps(json.loads(card.to_json()) | change)
    with pytest.raises(ContractError, match=message) as caught:
        ModelCard.from_json(text, where="model.onnx")
    assert caught.value.where == "model.onnx"


def test_text_that_is_no_json_is_refused():
    with pytest.raises(ContractError, match="text: Invalid JSON"):
        ModelCard.from_json("{", where="model.onnx")


def test_manifest_measures_the_file(card: ModelCard, tmp_path: Path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"abc")
    manifest = Manifest.of(path, card)
    assert manifest.sha256 == hashlib.sha256(b"abc").hexdigest() == sha256_of(path)
    assert (manifest.size_bytes, manifest.label_space_hash) == (3, "0123456789ab")
    assert Manifest.model_validate_json(manifest.model_dump_json(), strict=True) == manifest
