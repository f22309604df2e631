"""Does onnxruntime say what torch says? Asked before a model may leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.artifact import Precision
from isthmus.errors import ParityError
from isthmus.training.golden import drawn_streets
from isthmus.training.onnx_graph import ServingGraph
from isthmus.training.onnx_model import OnnxModel

BATCHES: Final = (1, 2)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far an export may be from torch in float32."""

    min_agreement: float
    """Least share of equal labels in each case, in [0, 1]; the rest are ties between two classes' logits."""
    max_confidence_gap: int
    """Largest difference of confidence, in steps of 1/255."""


TOLERANCES: Final[Mapping[Precision, Tolerance]] = {
    "fp32": Tolerance(0.999, 1),  # rounding of the confidence may fall either way
    "fp16": Tolerance(0.99, 13),  # trained networks kept 99.5 to 99.8 % of their labels; 13/255 is five hundredths
}


@dataclass(frozen=True, slots=True)
class ParityCase:
    """One comparison of torch and onnxruntime."""

    batch: int
    size_hw: tuple[int, int]
    label_agreement: float
    """Share of equal labels in [0, 1]."""
    confidence_gap: int
    """Largest absolute difference of confidence, 0..255."""
    tolerance: Tolerance
    """What is allowed."""

    @property
    def holds(self) -> bool:
        """Whether both tolerances are kept."""
        return (
            self.label_agreement >= self.tolerance.min_agreement
            and self.confidence_gap <= self.tolerance.max_confidence_gap
        )


def check_parity(
    graph: ServingGraph, model: OnnxModel, frames: Sequence[NDArray[np.uint8]] = (), precision: Precision = "fp32"
) -> tuple[ParityCase, ...]:
    """Compare on drawn streets at two batch sizes and three sizes, and on real frames at their own size.

    Args:
        graph: What was exported, in float32.
        model: What came of it.
        frames: Real frames [H, W, 3], each its own case.
        precision: Of the export; names the tolerance.

    Raises:
        ParityError: A case breaks a tolerance.
    """
    pictures = [drawn_streets(batch, size, seed=batch) for size in parity_sizes(graph) for batch in BATCHES]
    tolerance = TOLERANCES[precision]
    inputs = [*pictures, *(frame[None] for frame in frames)]
    cases = tuple(_compare(graph, model, images, tolerance) for images in inputs)
    broken = [case for case in cases if not case.holds]
    if broken:
        listed = "; ".join(
            f"batch {case.batch} at {case.size_hw[0]}x{case.size_hw[1]}: {case.label_agreement:.3%} equal labels, "
            f"confidence off by up to {case.confidence_gap}"
            for case in broken
        )
        raise ParityError(
            f"onnxruntime and torch disagree ({listed})",
            remedy=f"At least {tolerance.min_agreement:.1%} of labels must be equal and confidence within "
            f"{tolerance.max_confidence_gap}; nothing was written.",
        )
    return cases


def parity_sizes(graph: ServingGraph) -> tuple[tuple[int, int], ...]:
    """The network size, a larger one (the resize shrinks), and a smaller odd one that 32 does not divide."""
    height, width = graph.network_size_hw
    return (height, width), (height * 3 // 2, width * 3 // 2), (height * 3 // 4 + 5, width * 3 // 4 + 3)


def _compare(graph: ServingGraph, model: OnnxModel, images: NDArray[np.uint8], tolerance: Tolerance) -> ParityCase:
    labels, confidence = graph.segment(images)
    ort_labels, ort_confidence = model.predict(images)
    gap = np.abs(confidence.astype(np.int16) - ort_confidence.astype(np.int16))
    return ParityCase(
        batch=len(images),
        size_hw=(images.shape[1], images.shape[2]),
        label_agreement=float(np.mean(labels == ort_labels)),
        confidence_gap=int(gap.max()),
        tolerance=tolerance,
    )
