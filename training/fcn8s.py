"""FCN8s on VGG16 (Long et al., CVPR 2015; arXiv:1411.4038), the segmenter of both papers' tables."""

from typing import Final

from torch import Tensor, nn
from torch.nn import functional

_STAGES: Final = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_POOL4_SCALE: Final = 0.01
_POOL3_SCALE: Final = 0.0001


class Vgg16Encoder(nn.Module):
    """VGG16 (Simonyan and Zisserman, 2015; configuration D) with its first two dense layers as convolutions.

    Keys of the convolutions are torchvision's (`features.N`); `fc6` and `fc7` are its `classifier.0` and `.3`.

    Args:
        fc_channels: Width of fc6 and fc7; 4096 in the paper.
    """

    def __init__(self, fc_channels: int = 4096) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        pools = []
        for stage in _STAGES:
            for width in stage:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            pools.append(len(layers))
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.fc6 = nn.Conv2d(512, fc_channels, 7, padding=3)
        self.fc7 = nn.Conv2d(fc_channels, fc_channels, 1)
        self._pool3, self._pool4 = pools[2], pools[3]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """pool3 [B,256,H/8,W/8], pool4 [B,512,H/16,W/16] and fc7 [B,F,H/32,W/32]."""
        kept = {}
        x = image
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in (self._pool3, self._pool4):
                kept[index] = x
        for dense in (self.fc6, self.fc7):
            x = functional.dropout2d(functional.relu(dense(x)), 0.5, self.training)
        return kept[self._pool3], kept[self._pool4], x


class Fcn8s(nn.Module):
    """FCN8s, trained "at once": skip scores scaled by 0.01 (pool4) and 0.0001 (pool3) and started at zero.

    Deviations: fc6 is padded by 3 where the paper pads the image by 100, so that score maps lie on the image's
    grid without crops; bilinear upsampling is an interpolation rather than a frozen transposed convolution.
    Both skip scores are ordinary parameters: every checkpoint holds them.

    Args:
        num_classes: Number of logits a pixel.
        fc_channels: Width of fc6 and fc7; 4096 in the paper.
    """

    def __init__(self, num_classes: int, fc_channels: int = 4096) -> None:
        super().__init__()
        self.encoder = Vgg16Encoder(fc_channels)
        self.feature_channels = fc_channels
        self.score = nn.Conv2d(fc_channels, num_classes, 1)
        self.score_pool4 = nn.Conv2d(512, num_classes, 1)
        self.score_pool3 = nn.Conv2d(256, num_classes, 1)
        nn.init.normal_(self.score.weight, std=0.01)
        for started_at_zero in (
            self.score.bias,
            self.score_pool4.weight,
            self.score_pool4.bias,
            self.score_pool3.weight,
            self.score_pool3.bias,
        ):
            assert started_at_zero is not None
            nn.init.zeros_(started_at_zero)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """fc7 features [B,F,H/32,W/32] and logits [B,C,H/8,W/8]."""
        pool3, pool4, features = self.encoder(image)
        logits = _double(self.score(features)) + self.score_pool4(pool4 * _POOL4_SCALE)
        return features, _double(logits) + self.score_pool3(pool3 * _POOL3_SCALE)


def _double(scores: Tensor) -> Tensor:
    return functional.interpolate(scores, scale_factor=2.0, mode="bilinear", align_corners=False)
