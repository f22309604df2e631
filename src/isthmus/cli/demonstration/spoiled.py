"""A model that is bad on purpose, to show that the gate notices: the champion's own graph with its classes mixed up.

Everything about it is in order but what it says: its golden frame agrees, its card is valid, it is fast and small. It
is named for what it is.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np

from isthmus.artifact import OUTPUT_LABELS, Manifest, ModelCard
from isthmus.training.export import (
    CARD_FILE,
    MANIFEST_FILE,
    ONNX_FILE,
    WEIGHTS_FILE,
    load_export,
)
from isthmus.training.golden import decode_golden, encode_golden
from isthmus.training.onnx_graph import attach_card
from isthmus.training.onnx_model import OnnxModel

SPOILED_NAME: Final = "labels shuffled on purpose"
_IDS: Final = 256
_UNSHUFFLED: Final = "labels_before_shuffling"


def shuffle_labels(export_dir: Path, out: Path, *, seed: int = 0) -> None:
    """Write a copy of an export whose graph answers with another class for each class.

    Args:
        export_dir: A whole export; stays as it is.
        out: Folder of the copy; files of an earlier one are replaced.
        seed: Of the order of classes.

    Raises:
        ContractError: `export_dir` holds no whole export.
    """
    import onnx

    export = load_export(export_dir)
    model = onnx.load(export.onnx_file)
    _insert_shuffle(model, _shuffled_ids(len(export.card.label_space.classes), seed))
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST_FILE).unlink(missing_ok=True)  # first out and last in, as exports do
    (out / WEIGHTS_FILE).write_bytes((export_dir / WEIGHTS_FILE).read_bytes())
    card = export.card.model_copy(update={"name": SPOILED_NAME})
    _write(model, card, out)
    image, _ = decode_golden(card.golden)
    labels, _ = OnnxModel(out / ONNX_FILE).predict(image[None])
    card = card.model_copy(update={"golden": encode_golden(image, labels[0])})
    _write(model, card, out)
    (out / CARD_FILE).write_text(card.model_dump_json(indent=2), encoding="utf-8")
    manifest = Manifest.of(out / ONNX_FILE, card)
    (out / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")


def _shuffled_ids(num_classes: int, seed: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """A table of 256 ids in which no class stays what it was; 255 (unlabelled) does."""
    table = np.arange(_IDS, dtype=np.uint8)
    order = np.random.default_rng(seed).permutation(num_classes)
    table[order] = np.roll(order, 1)  # one cycle through all classes: nothing keeps its place
    return table


def _insert_shuffle(model: Any, table: "np.ndarray[Any, np.dtype[np.uint8]]") -> None:
    """Look each label up in a table, as the graph's last step."""
    from onnx import TensorProto, helper, numpy_helper

    for node in model.graph.node:
        node.output[:] = [_UNSHUFFLED if name == OUTPUT_LABELS else name for name in node.output]
        node.input[:] = [_UNSHUFFLED if name == OUTPUT_LABELS else name for name in node.input]
    model.graph.initializer.append(numpy_helper.from_array(table, "shuffled_ids"))
    model.graph.node.extend(
        [
            helper.make_node("Cast", [_UNSHUFFLED], ["label_indices"], to=TensorProto.INT64),
            helper.make_node("Gather", ["shuffled_ids", "label_indices"], [OUTPUT_LABELS]),
        ]
    )


def _write(model: Any, card: ModelCard, out: Path) -> None:
    import onnx

    attach_card(model, card)
    onnx.save_model(model, out / ONNX_FILE)
