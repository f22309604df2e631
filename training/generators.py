"""Image-to-image generators: what translates one domain's frames into another's look.

Legend: `B` batch, `H W` pixels.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from isthmus.configuration import config

_STRIDE: Final = 4
"""Two halvings: inputs are padded to a multiple of this."""
_INIT_STD: Final = 0.02


@config
class GeneratorConfig:
    """A ResNet generator (Johnson et al., arXiv:1603.08155, as in CycleGAN, arXiv:1703.10593, section 7)."""

    width: int = 64
    """Channels of the first layer; the residual units have four times as many."""
    blocks: int = 9
    """Residual units: 9 for frames of 256 pixels and more, 6 for smaller ones."""
    residual: bool = False
    """True adds the output to the input and starts as the identity, which saves short runs the time to learn it;
    the published generators learn the whole image."""
    colors: bool = False
    """True lets it start as the map that gives the other domain's mean and contrast to each channel, instead of as
    the identity; the map is kept, and the network learns what is left. Needs `residual`."""
    dropout: float = 0.0
    """Inside residual units; the released code trains with 0.5 and leaves it on when it translates."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.blocks < 1:
            raise ValueError(f"width is {self.width} and blocks {self.blocks}: write numbers above 0")
        if self.colors and not self.residual:
            raise ValueError("colors is true without residual: a generator that learns whole images starts as no map")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout is {self.dropout}: write a number from 0 to below 1")


class ResnetGenerator(nn.Module):
    """RGB in [0, 1], [B,3,H,W], to RGB in [0, 1] of the same size: any size of at least 8 pixels.

    Two strided convolutions, residual units, two transposed convolutions; instance normalisation throughout, so that
    a frame's translation does not depend on its batch.

    *Deviations* from the released MADAN: images are in [0, 1] at both ends; dropout is off unless configured;
    `residual` and `colors` are ours.

    Args:
        config: Width, depth and form.
    """

    color_scale: Tensor
    color_shift: Tensor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        width = config.width
        self.residual = config.residual
        self.checkpointing = False
        """Whether residual units are computed again in the backward pass instead of being kept; same gradients."""
        self.encoder = nn.Sequential(
            nn.ReflectionPad2d(3),
            nn.Conv2d(3, width, 7),
            *_norm(width),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            *_norm(2 * width),
            nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1),
            *_norm(4 * width),
        )
        self.units = nn.ModuleList(_ResidualUnit(4 * width, config.dropout) for _ in range(config.blocks))
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(4 * width, 2 * width, 3, stride=2, padding=1, output_padding=1),
            *_norm(2 * width),
            nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1),
            *_norm(width),
            nn.ReflectionPad2d(3),
        )
        self.head = nn.Conv2d(width, 3, 7)
        self.colors = config.colors
        if config.colors:
            self.register_buffer("color_scale", torch.ones(3, 1, 1))
            self.register_buffer("color_shift", torch.zeros(3, 1, 1))
        initialise(self)
        if self.residual:
            nn.init.zeros_(self.head.weight)

    def set_colors(self, scale: Tensor, shift: Tensor) -> None:
        """Where it starts: [3] factors of the channels, and [3] that is added, of values in [0, 1]."""
        self.color_scale.copy_(scale.view(3, 1, 1))
        self.color_shift.copy_(shift.view(3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Translate."""
        height, width = image.shape[-2:]
        signed = 2.0 * image - 1.0
        padded = functional.pad(signed, (0, -width % _STRIDE, 0, -height % _STRIDE), mode="reflect")
        hidden = self.encoder(padded)
        for unit in self.units:
            if self.checkpointing and torch.is_grad_enabled():
                hidden = checkpoint(unit, hidden, use_reentrant=False)
            else:
                hidden = unit(hidden)
        change = torch.tanh(self.head(self.decoder(hidden)).float())[..., :height, :width]
        start = 2.0 * (image * self.color_scale + self.color_shift) - 1.0 if self.colors else signed
        return 0.5 * (_clipped(start + change) if self.residual else change) + 0.5


class _ResidualUnit(nn.Module):
    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            *_norm(channels),
            *([nn.Dropout(dropout)] if dropout else []),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, hidden: Tensor) -> Tensor:
        change: Tensor = self.body(hidden)
        return hidden + change


def initialise(network: nn.Module) -> None:
    """Draw the weights of all convolutions from N(0, 0.02²) and zero their biases, as GANs of this family start."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, _INIT_STD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _norm(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)


def _clipped(signed: Tensor) -> Tensor:
    """Values kept in [-1, 1]; gradients pass as if they were not, or burnt-out skies could never darken again."""
    return signed + (signed.clamp(-1.0, 1.0) - signed).detach()
