"""An exported model in onnxruntime on the CPU, as parity and the promotion gate run it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.artifact import INPUT_NAME, METADATA_KEY, OUTPUT_CONFIDENCE, OUTPUT_LABELS, ModelCard
from isthmus.errors import ContractError
from isthmus.training.golden import decode_golden, golden_agreement


class OnnxModel:
    """A session over one `model.onnx`.

    Args:
        path: The ONNX file.
        threads: Threads of onnxruntime; 0 takes all cores.

    Raises:
        ContractError: onnxruntime cannot load it, its inputs or outputs are not the contract's, or it has no card.
    """

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors only: warnings here are about graph clean-ups
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common base
            raise ContractError(f"onnxruntime cannot load it ({_first_line(error)})", where=path) from error
        self.path = path
        _check_interface(self._session, path)
        card = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if card is None:
            raise ContractError("it carries no model card", where=path, remedy="Export it with `isthmus export`.")
        self.card = ModelCard.from_json(card, where=path)

    def predict(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Labels [B, H, W] and confidence [B, h, w] of RGB frames [B, H, W, 3]."""
        labels, confidence = self._session.run([OUTPUT_LABELS, OUTPUT_CONFIDENCE], {INPUT_NAME: images})
        return labels, confidence

    def golden_agreement(self) -> float:
        """Share of the golden frame's decided pixels with the labels that the card says torch gave, in [0, 1].

        Frame and labels travel in the file itself: this proves that the runtime here computes what training exported,
        not that the file equals torch's network, which `isthmus export` checks when both are at hand.
        """
        image, _ = decode_golden(self.card.golden)
        labels, _ = self.predict(image[None])
        return golden_agreement(self.card.golden, labels[0])


def read_card(onnx_file: Path) -> ModelCard:
    """The card inside an ONNX file, without a session.

    Raises:
        ContractError: The file is no ONNX model, or has no valid card.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(onnx_file, load_external_data=False)
    except (OSError, DecodeError) as error:
        raise ContractError(f"cannot be read as ONNX ({error})", where=onnx_file) from error
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            return ModelCard.from_json(entry.value, where=onnx_file)
    raise ContractError("it carries no model card", where=onnx_file, remedy="Export it with `isthmus export`.")


def _check_interface(session: Any, path: Path) -> None:
    got = [(item.name, item.type, len(item.shape)) for item in [*session.get_inputs(), *session.get_outputs()]]
    wanted = [
        (INPUT_NAME, "tensor(uint8)", 4),
        (OUTPUT_LABELS, "tensor(uint8)", 3),
        (OUTPUT_CONFIDENCE, "tensor(uint8)", 3),
    ]
    if got != wanted:
        raise ContractError(f"inputs and outputs are {got}, expected {wanted}", where=path)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]
