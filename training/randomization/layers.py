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

    Gradients are averaged over processes only for what goes through the wrapped module's forward pass. Stages are
    caught by a hook that stays on the encoder, since torch.compile gives up on one that comes and goes; it keeps
    nothing of passes that do not begin here.

    Args:
        segmenter: Shares its weights.
        names: Of the layers beside the logits, for example `encoder`.

    Raises:
        ConfigurationError: The encoder has no such stage, or nothing in it is learnt.
    """

    def __init__(self, segmenter: Segmenter, names: Sequence[str]) -> None:
        super().__init__()
        self.segmenter = segmenter
        self._numbers = [_number_of(name) for name in names]
        self._watching = False
        self._stages: Sequence[Tensor] = ()
        if names:
            segmenter.encoder.register_forward_hook(self._see)
            self._check(names)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """RGB [B,3,H,W] in [0, 1] to logits as `Segmenter.forward_head` gives them, then each layer [B,C,h,w]."""
        logits, stages = self._watched(image)
        return (logits, *(stages[number] for number in self._numbers))

    def _watched(self, image: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """Logits, and all that the encoder gave on the way to them; nothing where no layer is asked for."""
        self._watching = True
        try:
            logits = self.segmenter.forward_head(image)
        finally:
            self._watching = False
        stages, self._stages = self._stages, ()
        return logits, stages

    def _see(self, _encoder: nn.Module, _given: Any, stages: Sequence[Tensor]) -> None:
        if self._watching:
            self._stages = stages

    def _check(self, names: Sequence[str]) -> None:
        was_training = self.segmenter.training
        self.segmenter.eval()
        mean = self.segmenter.mean
        with torch.enable_grad():
            _, stages = self._watched(mean.expand(1, 3, _PROBE_SIDE, _PROBE_SIDE))
        self.segmenter.train(was_training)
        # Encoders give the image itself as stage 0, and some an empty stage 1: no weight stands before either.
        learnt = [f"encoder_{number}" for number, stage in enumerate(stages) if stage.requires_grad]
        for name, number in zip(names, self._numbers, strict=True):
            if number >= len(stages):
                problem = f"the encoder has {len(stages)} stages, so none is called {name!r}"
            elif not stages[number].requires_grad:
                problem = f"nothing is learnt before {name!r} of this encoder, so that nothing could make it alike"
            else:
                continue
            raise ConfigurationError(
                problem,
                where="method.consistency.layers",
                remedy=f"Write encoder for the last stage, or one of {', '.join(learnt)}.",
            )


def _number_of(name: str) -> int:
    found = _STAGE.fullmatch(name)
    assert found is not None, "the configuration has seen to it"
    number = found["number"]
    return -1 if number is None else int(number)
