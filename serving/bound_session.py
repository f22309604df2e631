"""Sessions with fixed buffers on the device: nothing is allocated while frames come in.

A run by name allocates inputs and outputs each time, and on a GPU each allocation may wait for the device. Here every
shape of a batch gets its buffers once (onnxruntime's IOBinding), and later batches of that shape are copied into them.
The scheduler pads batches to few sizes and cameras have few resolutions, so that few shapes occur.

Each batch size has a session of its own: onnxruntime's CUDA convolutions are prepared for one shape at a time, and a
session whose batches change their size prepares all of them again each time. Frames of other resolutions are scaled to
the network's size before the first convolution, and need no session of their own.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from isthmus.artifact import INPUT_NAME, OUTPUT_CONFIDENCE, OUTPUT_LABELS


@dataclass(frozen=True)
class _Buffers:
    session: Any  # of that batch size
    image: Any  # an onnxruntime.OrtValue [B, H, W, 3] on the device
    binding: Any  # an onnxruntime.IOBinding of that image and of the outputs


class BoundSession:
    """Runs a session through buffers that stay in place. Not safe for two threads at once.

    Args:
        sessions: onnxruntime sessions of one model by batch size; other sizes go to the largest one's.
        device: Where the buffers lie: `cuda` or `cpu`.
        max_shapes: How many shapes keep their buffers; the one that was used longest ago goes first.
    """

    def __init__(self, sessions: Mapping[int, Any], device: str, max_shapes: int) -> None:
        self._sessions = sessions
        self._device = device
        self._max_shapes = max_shapes
        self._bound: OrderedDict[tuple[int, ...], _Buffers] = OrderedDict()

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes [B, H, W, 3] that have buffers, the one used longest ago first."""
        return tuple(self._bound)

    def run(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Labels [B, H, W] and confidence [B, h, w] of RGB images [B, H, W, 3], all uint8.

        The result is a copy: the next batch does not change it.
        """
        buffers = self._bound.get(images.shape)
        if buffers is None:
            return self._bind_and_run(images)
        self._bound.move_to_end(images.shape)
        buffers.image.update_inplace(np.ascontiguousarray(images))
        return self._run(buffers)

    def _bind_and_run(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        while len(self._bound) >= self._max_shapes:  # first, so that its memory can be taken
            self._bound.popitem(last=False)
        session = self._sessions.get(len(images)) or self._sessions[max(self._sessions)]
        image = onnxruntime.OrtValue.ortvalue_from_shape_and_type(images.shape, np.uint8, self._device, 0)
        image.update_inplace(np.ascontiguousarray(images))
        buffers = _Buffers(session, image, session.io_binding())
        buffers.binding.bind_ortvalue_input(INPUT_NAME, image)
        for name in (OUTPUT_LABELS, OUTPUT_CONFIDENCE):
            buffers.binding.bind_output(name, self._device)
        result = self._run(buffers)
        # What onnxruntime has allocated for the first batch is the buffer of all later ones.
        for name, value in zip((OUTPUT_LABELS, OUTPUT_CONFIDENCE), buffers.binding.get_outputs(), strict=True):
            buffers.binding.bind_ortvalue_output(name, value)
        self._bound[images.shape] = buffers
        return result

    def _run(self, buffers: _Buffers) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        buffers.binding.synchronize_inputs()
        buffers.session.run_with_iobinding(buffers.binding)
        buffers.binding.synchronize_outputs()
        labels, confidence = buffers.binding.copy_outputs_to_cpu()
        return labels, confidence
