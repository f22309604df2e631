"""Discriminators: on patches of images, and on positions of feature maps.

Legend: `B` batch, `F` features, `H W` pixels, `h w` positions of a map.
"""

from torch import Tensor, nn

from isthmus.configuration import config
from isthmus.training.generators import initialise

_SLOPE = 0.2


@config
class PatchDiscriminatorConfig:
    """A PatchGAN discriminator (Isola et al., arXiv:1611.07004): each output judges one patch."""

    width: int = 64
    """Channels of the first layer."""
    layers: int = 3
    """Strided layers; 3 see patches of 70x70 pixels, 2 of 34x34."""
    instance_norm: bool = True
    """As published. False lets it judge brightness and tint of a whole frame, which normalisation takes away, and
    tells two looks apart within fewer steps: for short runs."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.layers < 1:
            raise ValueError(f"width is {self.width} and layers {self.layers}: write numbers above 0")


class PatchDiscriminator(nn.Module):
    """RGB in [0, 1], [B,3,H,W], to verdicts [B,outputs,h,w], unbounded (no sigmoid).

    Args:
        config: Width, depth and form.
        outputs: 1 tells real from translated; M tells which of M sources a patch came from.
    """

    def __init__(self, config: PatchDiscriminatorConfig, *, outputs: int = 1) -> None:
        super().__init__()
        width = config.width
        stages: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(_SLOPE, inplace=True)]
        for layer in range(1, config.layers + 1):
            wider = config.width * min(2**layer, 8)
            stride = 2 if layer < config.layers else 1
            stages += [
                nn.Conv2d(width, wider, 4, stride=stride, padding=1),
                *([nn.InstanceNorm2d(wider)] if config.instance_norm else []),
                nn.LeakyReLU(_SLOPE, inplace=True),
            ]
            width = wider
        self.stages = nn.Sequential(*stages, nn.Conv2d(width, outputs, 4, padding=1))
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Judge each patch; float32."""
        verdict: Tensor = self.stages(2.0 * image - 1.0)
        return verdict.float()


class FeatureDiscriminator(nn.Module):
    """Features [B,F,h,w] to logits [B,outputs,h,w]: positive for adapted sources, negative for the target.

    1x1 convolutions only, so that each position is judged by itself (FCNs in the wild, arXiv:1612.02649; CyCADA).

    Args:
        channels: F.
        width: Channels of the first hidden layer; the second has half as many.
        dropout: Of whole channels after each hidden layer.
        outputs: 1, or one for each class.
    """

    def __init__(self, channels: int, *, width: int = 1024, dropout: float = 0.5, outputs: int = 1) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            nn.Conv2d(channels, width, 1),
            nn.Dropout2d(dropout),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width // 2, 1),
            nn.Dropout2d(dropout),
            nn.ReLU(inplace=True),
            nn.Conv2d(width // 2, outputs, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Judge each position; float32."""
        logits: Tensor = self.stages(features)
        return logits.float()
