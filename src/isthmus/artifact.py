"""The ModelCard: everything that serving needs to know about a model, inside the ONNX file itself.

Training writes it, serving reads it; neither imports the other. It travels as JSON in the ONNX metadata under
`METADATA_KEY`, so that a `model.onnx` alone is a complete, servable artifact.

Contract of the graph:

- input `image`: uint8 [batch, height, width, 3], RGB. Normalisation and resizing live in the graph.
- output `labels`: uint8 [batch, height, width], train ids of the card's label space, 255 unlabelled.
- output `confidence`: uint8 [batch, h, w] at the head's resolution, round(255 · max softmax).
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from isthmus.errors import ContractError

METADATA_KEY: Final = "isthmus.model_card"
SHA256_KEY: Final = "isthmus.sha256"
"""Beside METADATA_KEY where a server tells its model: the digest of the ONNX file, hex."""
INPUT_NAME: Final = "image"
OUTPUT_LABELS: Final = "labels"
OUTPUT_CONFIDENCE: Final = "confidence"
CARD_SCHEMA_VERSION: Final = 1

Precision: TypeAlias = Literal["fp32", "fp16"]
"""What the network computes in; frames come in and labels go out as uint8 either way."""


def _check_timestamp(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
        moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("is no ISO 8601 time") from error
    if moment.tzinfo is None:
        raise ValueError("has no UTC offset")
    return text


Channel = Annotated[int, Field(ge=0, le=255)]
Side = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Timestamp = Annotated[str, AfterValidator(_check_timestamp)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CardClass(_Strict):
    """One class of a label space."""

    name: str
    color: tuple[Channel, Channel, Channel] = Field(description="RGB, 0..255")


class CardLabelSpace(_Strict):
    """A label space as it travels: the index in `classes` is the id in `labels`."""

    name: str
    id_hash: str = Field(description="First 12 hex digits of SHA-256 over ids and names")
    classes: tuple[CardClass, ...] = Field(min_length=1, max_length=255)


class CardNormalisation(_Strict):
    """What the graph does to `image / 255`; for information, clients send plain RGB."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


INHERITED_ROLE: Final = "inherited"
"""Role of a labelled set that reached a run through what was trained before: the weights that it began with, the
generators of its styles, or a source that was adapted."""
INHERITED_TARGET_ROLE: Final = "inherited target"
"""The same of a set whose frames were seen without their labels."""


class CardDataset(_Strict):
    """A data set that took part in making or judging the model."""

    role: str = Field(description="source, target, validation, evaluation, inherited, or inherited target")
    dataset: str
    split: str
    num_frames: int
    digest: str = Field(description="SHA-256 over the sorted names, sizes and label bytes, hex")


class CardEvaluation(_Strict):
    """Scores on one target, all in [0, 1]; None where nothing can be said."""

    title: str = Field(default="", description="Of the data set, unique in a card; empty stands for target/split")
    role: str = Field(default="", description="validation (chose the checkpoint) or evaluation; empty where unknown")
    target: str
    split: str
    num_frames: int
    resolution_hw: tuple[int, int]
    miou: float | None = Field(description="Mean over the target's own classes")
    miou_shared: float | None = Field(description="Mean over those that every source labels too")
    pixel_accuracy: float | None
    iou_per_class: dict[str, float | None] = Field(description="None where the class never occurs")


class GoldenFrame(_Strict):
    """A frame and the labels that torch gave it, for a check wherever the model is loaded."""

    image_png: str = Field(description="RGB PNG, base64")
    labels_png: str = Field(description="8-bit grey PNG of train ids, base64")
    undecided_png: str | None = Field(
        default=None,
        description="8-bit grey PNG, base64: 255 where rounding to fp16 may choose another class, so that the pixel is "
        "not compared; None compares all",
    )


class ModelCard(_Strict):
    """Facts about one exported segmenter."""

    schema_version: int = CARD_SCHEMA_VERSION
    name: str
    method: str
    decoder: str
    encoder: str
    label_space: CardLabelSpace
    network_size_hw: tuple[Side, Side] = Field(description="Frames are resized to this inside the graph")
    normalisation: CardNormalisation
    datasets: tuple[CardDataset, ...]
    evaluations: tuple[CardEvaluation, ...]
    step: int
    git_commit: str
    config_hash: str
    lock_hash: str
    weights_sha256: str = Field(description="Of the safetensors file that the graph was made from")
    created_at: Timestamp = Field(description="ISO 8601, with its offset from UTC")
    precision: Precision = Field(default="fp32", description="Of weights and arithmetic inside the network")
    agreement_with_fp32: Share | None = Field(
        default=None, description="Least share of labels equal to the fp32 network's, measured at export; None for fp32"
    )
    golden: GoldenFrame

    def to_json(self) -> str:
        """The card as it stands in the ONNX metadata."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str, *, where: str | Path) -> "ModelCard":
        """Read a card back.

        Raises:
            ContractError: The text is no card of a schema that this version knows.
        """
        try:
            card = cls.model_validate_json(text, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            raise ContractError(
                f"model card is not valid: {'.'.join(map(str, first['loc'])) or 'text'}: {first['msg']}",
                where=where,
                remedy="Export the model again with this version of isthmus.",
            ) from error
        if card.schema_version != CARD_SCHEMA_VERSION:
            raise ContractError(
                f"model card has schema {card.schema_version}, this version reads {CARD_SCHEMA_VERSION}",
                where=where,
                remedy="Export the model again, or serve it with the version that made it.",
            )
        return card


class Manifest(_Strict):
    """What lies beside a `model.onnx` in the registry, so that a download can be checked before it is opened."""

    schema_version: int = 1
    sha256: str
    size_bytes: int
    label_space_hash: str

    @classmethod
    def of(cls, onnx_file: Path, card: ModelCard) -> "Manifest":
        """Measure a file."""
        return cls(
            sha256=sha256_of(onnx_file),
            size_bytes=onnx_file.stat().st_size,
            label_space_hash=card.label_space.id_hash,
        )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
