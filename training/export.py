"""From a trained segmenter to a folder that can be registered and served.

    model.onnx           the serving graph with its ModelCard inside; complete on its own
    model_card.json      the same card for people
    manifest.json        digest and size of model.onnx, to check a download before it is opened
    weights.safetensors  the segmenter's state, to go on training from or to export again

A folder holds a whole export or nothing: files are made aside, compared with torch, and moved in with the manifest
last.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from isthmus.artifact import (
    CardClass,
    CardDataset,
    CardEvaluation,
    CardLabelSpace,
    CardNormalisation,
    GoldenFrame,
    Manifest,
    ModelCard,
    Precision,
    sha256_of,
)
from isthmus.datasets.label_space import CITYSCAPES19, LabelSpace
from isthmus.errors import ContractError
from isthmus.training.golden import drawn_streets, encode_golden, golden_picture
from isthmus.training.half_precision import halved, undecided_pixels
from isthmus.training.onnx_graph import ServingGraph, attach_card, build_onnx
from isthmus.training.onnx_model import OnnxModel, read_card
from isthmus.training.parity import ParityCase, check_parity
from isthmus.training.segmenters import Segmenter

ONNX_FILE: Final = "model.onnx"
CARD_FILE: Final = "model_card.json"
WEIGHTS_FILE: Final = "weights.safetensors"
MANIFEST_FILE: Final = "manifest.json"
EXPORT_FILES: Final = (ONNX_FILE, CARD_FILE, WEIGHTS_FILE, MANIFEST_FILE)
"""In the order in which they are moved into place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFacts:
    """What a card says and a segmenter does not know about itself."""

    name: str
    """Name of the model, for people."""
    method: str
    decoder: str
    encoder: str
    step: int
    """Optimisation steps behind the weights."""
    datasets: tuple[CardDataset, ...]
    evaluations: tuple[CardEvaluation, ...]
    git_commit: str
    config_hash: str
    lock_hash: str


@dataclass(frozen=True, slots=True)
class Export:
    """A whole export on disk."""

    directory: Path
    card: ModelCard
    manifest: Manifest

    @property
    def onnx_file(self) -> Path:
        """Its `model.onnx`."""
        return self.directory / ONNX_FILE


@dataclass(frozen=True, slots=True)
class ExportResult:
    """An export that was just made, and how closely it follows torch."""

    export: Export
    parity: tuple[ParityCase, ...]


