import socket

import pytest
import torch
from safetensors.torch import save_file

from isthmus.errors import PretrainedWeightsError
from isthmus.training import pretrained
from isthmus.training.fcn8s import Vgg16Encoder
from isthmus.training.segmenters import SegmenterConfig, build_segmenter

LITE0 = SegmenterConfig(decoder="fpn", encoder="timm-tf_efficientnet_lite0", weights="packaged")


def packaged_state():
    return torch.load(pretrained._packaged_file(), weights_only=True)


def test_packaged_weights_fill_every_key():
    encoder = build_segmenter(LITE0).encoder
    state = packaged_state()
    mine = encoder.state_dict()
    assert len(state) == 296
    assert len(mine) == 294  # all but the classifier's two
    assert torch.equal(mine["conv_stem.weight"], state["_conv_stem.weight"])
    assert torch.equal(mine["blocks.0.0.conv_pw.weight"], state["_blocks.0._project_conv.weight"])
    assert torch.equal(mine["blocks.6.0.conv_dw.weight"], state["_blocks.15._depthwise_conv.weight"])
    assert torch.equal(mine["bn2.running_var"], state["_bn1.running_var"])


def test_packaged_normalisation_is_that_of_the_weights():
    normalisation = build_segmenter(LITE0).normalisation
    # (x − 127) / 128 on 0..255
    assert 255 * normalisation.mean[0] == pytest.approx(127)
    assert 255 * normalisation.std[0] == pytest.approx(128)


@pytest.fixture
def altered(tmp_path):
    """The packaged weights with one key renamed, as a file."""
    state = packaged_state()
    state["_conv_stem.wait"] = state.pop("_conv_stem.weight")
    path = tmp_path / "altered.pth"
    torch.save(state, path)
    return path


def test_an_altered_key_fails_loudly_and_loads_nothing(altered):
    segmenter = build_segmenter(SegmenterConfig(decoder="fpn", encoder=LITE0.encoder, weights="none"))
    before = {key: value.clone() for key, value in segmenter.encoder.state_dict().items()}
    with pytest.raises(PretrainedWeightsError, match=r"conv_stem\.weight.*conv_stem\.wait") as caught:
        pretrained.load_encoder_weights(segmenter.encoder, LITE0.encoder, f"file:{altered}")
    assert str(altered) in str(caught.value)
    assert all(torch.equal(before[key], value) for key, value in segmenter.encoder.state_dict().items())


def test_a_misshapen_tensor_is_named():
    module = torch.nn.Linear(2, 3)
    with pytest.raises(PretrainedWeightsError, match=r"weight \(3, 4\) instead of \(3, 2\)"):
        pretrained.load_matching(module, {"weight": torch.zeros(3, 4), "bias": torch.zeros(3)}, where="here")


def test_safetensors_round_trip(tmp_path):
    encoder = build_segmenter(SegmenterConfig(decoder="fpn", encoder="tu-resnet10t", weights="none")).encoder
    path = tmp_path / "encoder.safetensors"
    save_file(encoder.state_dict(), path)
    other = build_segmenter(SegmenterConfig(decoder="fpn", encoder="tu-resnet10t", weights=f"file:{path}")).encoder
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])


def test_torchvisions_vgg16_becomes_convolutions():
    encoder = Vgg16Encoder(fc_channels=8)
    state = {key: value for key, value in encoder.state_dict().items() if key.startswith("features.")}
    fc6, fc7 = torch.rand(8, 512 * 7 * 7), torch.rand(8, 8)
    state |= {"classifier.0.weight": fc6, "classifier.0.bias": torch.zeros(8)}
    state |= {"classifier.3.weight": fc7, "classifier.3.bias": torch.zeros(8)}
    state |= {"classifier.6.weight": torch.zeros(1000, 8), "classifier.6.bias": torch.zeros(1000)}
    pretrained.load_matching(encoder, pretrained.translate_keys(state), where="test")
    # A dense layer over a 7x7 map is the convolution's centre value.
    features = torch.rand(1, 512, 7, 7)
    torch.testing.assert_close(encoder.fc6(features)[0, :, 3, 3], fc6 @ features.flatten(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("content", [None, b"no weights"])
def test_missing_and_damaged_files_are_one_error(tmp_path, content):
    path = tmp_path / "weights.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PretrainedWeightsError, match=r"weights\.pth"):
        pretrained.load_encoder_weights(torch.nn.Linear(1, 1), "resnet18", f"file:{path}")


def test_pickled_code_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"weight": print}, path)
    with pytest.raises(PretrainedWeightsError, match="no readable weights"):
        pretrained.load_encoder_weights(torch.nn.Linear(1, 1), "resnet18", f"file:{path}")


def test_an_unreachable_hub_says_what_to_do(monkeypatch):
    def unreachable(name):
        raise OSError("no route")

    monkeypatch.setattr(pretrained, "_download_smp", unreachable)
    with pytest.raises(PretrainedWeightsError, match=r"resnet18 cannot be downloaded .*file:PATH"):
        pretrained.load_encoder_weights(torch.nn.Linear(1, 1), "resnet18", "hub")


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_arguments, **_options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet10t"])
def test_a_checkpoint_of_hub_weights_opens_offline_with_its_own_normalisation(encoder):
    config = SegmenterConfig(decoder="fpn", encoder=encoder, weights="hub")
    trained = build_segmenter(config, load_weights=False)
    trained.mean.fill_(0.25)
    opened = build_segmenter(config, load_weights=False)
    opened.load_state_dict(trained.state_dict())
    assert opened.normalisation.mean == (0.25, 0.25, 0.25)


def test_a_normalisation_that_cannot_be_fetched_is_one_error(monkeypatch):
    from segmentation_models_pytorch import encoders

    def unreachable(name):
        raise OSError("no route")

    monkeypatch.setattr(encoders, "get_preprocessing_params", unreachable)
    with pytest.raises(PretrainedWeightsError, match="normalisation of resnet18 cannot be downloaded"):
        pretrained.normalisation_of("resnet18", "hub")
