"""Crops, parts, and consistency over views and crops of a step."""

import numpy as np
import pytest
import torch

from isthmus.errors import ConfigurationError
from isthmus.training.randomization.config import ConsistencyConfig
from isthmus.training.randomization.consistency import (
    Part,
    Targets,
    crop_consistency,
    domain_consistency,
    parts_of,
    pyramid_of,
)
from isthmus.training.randomization.crops import Crops, cut_crops, draw_crops
from isthmus.training.randomization.layers import WithLayers, is_layer

SIZE = (32, 64)


def draw(seed: int, **changes) -> Crops:
    options = {"count": 3, "num_views": 4, "num_frames": 5, "size_hw": SIZE, "scale_range": (0.5, 0.8), **changes}
    return draw_crops(np.random.default_rng(seed), **options)


def test_crops_lie_in_the_image_and_repeat() -> None:
    crops = draw(1)
    assert crops.views.shape == (3, 5)
    assert crops.boxes.shape == (3, 5, 4)
    top, left, bottom, right = crops.boxes.unbind(-1)
    assert int(top.min()) >= 0
    assert int(left.min()) >= 0
    assert int(bottom.max()) <= 32
    assert int(right.max()) <= 64
    assert all(16 <= side <= 26 for side in (bottom - top).flatten().tolist())
    assert 0 <= int(crops.views.min()) <= int(crops.views.max()) <= 3
    assert torch.equal(crops.boxes, draw(1).boxes)
    assert not torch.equal(crops.boxes, draw(2).boxes)


def test_a_crop_of_the_whole_is_the_view_itself() -> None:
    views, masks = torch.rand(4, 5, 3, *SIZE), torch.randint(0, 19, (5, *SIZE))
    crops = draw(1, scale_range=(1.0, 1.0))
    images, labels = cut_crops(views, masks, crops)
    for place in range(3):
        for frame in range(5):
            torch.testing.assert_close(images[place, frame], views[crops.views[place, frame], frame])
            assert torch.equal(labels[place, frame], masks[frame])


def test_labels_follow_their_pixels() -> None:
    # Half the size at (4, 8): each label of the part appears as a 2x2 block.
    masks = torch.arange(32 * 64).reshape(1, 32, 64)
    crops = Crops(torch.zeros(1, 1, dtype=torch.long), torch.tensor([[[4, 8, 20, 40]]]))
    _, labels = cut_crops(torch.rand(1, 1, 3, *SIZE), masks, crops)
    assert torch.equal(labels[0, 0], masks[0, 4:20, 8:40].repeat_interleave(2, 0).repeat_interleave(2, 1))


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (None, [Part(range(0, 3), range(0, 2))]),
        (2, [Part(range(0, 2), range(0, 0)), Part(range(2, 3), range(0, 1)), Part(range(3, 3), range(1, 2))]),
        (5, [Part(range(0, 3), range(0, 2))]),
    ],
)
def test_parts_go_through_all_once(most: int | None, expected: list[Part]) -> None:
    assert parts_of(3, 2, most) == expected


def targets_of(config: ConsistencyConfig, maps: dict[str, torch.Tensor], crops: Crops | None = None) -> Targets:
    num_views = len(next(iter(maps.values())))
    targets = Targets(config, num_views, crops, SIZE)
    targets.add(range(num_views), maps)
    return targets


def test_equal_views_are_consistent() -> None:
    config = ConsistencyConfig(layers={"encoder": 2.0})
    maps = {"encoder": torch.rand(1, 5, 4, 8, 16).expand(3, 5, 4, 8, 16)}
    assert float(domain_consistency(config, maps, targets_of(config, maps), SIZE)) == pytest.approx(0.0, abs=1e-6)


def test_views_are_drawn_to_their_mean_by_hand() -> None:
    """Two views, 1 and 4 everywhere: their mean is 2.5, each is 1.5 away; the layer counts twice."""
    config = ConsistencyConfig(layers={"encoder": 2.0})
    maps = {"encoder": torch.tensor([1.0, 4.0]).reshape(2, 1, 1, 1, 1).expand(2, 1, 3, 8, 16).clone().requires_grad_()}
    loss = domain_consistency(config, maps, targets_of(config, maps), SIZE)
    assert float(loss.detach()) == pytest.approx(2 * 1.5)
    loss.backward()
    low, high = maps["encoder"].grad.flatten(1).sum(1).tolist()
    # Each moves towards the mean by half of the layer's weight: nothing came back through the mean itself.
    assert (low, high) == (pytest.approx(-1.0), pytest.approx(1.0))