def export_onnx(
    segmenter: Segmenter,
    facts: ExportFacts,
    out: Path,
    *,
    network_size_hw: tuple[int, int],
    frames: Sequence[NDArray[np.uint8]] = (),
    precision: Precision = "fp32",
) -> ExportResult:
    """Write a segmenter as ONNX, prove that it says what torch says, and only then let it appear in `out`.

    Args:
        segmenter: Trained; stays as it is.
        facts: For the card.
        out: Folder of the export, made if missing; files of an earlier export are replaced.
        network_size_hw: Size that the graph resizes frames to, multiples of 32; best the size of training.
        frames: A few real RGB frames [H, W, 3], to compare on beside the drawn ones.
        precision: What the network computes in; fp16 is for GPUs, see `half_precision`. The weights beside the graph
            stay in fp32.

    Raises:
        ExportError: The size does not fit, torch cannot export the segmenter, or fp16 cannot hold its numbers.
        ParityError: onnxruntime disagrees with torch; nothing is left behind.
    """
    import onnx
    from safetensors.torch import save_file

    graph = ServingGraph(segmenter, network_size_hw)
    half = halved(graph) if precision == "fp16" else None
    golden = _golden_frame(graph, half)
    model = build_onnx(half or graph)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch_name:
        scratch = Path(scratch_name)
        # Cloned because safetensors refuses tensors that share memory.
        state = {key: value.contiguous().clone() for key, value in graph.segmenter.state_dict().items()}
        save_file(state, scratch / WEIGHTS_FILE)
        card = _card(graph, facts, golden, weights_sha256=sha256_of(scratch / WEIGHTS_FILE), precision=precision)
        attach_card(model, card)
        onnx.checker.check_model(model, full_check=True)
        onnx.save_model(model, scratch / ONNX_FILE)
        parity = check_parity(graph, OnnxModel(scratch / ONNX_FILE), frames, precision)
        if half is not None:
            card = card.model_copy(update={"agreement_with_fp32": min(case.label_agreement for case in parity)})
            attach_card(model, card)
            onnx.save_model(model, scratch / ONNX_FILE)
        del model
        manifest = Manifest.of(scratch / ONNX_FILE, card)
        (scratch / CARD_FILE).write_text(card.model_dump_json(indent=2), encoding="utf-8")
        (scratch / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
        _publish(scratch, out)
    return ExportResult(Export(out, card, manifest), parity)


def load_export(directory: Path) -> Export:
    """Open an export and check that it is whole.

    Raises:
        ContractError: A file is missing, or `model.onnx` is not what the manifest or the card beside it says.
    """
    for file in EXPORT_FILES:
        if not (directory / file).is_file():
            raise ContractError(f"no {file}, so this is no export", where=directory, remedy="Run `isthmus export`.")
    manifest = read_manifest(directory / MANIFEST_FILE)
    card = read_card(directory / ONNX_FILE)
    if Manifest.of(directory / ONNX_FILE, card) != manifest:
        raise ContractError(
            "is not the file that manifest.json describes", where=directory / ONNX_FILE, remedy="Export it again."
        )
    if sha256_of(directory / WEIGHTS_FILE) != card.weights_sha256:
        raise ContractError(
            "are not the weights that the model card names", where=directory / WEIGHTS_FILE, remedy="Export it again."
        )
    return Export(directory, card, manifest)


def read_manifest(path: Path) -> Manifest:
    """Read a `manifest.json`.

    Raises:
        ContractError: It is no manifest.
    """
    try:
        return Manifest.model_validate_json(path.read_text(encoding="utf-8"), strict=True)
    except (ValidationError, UnicodeDecodeError) as error:
        raise ContractError("this is no manifest of an export", where=path, remedy="Export the model again.") from error


def _golden_frame(graph: ServingGraph, half: ServingGraph | None) -> GoldenFrame:
    """A drawn street: a card travels far, and licences of data sets seldom allow passing on their frames."""
    image = golden_picture(drawn_streets(1, graph.network_size_hw)[0])
    labels, _ = graph.segment(image[None])
    return encode_golden(image, labels[0], None if half is None else undecided_pixels(graph, half, image))


def _card(
    graph: ServingGraph, facts: ExportFacts, golden: GoldenFrame, *, weights_sha256: str, precision: Precision
) -> ModelCard:
    normalisation = graph.segmenter.normalisation
    return ModelCard(
        name=facts.name,
        method=facts.method,
        decoder=facts.decoder,
        encoder=facts.encoder,
        label_space=card_label_space(CITYSCAPES19),
        network_size_hw=graph.network_size_hw,
        normalisation=CardNormalisation(mean=normalisation.mean, std=normalisation.std),
        datasets=facts.datasets,
        evaluations=facts.evaluations,
        step=facts.step,
        git_commit=facts.git_commit,
        config_hash=facts.config_hash,
        lock_hash=facts.lock_hash,
        weights_sha256=weights_sha256,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        precision=precision,
        golden=golden,
    )


def card_label_space(space: LabelSpace) -> CardLabelSpace:
    """A label space as a card carries it."""
    classes = tuple(CardClass(name=name, color=color) for name, color in zip(space.names, space.colors, strict=True))
    return CardLabelSpace(name=space.name, id_hash=space.id_hash, classes=classes)


def _publish(scratch: Path, out: Path) -> None:
    """Move finished files into place; the manifest goes first out and last in, so that a torn folder shows."""
    out.mkdir(exist_ok=True)
    (out / MANIFEST_FILE).unlink(missing_ok=True)
    for file in EXPORT_FILES:
        (scratch / file).replace(out / file)
