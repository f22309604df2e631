"""The domain gap: its plane and its distance against values computed by hand, and that it is blind to labels."""

import json

import numpy as np
import pytest
import torch

from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.errors import ContractError
from isthmus.training.report.domain_gap import (
    Domain,
    DomainGap,
    checkpoint_domain_gap,
    energy_distance,
    measure_domain_gap,
    principal_plane,
)


def test_plane_follows_the_variance():
    # Along (3, 4) / 5 by −5, 0, 5 and along (−4, 3) / 5 by 1, −2, 1: variances 50 and 6.
    along, across = np.array([3, 4]) / 5, np.array([-4, 3]) / 5
    features = np.array([-5 * along + across, -2 * across, 5 * along + across]) + 7
    points, explained = principal_plane(features)
    assert explained == pytest.approx((50 / 56, 6 / 56))
    # Signs: the largest value in size is positive.
    assert np.abs(points) == pytest.approx(np.array([[5, 1], [0, 2], [5, 1]]))
    assert points[1, 1] == pytest.approx(2)


def test_plane_of_equal_frames_is_one_point():
    points, explained = principal_plane(np.ones((3, 4)))
    assert points.tolist() == [[0, 0]] * 3
    assert explained == (0, 0)


def test_plane_of_one_feature_is_a_line():
    points, explained = principal_plane(np.array([[0.0], [2.0], [-2.0]]))
    assert points[:, 1].tolist() == [0, 0, 0]
    assert explained == (1, 0)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([[0.0]], [[0.0]], 0.0),
        ([[0.0]], [[3.0]], 1.0),
        ([[0.0], [2.0]], [[0.0], [2.0]], 0.0),
        # E|X−Y| = 4; within each sample the mean over all 4 pairs is 1: 1 − (1 + 1) / 8.
        ([[0.0], [2.0]], [[4.0], [6.0]], 0.75),
    ],
)
def test_energy_distance(one, other, expected):
    assert energy_distance(np.array(one), np.array(other)) == pytest.approx(expected)


def test_colours_are_told_apart_and_distance_is_to_targets(segmenter):
    colors = torch.tensor(CITYSCAPES19.colors) / 255

    def frames(name: str) -> list[torch.Tensor]:
        color = colors[CITYSCAPES19.names.index(name)]
        return [color[:, None, None].expand(3, 32, width) for width in (32, 64)]

    domains = [Domain("a", "source", frames("sky")), Domain("b", "adapted", frames("road"))]
    gap = measure_domain_gap(segmenter, [*domains, Domain("c", "target", frames("road"))])
    assert [domain.distance for domain in gap.domains] == [1, 0, None]
    assert gap.explained == pytest.approx((1, 0))
    assert gap.domains[1].points == gap.domains[2].points
    without_target = measure_domain_gap(segmenter, domains)
    assert [domain.distance for domain in without_target.domains] == [None, None]


def test_gap_travels_as_json(gap):
    assert DomainGap.from_tree(json.loads(json.dumps(gap.to_tree()))) == gap
    with pytest.raises(ContractError, match="no domain gap"):
        DomainGap.from_tree({"domains": []})


def test_run_without_a_target_takes_what_it_is_judged_on(tiny_run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TINY", str(tiny_run.data))
    gap = checkpoint_domain_gap(tiny_run.output, frames_per_domain=3, device="cpu")
    assert [(domain.role, len(domain.points)) for domain in gap.domains] == [
        ("source", 3),
        ("source", 3),
        ("target", 3),
    ]
    assert all(0 < domain.distance < 1 for domain in gap.domains[:2] if domain.distance is not None)
