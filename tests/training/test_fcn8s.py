import torch

from isthmus.training.fcn8s import Fcn8s
from isthmus.training.pretrained import IMAGENET
from isthmus.training.segmenters import Segmenter


def small() -> Fcn8s:
    torch.manual_seed(0)
    return Fcn8s(19, fc_channels=16).eval()


def test_shapes():
    features, logits = small()(torch.rand(1, 3, 64, 96))
    assert features.shape == (1, 16, 2, 3)
    assert logits.shape == (1, 19, 8, 12)


def test_odd_sizes_through_the_segmenter():
    assert Segmenter(small(), IMAGENET)(torch.rand(1, 3, 50, 33)).shape == (1, 19, 50, 33)


def test_full_size_is_vgg16():
    with torch.device("meta"):
        network = Fcn8s(19)
    # VGG16 without its last layer (138 357 544 − 4 097 000), and three score layers.
    scores = 19 * (4096 + 512 + 256) + 3 * 19
    assert sum(parameter.numel() for parameter in network.parameters()) == 134_260_544 + scores


def test_skip_scores_are_saved_and_loaded():
    network = small()
    with torch.no_grad():
        network.score_pool3.weight.fill_(3.0)
        network.score_pool4.weight.fill_(4.0)
    other = small()
    other.load_state_dict(network.state_dict())
    assert torch.equal(other.score_pool3.weight, network.score_pool3.weight)
    assert torch.equal(other.score_pool4.weight, network.score_pool4.weight)
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(other(image)[1], network(image)[1])


def test_skips_start_at_zero_and_carry_signal():
    network = small()
    image = torch.rand(1, 3, 32, 32)
    before = network(image)[1]
    assert not network.score_pool3.weight.any()
    with torch.no_grad():
        network.score_pool3.bias.fill_(1.0)
    torch.testing.assert_close(network(image)[1], before + 1.0)
