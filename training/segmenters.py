"""Segmenters: an encoder, a decoder and a classifier behind one interface for training, evaluation and export.

Legend: `B` batch, `C` classes, `F` features, `H W` pixels of the image, `h w` pixels of the head.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Final, Literal, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from isthmus.configuration import config
from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.errors import ConfigurationError
from isthmus.training import pretrained
from isthmus.training.fcn8s import Fcn8s

NUM_CLASSES: Final = CITYSCAPES19.num_classes
"""All segmenters predict the 19 train ids; a data set folds them into its own classes."""
SIZE_MULTIPLE: Final = 32
"""Inputs are padded to a multiple of this, the deepest stride of any encoder here."""
Decoder = Literal["fpn", "deeplabv3plus", "upernet", "segformer", "unet", "fcn8s"]
POOLING_DECODERS: Final = frozenset({"deeplabv3plus", "upernet"})
"""Those that pool whole frames to one pixel and normalise it over the batch: in training they need two frames."""
_SMP_CLASS: Final[Mapping[str, str]] = {
    "fpn": "FPN",
    "deeplabv3plus": "DeepLabV3Plus",
    "upernet": "UPerNet",
    "segformer": "Segformer",
    "unet": "Unet",
}


@config
class SegmenterConfig:
    """Which network to train and where its encoder's weights come from."""

    decoder: Decoder
    """Head over the encoder; `fcn8s` brings its own encoder, VGG16."""
    encoder: str
    """Any encoder name of segmentation-models-pytorch, `tu-NAME` for timm's; `vgg16` for `fcn8s`."""
    weights: str
    """`packaged` (EfficientNet-Lite0 from its package), `hub` (download), `file:PATH` or `none`."""

    def __post_init__(self) -> None:
        if self.weights not in {"packaged", "hub", "none"} and not self.weights.startswith("file:"):
            raise ValueError(f"weights is {self.weights!r}: write packaged, hub, none or file:PATH")
        if self.decoder == "fcn8s" and self.encoder != "vgg16":
            raise ValueError(f"decoder fcn8s is built on vgg16, not on {self.encoder!r}: write encoder: vgg16")
        if self.weights == "packaged" and self.encoder != pretrained.PACKAGED_ENCODER:
            raise ValueError(
                f"weights: packaged exist for {pretrained.PACKAGED_ENCODER} only, not for {self.encoder!r}: "
                "write hub or file:PATH"
            )


class SegmenterOutput(NamedTuple):
    """What a method may want of one forward pass; a tuple, so that DistributedDataParallel finds the tensors in it."""

    features: Tensor
    """[B, F, h', w'] float: the last feature map before the classifier (F_f in MADAN)."""
    logits: Tensor
    """[B, C, h, w] float32 at the head's own resolution, over the padded image."""


class SegmentationNetwork(Protocol):
    """What a segmenter wraps: normalised images in, features and low-resolution logits out."""

    encoder: nn.Module
    feature_channels: int
    """Channels F of the features."""

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """[B,3,H,W], sides multiples of 32 → features [B,F,h',w'] and logits [B,C,h,w]."""
        ...


class SmpNetwork(nn.Module):
    """A model of segmentation-models-pytorch, without the upsampling at its end.

    Args:
        model: Any of its decoders with `encoder`, `decoder` and `segmentation_head`.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder: nn.Module = model.encoder
        self.decoder: nn.Module = model.decoder
        # The head is (convolution, upsampling, activation); we upsample ourselves, where export can leave it out.
        self.classifier: nn.Module = model.segmentation_head[0]
        self.feature_channels = int(model.segmentation_head[0].in_channels)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Features before the classifier, and logits at the same resolution."""
        features = self.decoder(self.encoder(image))
        return features, self.classifier(features)


class Segmenter(nn.Module):
    """RGB in [0, 1] to logits at the same size; normalises by itself and takes any size.

    Sides that are no multiple of 32 are padded right and below by repeating the border, and the logits cropped.

    Args:
        network: The network proper.
        normalisation: Of the encoder's weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, normalisation: pretrained.Normalisation) -> None:
        super().__init__()
        self.network = network
        # Saved with the weights: a checkpoint carries the normalisation it was trained with.
        self.register_buffer("mean", torch.tensor(normalisation.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(normalisation.std).view(1, 3, 1, 1))

    @property
    def normalisation(self) -> pretrained.Normalisation:
        """Mean and standard deviation of RGB in [0, 1]."""
        return pretrained.Normalisation(mean=_triple(self.mean), std=_triple(self.std))

    @property
    def encoder(self) -> nn.Module:
        """The pretrained part; the rest is new and may learn faster."""
        return cast(SegmentationNetwork, self.network).encoder

    @property
    def feature_channels(self) -> int:
        """Channels of `SegmenterOutput.features`."""
        return cast(SegmentationNetwork, self.network).feature_channels

    def forward_features(self, image: Tensor) -> SegmenterOutput:
        """Features and low-resolution logits of RGB [B,3,H,W] in [0, 1]."""
        features, logits = self.network(pad_to_multiple((image - self.mean) / self.std))
        return SegmenterOutput(features=features, logits=logits.float())

    def forward_head(self, image: Tensor) -> Tensor:
        """Logits [B,C,h,w] float32 at the head's own resolution, over the padded image; what export needs."""
        return self.forward_features(image).logits

    def forward(self, image: Tensor) -> Tensor:
        """Logits [B,C,H,W] float32 at the image's size, upsampled bilinearly."""
        return upsample_logits(self.forward_head(image), (image.shape[-2], image.shape[-1]))


