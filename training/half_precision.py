"""Serving graphs for GPUs: the network in fp16, everything around it in fp32.

Weights and activations take half the memory, and tensor cores are made for them. Resizing, normalisation, softmax,
upsampling and argmax stay in fp32: they cost little, and fp16 has 11 bits for a difference of logits.

Rounding moves each logit a little, so labels flip where two classes are nearly equal, and other GPUs flip other pixels
of that border. A golden frame compared there would either fail good machines or need so loose a limit that
it lets bad ones pass. So these pixels are found here, and left out; on all others fp16 must say what fp32 says.
"""

import copy
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from isthmus.errors import ExportError
from isthmus.training.onnx_graph import ServingGraph

SAFETY: Final = 2.0
"""Another machine may round this many times as far as this one did."""
MIN_DECIDED: Final = 0.5
"""Least share of the golden frame that must be left to compare."""


class HalfNetwork(nn.Module):
    """A segmentation network in fp16 between fp32 images and fp32 logits.

    Args:
        network: Turned to fp16 in place.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.half()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images [B,3,H,W] → features fp16 [B,F,h',w'] and logits fp32 [B,C,h,w]."""
        features, logits = self.network(image.half())
        return features, logits.float()


def halved(graph: ServingGraph) -> ServingGraph:
    """A copy of `graph` whose network computes in fp16."""
    half = copy.deepcopy(graph)
    half.segmenter.network = HalfNetwork(half.segmenter.network)
    return half


@torch.inference_mode()
def undecided_pixels(graph: ServingGraph, half: ServingGraph, image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where fp16 may choose another class than fp32: the two best logits are closer than rounding moves them.

    Args:
        graph: In fp32.
        half: What `halved` made of it.
        image: RGB [H, W, 3].

    Returns:
        [H, W], True where the label is not certain.

    Raises:
        ExportError: fp16 overflows, or leaves less than half of the pixels certain.
    """
    batch = torch.tensor(image[None])
    exact, rounded = graph.upsampled(graph.head_logits(batch), batch), half.upsampled(half.head_logits(batch), batch)
    if not bool(rounded.isfinite().all()):
        raise ExportError(
            "the network's numbers are too large for fp16 (above 65504)", remedy="Export it with --precision fp32."
        )
    moved = float((exact - rounded).abs().max())
    best = exact.topk(2, dim=1).values[0]
    undecided = (best[0] - best[1] <= 2 * SAFETY * moved).numpy()  # either of the two may move
    if (share := 1 - float(undecided.mean())) < MIN_DECIDED:
        raise ExportError(
            f"rounding to fp16 moves logits by {moved:.2g}, which leaves the label certain on {share:.0%} of the "
            f"golden frame; {MIN_DECIDED:.0%} are required",
            remedy="Train longer, or export it with --precision fp32.",
        )
    return undecided
