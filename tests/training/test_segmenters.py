import pytest
import torch

from isthmus.errors import ConfigurationError
from isthmus.training.pretrained import IMAGENET
from isthmus.training.segmenters import Segmenter, SegmenterConfig, build_segmenter, pad_to_multiple, upsample_logits

DECODERS = ("fpn", "deeplabv3plus", "upernet", "segformer", "unet")


@pytest.mark.parametrize("decoder", DECODERS)
def test_decoders_at_odd_sizes(decoder):
    config = SegmenterConfig(decoder=decoder, encoder="timm-tf_efficientnet_lite0", weights="none")
    segmenter = build_segmenter(config).eval()
    with torch.no_grad():
        for height, width in ((33, 50), (64, 32)):
            image = torch.rand(1, 3, height, width)
            assert segmenter(image).shape == (1, 19, height, width)
            output = segmenter.forward_features(image)
            assert output.features.shape[-2:] == output.logits.shape[-2:]
            assert torch.equal(segmenter.forward_head(image), output.logits)


def test_any_encoder_of_timm_goes():
    segmenter = build_segmenter(SegmenterConfig(decoder="fpn", encoder="tu-resnet10t", weights="none")).eval()
    with torch.no_grad():
        assert segmenter(torch.rand(1, 3, 40, 40)).shape == (1, 19, 40, 40)


class Recording(torch.nn.Module):
    """Keeps what it was given."""

    def forward(self, image):
        self.seen = image
        return image, image[:, :1, ::4, ::4]


def test_normalises_and_pads_by_itself():
    network = Recording()
    logits = Segmenter(network, IMAGENET)(torch.full((1, 3, 30, 33), 0.5))
    assert network.seen.shape == (1, 3, 32, 64)
    for channel in range(3):
        expected = (0.5 - IMAGENET.mean[channel]) / IMAGENET.std[channel]
        torch.testing.assert_close(network.seen[0, channel], torch.full((32, 64), expected))
    assert logits.shape == (1, 1, 30, 33)


def test_padding_repeats_the_border():
    padded = pad_to_multiple(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 3)
    assert padded[0, 0].tolist() == [[1, 2, 2], [3, 4, 4], [3, 4, 4]]
    whole = torch.rand(1, 1, 32, 64)
    assert pad_to_multiple(whole) is whole


def test_upsampling_crops_the_padding_away():
    # 32 pixels from 2 logits: the crop to 17 keeps the scale of the padded image.
    logits = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2).expand(1, 1, 2, 2)
    full = upsample_logits(logits, (17, 17))
    assert full.shape == (1, 1, 17, 17)
    assert full[0, 0, 0, 16].item() == pytest.approx(0.53125)


def test_normalisation_travels_with_the_weights():
    config = SegmenterConfig(decoder="fpn", encoder="tu-resnet10t", weights="none")
    other = build_segmenter(config)
    assert {"mean", "std"} <= other.state_dict().keys()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weights": "imagenet"}, "packaged, hub, none or file:PATH"),
        ({"encoder": "resnet18"}, "packaged exist for"),
        ({"decoder": "fcn8s", "weights": "none"}, "built on vgg16"),
    ],
)
def test_wrong_combinations_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SegmenterConfig(**{"decoder": "fpn", "encoder": "timm-tf_efficientnet_lite0", "weights": "packaged"} | wrong)


def test_unknown_encoder_is_one_clear_error():
    with pytest.raises(ConfigurationError, match="'nonsense' cannot be built"):
        build_segmenter(SegmenterConfig(decoder="fpn", encoder="nonsense", weights="none"))
