"""Each domain normalised by itself: what is computed, and whose statistics are kept."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from isthmus.errors import ConfigurationError
from isthmus.training.config import TrainingConfig
from isthmus.training.madan.method import Madan
from isthmus.training.pretrained import IMAGENET
from isthmus.training.segmenters import Segmenter, WithFeatures

Build = Callable[..., Madan]


class Normalised(nn.Module):
    """A normalisation layer before a classifier."""

    feature_channels = 3

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.BatchNorm2d(3)
        self.classifier = nn.Conv2d(3, 19, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(image)
        return features, self.classifier(features)


@pytest.fixture
def network() -> WithFeatures:
    torch.manual_seed(0)
    return WithFeatures(Segmenter(Normalised(), IMAGENET)).train()


def test_parts_of_a_batch_are_normalised_by_themselves_and_one_is_kept(network: WithFeatures) -> None:
    images = torch.rand(5, 3, 32, 32) * torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5]).view(-1, 1, 1, 1)
    alone = [copy.deepcopy(network)(part) for part in torch.split(images, [2, 3])]
    kept = copy.deepcopy(network)
    kept(images[2:])
    together = network(images, [2, 3], 1)
    for one, pair in zip(together, zip(*alone, strict=True), strict=True):
        assert torch.equal(one, torch.cat(pair))
    mine, expected = (one.segmenter.network.encoder for one in (network, kept))
    assert torch.equal(mine.running_mean, expected.running_mean)
    assert torch.equal(mine.running_var, expected.running_var)
    assert mine.momentum == expected.momentum


def test_momenta_come_back_after_an_error(network: WithFeatures) -> None:
    with pytest.raises(RuntimeError):
        network(torch.rand(2, 4, 32, 32), [1, 1], 1)
    assert network.segmenter.network.encoder.momentum == 0.1


def means_after_a_step(method: Madan, target: dict[str, Any], sources: list[dict[str, Any]]) -> Tensor:
    method.segmenter.train()
    method.train_step(0, sources, target)
    return method.segmenter.network.encoder[1].running_mean.clone()


@pytest.mark.parametrize("alignment", [0.0, 0.1])
def test_inference_goes_by_the_target_alone(build: Build, batches_of: Callable[..., Any], alignment: float) -> None:
    from isthmus.training.madan.config import WeightsConfig

    weights = WeightsConfig(source=1.0, feature=alignment)
    sources, target = batches_of(0)
    others, elsewhere = batches_of(1)
    of = {"normalisation": "own", "weights": weights}
    mine = means_after_a_step(build(**of), target, sources)
    assert torch.equal(means_after_a_step(build(**of), target, others), mine)
    assert not torch.equal(means_after_a_step(build(**of), elsewhere, sources), mine)
    mixed = {"normalisation": "mixed", "weights": weights}
    assert not torch.equal(
        means_after_a_step(build(**mixed), target, others), means_after_a_step(build(**mixed), target, sources)
    )


def test_a_network_without_batch_normalisation_has_none_of_its_own(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn, "BatchNorm2d", lambda channels: nn.GroupNorm(1, channels))
    build()
    with pytest.raises(ConfigurationError, match=r"method\.normalisation: own means .* no batch normalisation"):
        build(normalisation="own")


def test_decoders_that_pool_need_two_frames_of_the_target(madan_config: Callable[..., TrainingConfig]) -> None:
    given = ("loop.batch_size=1", "segmenter.decoder=deeplabv3plus", "method.source_checkpoints=[x, y]")
    madan_config(*given)  # two sources are two frames
    with pytest.raises(ConfigurationError, match="normalises over the batch"):
        madan_config(*given[:2])  # each F_i learns from one source
    with pytest.raises(ConfigurationError, match="normalises over the batch"):
        madan_config(*given, "method.normalisation=own")