def test_crops_that_match_their_region_are_consistent() -> None:
    """The identity as a network: a crop's own pixels are what the view shows there, for every frame and view."""
    views = torch.rand(3, 5, 3, *SIZE)
    crops = Crops(torch.randint(0, 3, (2, 5)), torch.tensor([[[4, 8, 20, 40]] * 5, [[11, 3, 27, 35]] * 5]))
    cut = [
        torch.stack([views[v, n, :, a:c, b:d] for n, (v, (a, b, c, d)) in enumerate(zip(vs, bs, strict=True))])
        for vs, bs in zip(crops.views.tolist(), crops.boxes.tolist(), strict=True)
    ]
    enlarged = torch.stack(cut).repeat_interleave(2, 3).repeat_interleave(2, 4)
    config = ConsistencyConfig(layers={"encoder": 1.0})
    targets = targets_of(config, {"encoder": views}, crops)
    loss = crop_consistency(config, {"encoder": enlarged}, targets, range(2), SIZE)
    assert float(loss) == pytest.approx(0.0, abs=1e-5)
    other = crop_consistency(config, {"encoder": enlarged.flip(0)}, targets, range(2), SIZE)
    assert float(other) > 0.01


def test_targets_do_not_depend_on_the_parts() -> None:
    config = ConsistencyConfig(layers={"encoder": 1.0})
    crops = draw(3)
    maps = torch.rand(4, 5, 6, 8, 16, requires_grad=True)
    at_once = targets_of(config, {"encoder": maps}, crops)
    gathered = Targets(config, 4, crops, SIZE)
    for views in (range(0, 3), range(3, 4), range(4, 4)):
        gathered.add(views, {"encoder": maps[views.start : views.stop]})
    for kind in ("domains", "regions"):
        for one, other in zip(getattr(at_once, kind)["encoder"], getattr(gathered, kind)["encoder"], strict=True):
            torch.testing.assert_close(one, other)
            assert not other.requires_grad


def test_pyramids_of_views_are_those_of_each() -> None:
    maps = torch.rand(2, 3, 4, 8, 16)
    both, one = pyramid_of(maps, SIZE, (2,))[0], pyramid_of(maps[1:], SIZE, (2,))[0]
    torch.testing.assert_close(both[1:], one)


def test_layers_come_out_of_one_pass(small) -> None:
    image = torch.rand(2, 3, 32, 64)
    network = WithLayers(small, ["encoder", "encoder_0"])
    logits, last, first = network(image)
    torch.testing.assert_close(logits, small.forward_head(image))
    assert last.shape == (2, 8, 8, 16)
    assert first.shape == (2, 6, 16, 32)
    assert small.training
    assert len(WithLayers(small, [])(image)) == 1


def test_passes_that_begin_elsewhere_are_not_kept(small) -> None:
    network = WithLayers(small, ["encoder"])
    network(torch.rand(2, 3, 32, 64))
    small(torch.rand(2, 3, 32, 64))
    assert network._stages == ()


def test_a_forward_pass_is_one_graph_for_the_compiler(small) -> None:
    image = torch.rand(2, 3, 32, 64)
    network = WithLayers(small, ["encoder", "encoder_0"])
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    for one, other in zip(compiled(image), network(image), strict=True):
        torch.testing.assert_close(one, other)


def test_a_stage_that_is_not_there_is_named(small) -> None:
    with pytest.raises(ConfigurationError, match=r"2 stages, so none is called 'encoder_2'"):
        WithLayers(small, ["encoder_2"])


@pytest.mark.parametrize("name", ["encoder_0", "encoder_1"])
def test_a_stage_without_weights_before_it_is_refused(small, name: str) -> None:
    """Many encoders give the image itself first, some of them an empty map then."""
    stages = small.encoder.forward
    small.encoder.forward = lambda image: [image, image[:, :0], *stages(image)]
    WithLayers(small, ["encoder", "encoder_2", "encoder_3"])
    with pytest.raises(ConfigurationError, match=f"nothing is learnt before '{name}'.*one of encoder_2, encoder_3"):
        WithLayers(small, [name])


def test_names_of_layers() -> None:
    assert [is_layer(name) for name in ("logits", "encoder", "encoder_12", "encoder_", "decoder", "encoder_-1")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