class WithFeatures(nn.Module):
    """A segmenter whose forward pass gives features as well: what a method hands to `Runtime.parallel` for them.

    Gradients are averaged over processes only for what goes through the wrapped module's forward pass.

    Args:
        segmenter: Shares its weights.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, image: Tensor, sizes: Sequence[int] = (), kept: int = 0) -> SegmenterOutput:
        """See `Segmenter.forward_features`.

        Args:
            image: [B,3,H,W].
            sizes: Numbers of images that make up the batch, one domain after the other: each is then normalised by its
                own statistics. Empty takes all together.
            kept: Which of them the running statistics follow.
        """
        if not sizes:
            return self.segmenter.forward_features(image)
        outputs = []
        for number, part in enumerate(torch.split(image, list(sizes))):
            with nullcontext() if number == kept else _running_statistics_rest(self.segmenter):
                outputs.append(self.segmenter.forward_features(part))
        return SegmenterOutput(*(torch.cat(each) for each in zip(*outputs, strict=True)))


@contextmanager
def _running_statistics_rest(network: nn.Module) -> Iterator[None]:
    """Batches are normalised by themselves in here, and leave no trace in the running statistics."""
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def pad_to_multiple(image: Tensor, multiple: int = SIZE_MULTIPLE) -> Tensor:
    """[B,c,H,W] padded right and below, by repeating the border, until both sides are multiples."""
    right, below = -image.shape[-1] % multiple, -image.shape[-2] % multiple
    return functional.pad(image, (0, right, 0, below), mode="replicate") if right or below else image


def upsample_logits(logits: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Low-resolution logits over a padded image as logits [B,C,*size_hw] over the image itself."""
    height, width = (side + -side % SIZE_MULTIPLE for side in size_hw)
    full = functional.interpolate(logits, size=(height, width), mode="bilinear", align_corners=False)
    return full[..., : size_hw[0], : size_hw[1]]


def build_segmenter(config: SegmenterConfig, *, load_weights: bool = True) -> Segmenter:
    """The segmenter that a configuration describes.

    Args:
        config: Decoder, encoder and the source of weights.
        load_weights: Whether to fetch the encoder's weights and their normalisation; a checkpoint brings its own.

    Raises:
        ConfigurationError: No such encoder, or it does not go with this decoder.
        PretrainedWeightsError: The weights cannot be had or do not fit.
    """
    network = Fcn8s(NUM_CLASSES) if config.decoder == "fcn8s" else _build_smp(config)
    if not load_weights:
        # A placeholder: the normalisation is part of the state that is filled in.
        return Segmenter(network, pretrained.IMAGENET)
    pretrained.load_encoder_weights(network.encoder, config.encoder, config.weights)
    return Segmenter(network, pretrained.normalisation_of(config.encoder, config.weights))


def _build_smp(config: SegmenterConfig) -> SmpNetwork:
    import segmentation_models_pytorch as smp

    try:
        with warnings.catch_warnings():
            # smp would rather have timm's EfficientNet-Lite0; only its own copy has the layers of the packaged weights.
            warnings.filterwarnings("ignore", "`timm-` encoders are deprecated", DeprecationWarning)
            # Weights are loaded apart, so that all sources of them go through one check of their keys.
            model = getattr(smp, _SMP_CLASS[config.decoder])(
                encoder_name=config.encoder, encoder_weights=None, classes=NUM_CLASSES
            )
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise ConfigurationError(
            f"encoder {config.encoder!r} cannot be built for decoder {config.decoder}: {error}"[:300],
            where="segmenter",
            remedy="Encoder names are those of segmentation-models-pytorch, with the prefix tu- for timm's.",
        ) from error
    return SmpNetwork(model)


def _triple(buffer: Tensor) -> tuple[float, float, float]:
    red, green, blue = buffer.flatten().tolist()
    return red, green, blue
