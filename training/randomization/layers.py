"""The layers that consistency acts on, out of one forward pass.

Legend: `B` batch, `C` channels, `h w` cells of a map.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from isthmus.errors import ConfigurationError
from isthmus.training.segmenters import Segmenter

LOGITS: Final = "logits"
"""Name of the class scores; consistency sees their softmax."""
_STAGE: Final = re.compile(r"encoder(?:_(?P<number>\d+))?")
_PROBE_SIDE: Final = 64


def is_layer(name: str) -> bool:
    """Whether `name` is `logits`, `encoder` (its last stage) or `encoder_N`."""
    return name == LOGITS or _STAGE.fullmatch(name) is not None


class WithLayers(nn.Module):
    """A segmenter whose forward pass gives named layers as well: what goes to `Runtime.parallel`.

    Gradients are averaged over processes only for what goes through the wrapped module's forward pass.

    Args:
        segmenter: Shares its weights.
        names: Of the layers beside the logits, for example `encoder`.

    Raises:
        ConfigurationError: The encoder has no such stage.
    """

    def __init__(self, segmenter: Segmenter, names: Sequence[str]) -> None:
        super().__init__()
        self.segmenter = segmenter
        self._numbers = [_number_of(name) for name in names]
        if names:
            self._check(names)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """RGB [B,3,H,W] in [0, 1] to logits as `Segmenter.forward_head` gives them, then each layer [B,C,h,w]."""
        if not self._numbers:
            return (self.segmenter.forward_head(image),)
        logits, stages = self._stages(image)
        return (logits, *(stages[number] for number in self._numbers))

    def _stages(self, image: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """Logits, and all that the encoder gave on the way to them."""
        seen: list[Sequence[Tensor]] = []

        def see(_module: nn.Module, _given: Any, stages: Sequence[Tensor]) -> None:
            seen.append(stages)

        # For this pass alone: the segmenter is judged, saved and exported without it.
        handle = self.segmenter.encoder.register_forward_hook(see)
        try:
            logits = self.segmenter.forward_head(image)
        finally:
            handle.remove()
        return logits, seen[0]

    @torch.no_grad()
    def _check(self, names: Sequence[str]) -> None:
        was_training = self.segmenter.training
        self.segmenter.eval()
        mean = self.segmenter.mean
        _, stages = self._stages(mean.expand(1, 3, _PROBE_SIDE, _PROBE_SIDE))
        self.segmenter.train(was_training)
        for name, number in zip(names, self._numbers, strict=True):
            if number >= len(stages):
                raise ConfigurationError(
                    f"the encoder has {len(stages)} stages, so none is called {name!r}",
                    where="method.consistency.layers",
                    remedy=f"Write encoder for the last, or encoder_0 to encoder_{len(stages) - 1}.",
                )


def _number_of(name: str) -> int:
    found = _STAGE.fullmatch(name)
    assert found is not None, "the configuration has seen to it"
    number = found["number"]
    return -1 if number is None else int(number)
