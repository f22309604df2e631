"""The graph that leaves training: plain RGB bytes in, labels out, everything between inside.

Legend: `B` batch, `C` classes, `H W` pixels of the frame, `h w` pixels of the head.

Rules of the graph, the same in torch and in onnxruntime (the parity check proves it):

1. Frames are resized to the network size bilinearly with half-pixel centres and antialiasing: where a side shrinks,
   the triangle filter widens with the scale, as Pillow's BILINEAR does. ONNX calls it Resize with antialias=1.
2. Logits are upsampled bilinearly to the frame's size and only then reduced by argmax, so that borders between
   classes are smooth.
3. Confidence comes from the softmax at the head's resolution: a softmax over the full size would cost more than the
   network.
"""

import copy
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from isthmus.artifact import INPUT_NAME, METADATA_KEY, OUTPUT_CONFIDENCE, OUTPUT_LABELS, ModelCard
from isthmus.errors import ExportError
from isthmus.training.segmenters import SIZE_MULTIPLE, Segmenter

if TYPE_CHECKING:
    import onnx

AXES: Final = ("batch", "height", "width")
"""Names of the input's dynamic axes."""


class ServingGraph(nn.Module):
    """A segmenter between uint8 frames and uint8 labels; what is exported, and what torch is compared by.

    Args:
        segmenter: Copied to the CPU, in float32 and evaluation mode; the original stays as it is.
        network_size_hw: Height and width that frames are resized to, multiples of 32.

    Raises:
        ExportError: The network size is no multiple of 32.
    """

    def __init__(self, segmenter: Segmenter, network_size_hw: tuple[int, int]) -> None:
        super().__init__()
        if any(side <= 0 or side % SIZE_MULTIPLE for side in network_size_hw):
            raise ExportError(
                f"network size {network_size_hw[0]}x{network_size_hw[1]} is no multiple of {SIZE_MULTIPLE}",
                remedy=f"Choose a height and a width that {SIZE_MULTIPLE} divides, near the size of training.",
            )
        self.segmenter = copy.deepcopy(segmenter).cpu().float().eval()
        self.network_size_hw = network_size_hw

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Segment frames.

        Args:
            image: uint8 [B, H, W, 3], RGB.

        Returns:
            Labels uint8 [B, H, W] in train ids, and confidence uint8 [B, h, w] = round(255 · max softmax).
        """
        logits = self.head_logits(image)
        confidence = torch.round(logits.softmax(dim=1).amax(dim=1) * 255).to(torch.uint8)
        return self.upsampled(logits, image).argmax(dim=1).to(torch.uint8), confidence

    def head_logits(self, image: Tensor) -> Tensor:
        """Logits float32 [B, C, h, w] of frames uint8 [B, H, W, 3], at the head's resolution."""
        frame = image.permute(0, 3, 1, 2).float() / 255
        frame = functional.interpolate(
            frame, self.network_size_hw, mode="bilinear", align_corners=False, antialias=True
        )
        return self.segmenter.forward_head(frame)

    def upsampled(self, logits: Tensor, image: Tensor) -> Tensor:
        """Logits [B, C, h, w] at the size [B, C, H, W] of the frames [B, H, W, 3] that they belong to."""
        size_hw = (image.shape[1], image.shape[2])
        return functional.interpolate(logits, size_hw, mode="bilinear", align_corners=False)

    @torch.inference_mode()
    def segment(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Like `forward`, from arrays to arrays: torch's answer, that others are compared with."""
        labels, confidence = self(torch.tensor(images))  # copied: decoded images are often read-only
        return labels.numpy(), confidence.numpy()


def build_onnx(graph: ServingGraph) -> "onnx.ModelProto":
    """The graph as an ONNX model whose input axes are named batch, height and width.

    Raises:
        ExportError: torch cannot express the segmenter in ONNX.
    """
    height, width = graph.network_size_hw
    # Sizes that differ from each other and from the network's: torch takes equal sizes for one symbol, and an example
    # batch of 1 for a constant.
    example = torch.zeros((2, height + 8, width + 24, 3), dtype=torch.uint8)
    dynamic = torch.export.Dim.DYNAMIC
    try:
        program = torch.onnx.export(
            graph.eval(),
            (example,),
            dynamo=True,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_LABELS, OUTPUT_CONFIDENCE],
            dynamic_shapes={INPUT_NAME: {0: dynamic, 1: dynamic, 2: dynamic}},
            external_data=False,
            verbose=False,
        )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        raise ExportError(
            f"torch cannot export this segmenter ({str(error).strip().splitlines()[0]})",
            remedy="Another decoder or encoder may do; fpn, deeplabv3plus, upernet and segformer are tested.",
        ) from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    name_axes(model)
    return model


def name_axes(model: "onnx.ModelProto") -> None:
    """Rename the exporter's symbols (`s77`) to batch, height and width wherever shapes are stated."""
    symbols = [dim.dim_param for dim in model.graph.input[0].type.tensor_type.shape.dim[:3]]
    if len(set(symbols)) != len(AXES) or not all(symbols):
        raise ExportError(f"the exported input's axes are {symbols}, not three free ones", remedy="Report this.")
    names = dict(zip(symbols, AXES, strict=True))
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = re.sub(r"\w+", lambda word: names.get(word[0], word[0]), dim.dim_param)


def attach_card(model: "onnx.ModelProto", card: ModelCard) -> None:
    """Put the card into the model's metadata, in place of whatever the exporter left there."""
    del model.metadata_props[:]
    model.metadata_props.add(key=METADATA_KEY, value=card.to_json())
    model.producer_name = "isthmus"
    strip_notes(model)


def strip_notes(model: Any) -> None:
    """Drop the exporter's notes on each node: stack traces with paths of the machine that exported."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer]:
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
