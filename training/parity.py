"""Does onnxruntime say what torch says? Asked before a model may leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import ParityError
from isthmus.training.golden import drawn_streets
from isthmus.training.onnx_graph import ServingGraph
from isthmus.training.onnx_model import OnnxModel

MIN_AGREEMENT: Final = 0.999
"""Least share of equal labels in each case; the rest are ties between two classes' logits."""
MAX_CONFIDENCE_GAP: Final = 1
"""Largest difference of confidence, in steps of 1/255: rounding may fall either way."""
BATCHES: Final = (1, 2)


@dataclass(frozen=True, slots=True)
class ParityCase:
    """One comparison of torch and onnxruntime."""

    batch: int
    size_hw: tuple[int, int]
    label_agreement: float
    """Share of equal labels in [0, 1]."""
    confidence_gap: int
    """Largest absolute difference of confidence, 0..255."""

    @property
    def holds(self) -> bool:
        """Whether both tolerances are kept."""
        return self.label_agreement >= MIN_AGREEMENT and self.confidence_gap <= MAX_CONFIDENCE_GAP


def check_parity(
    graph: ServingGraph, model: OnnxModel, frames: Sequence[NDArray[np.uint8]] = ()
) -> tuple[ParityCase, ...]:
    """Compare on drawn streets at two batch sizes and three sizes, and on real frames at their own size.

    Args:
        graph: What was exported.
        model: What came of it.
        frames: Real frames [H, W, 3], each its own case.

    Raises:
        ParityError: A case breaks a tolerance.
    """
    pictures = [drawn_streets(batch, size, seed=batch) for size in parity_sizes(graph) for batch in BATCHES]
    cases = tuple(_compare(graph, model, images) for images in [*pictures, *(frame[None] for frame in frames)])
    broken = [case for case in cases if not case.holds]
    if broken:
        listed = "; ".join(
            f"batch {case.batch} at {case.size_hw[0]}x{case.size_hw[1]}: {case.label_agreement:.3%} equal labels, "
            f"confidence off by up to {case.confidence_gap}"
            for case in broken
        )
        raise ParityError(
            f"onnxruntime and torch disagree ({listed})",
            remedy=f"At least {MIN_AGREEMENT:.1%} of labels must be equal and confidence within {MAX_CONFIDENCE_GAP}; "
            "nothing was written.",
        )
    return cases


def parity_sizes(graph: ServingGraph) -> tuple[tuple[int, int], ...]:
    """The network size, a larger one (the resize shrinks), and a smaller odd one that 32 does not divide."""
    height, width = graph.network_size_hw
    return (height, width), (height * 3 // 2, width * 3 // 2), (height * 3 // 4 + 5, width * 3 // 4 + 3)


def _compare(graph: ServingGraph, model: OnnxModel, images: NDArray[np.uint8]) -> ParityCase:
    labels, confidence = graph.segment(images)
    ort_labels, ort_confidence = model.predict(images)
    gap = np.abs(confidence.astype(np.int16) - ort_confidence.astype(np.int16))
    return ParityCase(
        batch=len(images),
        size_hw=(images.shape[1], images.shape[2]),
        label_agreement=float(np.mean(labels == ort_labels)),
        confidence_gap=int(gap.max()),
    )
