"""The model card for people: facts that the report page shows too, and `MODEL_CARD.md` as Hugging Face's hub reads it.

Front matter: https://huggingface.co/docs/hub/model-cards, with the scores under `model-index`.
"""

from pathlib import Path
from typing import Any, Final

import yaml

from isthmus.artifact import INPUT_NAME, OUTPUT_CONFIDENCE, OUTPUT_LABELS, CardEvaluation, ModelCard
from isthmus.training.gate.evidence import Judgement, TargetEvidence
from isthmus.training.version_files import evaluation_title

MODEL_CARD_FILE: Final = "MODEL_CARD.md"
LIMITS: Final = (
    "For labelling the pixels of frames from a camera that looks forward from a vehicle on a street, as one input "
    "among others. It was trained in simulation: no score here says anything about streets, weather, cameras or "
    "countries unlike those of the targets that are named.",
    "Not for steering a vehicle by itself. Classes that are rare in the judged frames are known least; estimates "
    "without labels are estimates. Confidence is the largest softmax value and is as honest as the calibration shows.",
    "The licence of the weights follows from the terms of the data sets that trained them, some of which forbid "
    "commercial use.",
)
"""What the model is for and what not, a paragraph each."""


def card_facts(card: ModelCard) -> list[tuple[str, str]]:
    """What a card says about the network, as name and value."""
    height, width = card.network_size_hw
    return [
        ("name", card.name),
        ("trained by", f"method {card.method}, {card.step} steps"),
        ("network", f"{card.decoder} over {card.encoder}"),
        ("classes", f"{len(card.label_space.classes)} of {card.label_space.name} ({card.label_space.id_hash})"),
        ("input", f"{INPUT_NAME}: uint8 RGB [batch, height, width, 3], any size; resized to {height} × {width} inside"),
        ("output", f"{OUTPUT_LABELS}: uint8 [batch, height, width], class ids, 255 unlabelled"),
        ("confidence", f"{OUTPUT_CONFIDENCE}: uint8 [batch, h, w], 255 × largest softmax at the head's resolution"),
        ("exported", card.created_at),
    ]


def card_lineage(card: ModelCard) -> list[tuple[str, str]]:
    """Where a model comes from, as name and digest."""
    return [
        ("git commit", card.git_commit),
        ("configuration, SHA-256", card.config_hash),
        ("dependency lock, SHA-256", card.lock_hash),
        ("weights, SHA-256", card.weights_sha256),
    ]


def model_card_markdown(card: ModelCard, judgement: Judgement | None) -> str:
    """`MODEL_CARD.md`: YAML front matter, then text.

    Args:
        card: Of the model.
        judgement: The gate's, whose scores then stand first; None for a model that was not judged.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701 - Markdown; `cell` escapes what tables and text take over
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(cell=_cell, percent=_percent, evaluation_title=evaluation_title)
    front = yaml.safe_dump(_front_matter(card, judgement), sort_keys=False, allow_unicode=True, width=120)
    return environment.get_template("model_card.md.j2").render(
        front=front,
        card=card,
        judgement=judgement,
        facts=card_facts(card),
        lineage=card_lineage(card),
        limits=LIMITS,
        input_name=INPUT_NAME,
        outputs=(OUTPUT_LABELS, OUTPUT_CONFIDENCE),
    )


def _front_matter(card: ModelCard, judgement: Judgement | None) -> dict[str, Any]:
    judged = [] if judgement is None else [one for one in judgement.challenger.targets if one.miou is not None]
    results = [_judged_result(one) for one in judged] or [_carried_result(one) for one in card.evaluations]
    return {
        "library_name": "onnx",
        "pipeline_tag": "image-segmentation",
        "license": "unknown",
        "tags": ["isthmus", "semantic-segmentation", "driving", "sim-to-real", card.method, card.decoder, card.encoder],
        "datasets": sorted({one.dataset for one in card.datasets}),
        "metrics": ["mean_iou", "accuracy"],
        "model-index": [{"name": card.name, "results": [one for one in results if one["metrics"]]}],
    }


def _judged_result(target: TargetEvidence) -> dict[str, Any]:
    ece = None if target.reliability is None else target.reliability.ece
    return _result(
        target.title,
        target.title,
        [
            ("mean_iou", "mIoU", target.miou),
            ("accuracy", "pixel accuracy", target.pixel_accuracy),
            ("ece", "expected calibration error", ece),
            *(("iou", f"IoU of {name}", value) for name, value in target.iou_per_class.items()),
        ],
    )


def _carried_result(one: CardEvaluation) -> dict[str, Any]:
    title = evaluation_title(one)
    return _result(
        title, one.target, [("mean_iou", "mIoU", one.miou), ("accuracy", "pixel accuracy", one.pixel_accuracy)]
    )


def _result(title: str, kind: str, metrics: list[tuple[str, str, float | None]]) -> dict[str, Any]:
    return {
        "task": {"type": "image-segmentation", "name": "semantic segmentation"},
        "dataset": {"name": title, "type": kind},
        "metrics": [
            {"type": metric, "name": name, "value": round(value, 6)}
            for metric, name, value in metrics
            if value is not None
        ],
    }


def _cell(text: object) -> str:
    """Text that neither ends a table's cell nor becomes a tag, a link or emphasis."""
    plain = " ".join(str(text).split())
    for sign in "\\`*_[]<>|~":
        plain = plain.replace(sign, f"\\{sign}")
    return plain


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
