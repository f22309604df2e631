"""AdaBN as a method of the loop: each step counts a few more frames, nothing is learned."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from isthmus.datasets.sample import Batch
from isthmus.errors import ConfigurationError
from isthmus.training.method import Picture, StepResult
from isthmus.training.runtime import Runtime
from isthmus.training.segmenters import Segmenter
from isthmus.training.target_statistics.config import TargetStatisticsConfig
from isthmus.training.tensor_pictures import label_picture, rgb_picture


class TargetStatistics:
    """Adaptive batch normalisation (Li et al., arXiv:1603.04779, section 3.2) of a finished segmenter.

    Means and variances of all normalisation layers begin anew and become the plain average over the run's batches.

    *Deviations*: the paper takes the target's frames alone; here a share of the sources' may stand among them, in the
    same batches. Its statistics are exact, layer by layer; here all layers collect at once, each over batches that
    the layers before it have normalised by their own.

    Args:
        config: Of the method.
        segmenter: Finished, on the runtime's device.
        runtime: Of one process.

    Raises:
        ConfigurationError: The segmenter has no batch normalisation, or there are several processes.
    """

    name = "target_statistics"

    def __init__(self, config: TargetStatisticsConfig, segmenter: Segmenter, runtime: Runtime) -> None:
        self._config, self._segmenter, self._runtime = config, segmenter, runtime
        self._layers = [layer for layer in segmenter.modules() if isinstance(layer, _BatchNorm)]
        if not self._layers:
            raise ConfigurationError(
                "the segmenter has no batch normalisation, so there are no statistics to collect",
                where="method",
                remedy="Adapt it with method madan.",
            )
        if runtime.world.size > 1:
            raise ConfigurationError(
                "method target_statistics runs in one process", where="torchrun", remedy="Start it without torchrun."
            )
        self._former: list[tuple[Tensor, Tensor]] = []

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The segmenter alone."""
        return {"segmenter": self._segmenter}

    @property
    def segmenter(self) -> nn.Module:
        """The network whose statistics are collected."""
        return self._segmenter

    @torch.no_grad()
    def train_step(self, step: int, sources: Sequence[Batch], target: Batch | None) -> StepResult:
        """Count one batch of target frames, and the sources' share.

        Args:
            step: Index of this step; with 0 the statistics begin anew.
            sources: One batch a source, whose labels are not looked at.
            target: Unlabelled frames.
        """
        assert target is not None, "the configuration has seen to it"
        if step == 0:
            self._begin()
        wanted = self._config.source_frames(len(target["image"]))
        in_turn = torch.stack([batch["image"] for batch in sources], 1).flatten(0, 1)  # one of each source, and again
        frames = torch.cat([target["image"], in_turn[:wanted]])
        if self._runtime.channels_last:
            frames = frames.contiguous(memory_format=torch.channels_last)
        self._segmenter.eval()  # nothing is dropped
        for layer in self._layers:
            layer.train()
            layer.momentum = None  # a plain average over all batches
        with self._runtime.autocast():
            logits = self._segmenter(frames)
        self._segmenter.eval()
        moved = self._moved()
        return StepResult(
            losses={"total": moved},
            metrics={"statistics_moved": moved},
            pictures=partial(_draw, frames[0].clone(), logits[0].clone()),
        )

    def _begin(self) -> None:
        self._former = [(_value(layer.running_mean), _value(layer.running_var)) for layer in self._layers]
        for layer in self._layers:
            layer.reset_running_stats()

    def _moved(self) -> Tensor:
        """Mean distance of all channels' means from those of the beginning, in the beginning's deviations."""
        pairs = zip(self._layers, self._former, strict=True)
        distances = [
            (_value(layer.running_mean) - mean).abs() / (var + layer.eps).sqrt() for layer, (mean, var) in pairs
        ]
        return torch.cat(distances).mean()

    def state_dict(self) -> dict[str, Any]:
        """The statistics of the beginning, which the new ones are held against."""
        return {"former": [list(pair) for pair in self._former]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        device = self._runtime.device
        self._former = [(mean.to(device), var.to(device)) for mean, var in state["former"]]

    def local_state(self) -> dict[str, Any]:
        """Nothing: there is one process."""
        return {}

    def load_local_state(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


def _value(statistic: Tensor | None) -> Tensor:
    assert statistic is not None, "layers of segmenters keep running statistics"
    return statistic.clone()


def _draw(frame: Tensor, logits: Tensor) -> Mapping[str, Picture]:
    """A frame of the target, and what the segmenter sees there by the batch's own statistics."""
    return {"target": np.concatenate([rgb_picture(frame), label_picture(logits.argmax(0))], axis=1)}
