"""How far apart domains lie for a segmenter: its features of whole frames, drawn in two dimensions and measured.

A frame's feature is the mean over pixels of the last feature map before the classifier, which is what MADAN aligns.

Legend: `N` frames, `F` feature channels, `H W` pixels.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.nn import functional

from isthmus.configuration import config, explain, to_tree
from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.catalogue import DatasetConfig, build_dataset
from isthmus.errors import ContractError
from isthmus.gate_report import Finite
from isthmus.training.madan.config import MadanConfig
from isthmus.training.method import Picture
from isthmus.training.runtime import choose_device
from isthmus.training.segmenters import Segmenter
from isthmus.training.trained import load_segmenter, run_config
from isthmus.training.translators import open_translators

DomainRole = Literal["source", "adapted", "target"]


@config
class DomainPoints:
    """One domain's frames in the plane."""

    title: str
    """Of the domain, for people."""
    role: DomainRole
    """`adapted` frames are a source's in the target's look."""
    points: tuple[tuple[Finite, Finite], ...]
    """One a frame: first and second component."""
    distance: Finite | None
    """To the targets' frames, `energy_distance` of the whole features, in [0, 1]; None for targets themselves."""


@config
class DomainGap:
    """Domains as one segmenter sees them."""

    explained: tuple[Finite, Finite]
    """Share of the features' variance along each of the two components, in [0, 1]."""
    domains: tuple[DomainPoints, ...]
    """In the order they were given."""

    def to_tree(self) -> dict[str, Any]:
        """Plain values for JSON."""
        tree: dict[str, Any] = to_tree(self)
        return tree

    @classmethod
    def from_tree(cls, tree: Any, *, where: str = "domain gap") -> Self:
        """Read it back from `to_tree`.

        Raises:
            ContractError: It is something else.
        """
        try:
            return TypeAdapter(cls).validate_json(json.dumps(tree), strict=True)
        except ValidationError as error:
            remedy = "Measure the domain gap of the checkpoint again."
            raise ContractError(f"no domain gap ({explain(error)})", where=where, remedy=remedy) from error


@dataclass(frozen=True, slots=True)
class Domain:
    """Frames of one look."""

    title: str
    role: DomainRole
    images: Iterable[Tensor]
    """RGB [3, H, W] in [0, 1], one size or several."""


def measure_domain_gap(segmenter: Segmenter, domains: Sequence[Domain]) -> DomainGap:
    """Place the frames of all domains in one plane, and measure how far each lies from the targets.

    Args:
        segmenter: In eval mode; its features are looked at, on the device where it lies.
        domains: Each with at least one frame.
    """
    features = [np.stack([_feature(segmenter, image) for image in domain.images]) for domain in domains]
    points, explained = principal_plane(np.concatenate(features))
    ends = np.cumsum([len(each) for each in features])[:-1]
    targets = [each for each, domain in zip(features, domains, strict=True) if domain.role == "target"]
    target = np.concatenate(targets) if targets else None

    def placed(domain: Domain, own: NDArray[np.float64], plane: NDArray[np.float64]) -> DomainPoints:
        apart = target is not None and domain.role != "target"
        return DomainPoints(
            title=domain.title,
            role=domain.role,
            points=tuple((round(x, 4), round(y, 4)) for x, y in plane.tolist()),
            distance=energy_distance(own, target) if apart and target is not None else None,
        )

    return DomainGap(explained=explained, domains=tuple(map(placed, domains, features, np.split(points, ends))))


def principal_plane(features: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Features along the two directions in which they vary most (principal component analysis, Pearson 1901).

    The largest score in size of each component is positive, so that equal features give equal pictures.

    Args:
        features: [N, F].

    Returns:
        Points [N, 2], and the share of the variance along each direction; 0 for a direction that is not there.
    """
    centred = features - features.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    total = float((sizes**2).sum())
    scores = np.zeros((len(features), 2))
    shares = [0.0, 0.0]
    for axis in range(min(2, len(sizes)) if total > 0 else 0):
        along = left[:, axis] * sizes[axis]
        scores[:, axis] = along * np.sign(along[np.abs(along).argmax()])
        shares[axis] = float(sizes[axis] ** 2) / total
    return scores, (shares[0], shares[1])


def energy_distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Coefficient H in [0, 1] of two samples: 0 for the same points, 1 for two points apart.

    H = (2 E|X−Y| − E|X−X′| − E|Y−Y′|) / 2 E|X−Y|, with means over all pairs (Székely and Rizzo, "Energy statistics",
    Journal of Statistical Planning and Inference 143, 2013).

    Args:
        one: [N, F].
        other: [M, F].
    """

    def mean_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return float(np.mean([np.linalg.norm(b - point, axis=1).mean() for point in a]))

    between = mean_distance(one, other)
    if between == 0:
        return 0.0
    within = mean_distance(one, one) + mean_distance(other, other)
    return min(1.0, max(0.0, 1 - within / (2 * between)))


def checkpoint_domain_gap(checkpoint: Path, *, frames_per_domain: int = 40, device: str = "auto") -> DomainGap:
    """The domains of a run as its segmenter sees them: its sources, these in the target's look, and its target.

    Adapted frames are there for runs of method madan whose generators have learnt. A run without a target takes the
    sets that it is judged on in its place; no label is looked at.

    Args:
        checkpoint: A run's output folder (its best checkpoint) or one checkpoint's folder.
        frames_per_domain: At most so many, evenly spaced over each set.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        CheckpointError: There is none, or it is damaged.
        DataError: A data set cannot be read.
    """
    segmenter, info = load_segmenter(checkpoint)
    run = run_config(info)
    segmenter.to(choose_device(device))
    size_hw = run.augmentation.resize_hw
    frames = partial(_frames, most=frames_per_domain, size_hw=size_hw)
    domains = [Domain(source.title, "source", frames(source)) for source in run.sources]
    if isinstance(run.method, MadanConfig) and run.method.weights.has_pixel_level:
        domains += _adapted(checkpoint, run.sources, frames, next(segmenter.parameters()).device)
    targets = run.evaluated_on if run.target is None else (run.target,)
    domains += [Domain(target.title, "target", frames(target)) for target in targets]
    return measure_domain_gap(segmenter, domains)


def _adapted(
    checkpoint: Path,
    sources: Sequence[DatasetConfig],
    frames: Callable[[DatasetConfig], Iterator[Tensor]],
    device: torch.device,
) -> Iterator[Domain]:
    translators = open_translators(checkpoint)
    if not translators.begun:
        return
    for number, source in enumerate(sources):
        generator = translators.load(number).to(device)
        yield Domain(f"{source.title}, adapted", "adapted", _translated(generator, frames(source), device))


def _translated(generator: nn.Module, images: Iterable[Tensor], device: torch.device) -> Iterator[Tensor]:
    for image in images:
        with torch.inference_mode():
            yield generator(image[None].to(device))[0]


def _frames(config: DatasetConfig, most: int, size_hw: tuple[int, int]) -> Iterator[Tensor]:
    dataset: SegmentationDataset = build_dataset(config, labelled=False)
    number = min(most, len(dataset))
    for index in np.linspace(0, len(dataset) - 1, number).round().astype(int).tolist():
        yield _resized(dataset.read_unlabelled(index)["image"], size_hw)


def _resized(image: Picture, size_hw: tuple[int, int]) -> Tensor:
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    if tensor.shape[-2:] != torch.Size(size_hw):
        tensor = functional.interpolate(tensor, size=size_hw, mode="bilinear", align_corners=False, antialias=True)
    return tensor[0].clamp(0, 1)


def _feature(segmenter: Segmenter, image: Tensor) -> NDArray[np.float64]:
    """[F] of an RGB image [3, H, W] in [0, 1]."""
    with torch.inference_mode():
        features = segmenter.forward_features(image[None].to(segmenter.mean.device)).features
    pooled: NDArray[np.float64] = features[0].double().mean((1, 2)).cpu().numpy()
    return pooled
