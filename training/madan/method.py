"""MADAN as a method of the loop: the order of one step."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from isthmus.datasets.sample import Batch, labels_of
from isthmus.errors import ConfigurationError
from isthmus.training.losses import cross_entropy
from isthmus.training.madan.alignment import Alignment
from isthmus.training.madan.color_jitter import ColorJitter
from isthmus.training.madan.config import MadanConfig
from isthmus.training.madan.pictures import Shown, draw
from isthmus.training.madan.pixel import Frames, PixelAdaptation, Translated
from isthmus.training.madan.self_training import ClassMixer, Mixed
from isthmus.training.madan.semantics import Semantics
from isthmus.training.madan.stages import Stage, learning_steps, stage_at
from isthmus.training.madan.watch import Watch
from isthmus.training.method import Picture, StepResult
from isthmus.training.optim import ScheduledOptimiser
from isthmus.training.runtime import Runtime
from isthmus.training.segmenters import Segmenter, SegmenterOutput, WithFeatures, upsample_logits


class Madan:
    """Multi-source adversarial domain aggregation (Zhao et al., NeurIPS 2019, arXiv:1910.12181), end to end.

    min over F, max over G, min over D of the sum of (1) to (8), in three phases a step: generators, discriminators,
    segmenter. One source gives CyCADA (arXiv:1711.03213).

    *Deviations*: all stages of the paper in one run, each with its own beginning (`StagesConfig`); the task loss
    trains F alone, generators get their meaning from (4); see also `losses`, `semantics` and `alignment`.

    Args:
        config: Of the method.
        segmenter: F, on the device.
        source_segmenters: F_i, on the device; none where there is no pixel level, since nothing asks them then.
        optimisers: Of F, over the steps at which it learns (`stages.learning_steps`), and of each F_i that the first
            stage trains, over that stage; none for those that came trained.
        class_weights: [C] weights of true classes in supervised losses, or None.
        runtime: Precision and processes.
        total_steps: Of the whole run.
        seed: Of the run.
    """

    name = "madan"

    def __init__(
        self,
        config: MadanConfig,
        segmenter: Segmenter,
        source_segmenters: Sequence[Segmenter],
        optimisers: tuple[ScheduledOptimiser, Mapping[int, ScheduledOptimiser]],
        *,
        class_weights: Tensor | None,
        runtime: Runtime,
        total_steps: int,
        seed: int,
    ) -> None:
        self._config, self._runtime, self._total_steps = config, runtime, total_steps
        self._segmenter, self._source_segmenters = segmenter, source_segmenters
        self._optimiser, self._source_optimisers = optimisers
        self._class_weights = None if class_weights is None else class_weights.to(runtime.device)
        _check_normalisation(config, segmenter)
        self._parallel = runtime.parallel(WithFeatures(segmenter))
        self._semantics = Semantics(source_segmenters, segmenter, decay=config.ema_decay)
        for one in (*source_segmenters, self._semantics.adapted_segmenter):
            runtime.compile_calls(one)
        own_seed = 1000 * (seed * runtime.world.size + runtime.world.rank)
        self._pixel = PixelAdaptation(config, len(source_segmenters), runtime, seed=own_seed, network_seed=seed)
        self._alignment = Alignment(config, segmenter.feature_channels, runtime, network_seed=seed)
        # The last of this process's thousand numbers: pools and draws of the pixel level count from the first on.
        self._jitter = None if config.color_jitter is None else ColorJitter(config.color_jitter, own_seed + 999)
        self._mixer = ClassMixer(config.self_training, own_seed + 998)
        self._watch = Watch(config, total_steps, len(source_segmenters))
        self._learning = learning_steps(config, total_steps)
        self._is_warm = False

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """All of them, the frozen ones too."""
        return {
            "segmenter": self._segmenter,
            "adapted_segmenter": self._semantics.adapted_segmenter,
            **{f"source_segmenter_{i}": network for i, network in enumerate(self._source_segmenters)},
            **self._pixel.networks,
            **self._alignment.networks,
        }

    @property
    def segmenter(self) -> nn.Module:
        """F."""
        return self._segmenter

    def train_step(self, step: int, sources: Sequence[Batch], target: Batch | None) -> StepResult:
        """One step of whatever plays at this stage.

        Args:
            step: Index of this step.
            sources: One labelled batch a source.
            target: Unlabelled frames of the target.
        """
        assert target is not None, "the configuration has seen to it"
        frames = Frames([batch["image"] for batch in sources], [labels_of(batch) for batch in sources], target["image"])
        if self._config.combine_sources:
            frames = Frames([torch.cat(list(frames.images))], [torch.cat(list(frames.masks))], frames.target)
        stage = stage_at(self._config, step, self._total_steps, len(frames.images))
        if stage.warm_up:
            return self._warm_up(step, frames)
        if not self._is_warm:
            for network in (self._segmenter, *self._source_segmenters):  # F_A begins as F, the F_i stay as they are
                self._runtime.world.share_buffers(network)
            self._semantics.freeze()
            if self._learning.warm_up > 0:  # else nothing was trained here: an earlier run's F_A stands
                self._semantics.begin_where(self._segmenter)
            self._is_warm = True
        crop = self._pixel.draw_crop(frames)
        losses: dict[str, Tensor] = {}
        by_source: dict[str, Tensor] = {}
        translated: list[Translated] = []
        if stage.generators:
            generators, translated = self._pixel.update_generators(crop, stage, self._semantics)
            discriminators = self._pixel.update_discriminators(crop, translated)
            losses |= generators.means | discriminators.means
            by_source |= generators.by_source | discriminators.by_source
        metrics: dict[str, Tensor | float] = {}
        mixed = None
        if stage.task > 0:
            ours, metrics, mixed = self._update_segmenter(step, stage, frames, translated)
            losses |= ours
            self._runtime.world.share_buffers(self._segmenter)
            self._semantics.follow(self._segmenter)
        shown = Shown(
            crop,
            tuple(translated),
            self._source_segmenters,
            self._semantics.adapted_segmenter,
            mixed,
            whole=() if self._config.crop_hw is None else tuple(frames.images),
            adapt=self._pixel.adapt,
        )
        notes = self._watch.notes(step, shown, losses | by_source, stage)
        losses["total"] = _total(losses, stage)
        pictures = partial(self._draw, shown.kept())
        return StepResult(losses=losses, metrics=metrics | by_source, notes=notes, pictures=pictures)

    def _draw(self, shown: Shown) -> Mapping[str, Picture]:
        return draw(self._translated(shown))

    def _translated(self, shown: Shown) -> Shown:
        """With what generators that hold still make of the frames; they have not moved since the step."""
        return shown if shown.translated else replace(shown, translated=tuple(self._pixel.show(shown.crop)))

    def _warm_up(self, step: int, frames: Frames) -> StepResult:
        """Stage 0 of the paper: each F_i on its own source, F on all of them."""
        losses: dict[str, Tensor] = {}
        images = [self._jittered(one) for one in frames.images]
        for i, optimiser in self._source_optimisers.items():
            with self._runtime.autocast():
                logits = self._source_segmenters[i](images[i])
            loss = cross_entropy(logits, frames.masks[i], self._class_weights)
            optimiser.zero_grad()
            cast(Any, loss).backward()
            self._runtime.world.average_gradients(self._source_segmenters[i].parameters())
            optimiser.step(step)
            losses[f"source_{i}"] = loss.detach()
        output = self._forward(torch.cat(images))
        loss = self._task_loss(output, torch.cat(list(frames.masks)))
        self._optimiser.zero_grad()
        cast(Any, loss).backward()
        metrics = self._optimiser.step(step)
        return StepResult(losses={**losses, "task": loss.detach(), "total": loss.detach()}, metrics=metrics)

    def _update_segmenter(
        self, step: int, stage: Stage, frames: Frames, translated: Sequence[Translated]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor | float], Mixed | None]:
        """(7) and (8): F on adapted images, its target side moved towards them, then the feature discriminators.

        Returns:
            Losses, metrics, and what self-training learned from.
        """
        truth = torch.cat(list(frames.masks))
        aligned = self._alignment.is_active(stage)
        adapted = torch.cat(self._adapted(frames, translated))
        batches = {"task": adapted}
        if stage.source > 0:
            batches["source"] = torch.cat(list(frames.images))
        if aligned or self._config.normalisation == "own":
            batches["target"] = frames.target
        mixed = self._mixed(adapted, truth, frames.target) if stage.self_training > 0 else None
        if mixed is not None:
            batches["self_training"] = mixed.images
        outputs = self._outputs(batches)
        losses: dict[str, Tensor] = {}
        for name in ("task", "source"):
            if name in outputs:
                losses[name] = self._task_loss(outputs[name], truth)
        if mixed is not None:
            losses["self_training"] = self._mixer.loss(
                _logits(outputs["self_training"], truth), mixed, self._class_weights
            )
        if aligned:
            losses |= self._alignment.segmenter_losses(outputs["target"], stage)
        total = torch.stack([getattr(stage, name) * loss for name, loss in losses.items()]).sum()
        self._optimiser.zero_grad()
        cast(Any, total).backward()
        metrics = self._optimiser.step(self._learning.index(step))
        losses = {name: loss.detach() for name, loss in losses.items()}
        if aligned:
            losses |= self._alignment.update(outputs["task"], truth, outputs["target"], stage)
        return losses, metrics, mixed

    def _outputs(self, batches: Mapping[str, Tensor]) -> dict[str, SegmenterOutput]:
        """F on several batches in one call, so that gradients are averaged once; `normalisation` says how."""
        sizes = [len(batch) for batch in batches.values()]
        images = self._jittered(torch.cat(list(batches.values())))
        if self._config.normalisation == "own":
            with self._runtime.autocast():
                output = SegmenterOutput(*self._parallel(images, sizes, list(batches).index("target")))
        else:
            output = self._forward(images)
        features, logits = (torch.split(one, sizes) for one in output)
        return {name: SegmenterOutput(*pair) for name, *pair in zip(batches, features, logits, strict=True)}

    @torch.no_grad()
    def _mixed(self, adapted: Tensor, masks: Tensor, target: Tensor) -> Mixed:
        """Adapted objects on target frames, which F_A labels as they are."""
        with self._runtime.autocast():
            answers = self._semantics.adapted_segmenter(target).float().softmax(1)
        return self._mixer(adapted, masks, target, answers)

    def _adapted(self, frames: Frames, translated: Sequence[Translated]) -> list[Tensor]:
        """Each source's whole frames in the target's look: those of the generator phase where they are the same.

        Where there are no generators, the frames themselves.
        """
        if not self._config.weights.has_pixel_level:
            return list(frames.images)
        if translated and self._config.crop_hw is None and self._config.generator.dropout == 0:
            return [one.adapted[: len(image)] for one, image in zip(translated, frames.images, strict=True)]
        return [self._pixel.adapt(image, source) for source, image in enumerate(frames.images)]

    def _jittered(self, images: Tensor) -> Tensor:
        """What a segmenter learns from: the frames in other colours, where the configuration wants that."""
        return images if self._jitter is None else self._jitter(images)

    def _forward(self, image: Tensor) -> SegmenterOutput:
        with self._runtime.autocast():
            return SegmenterOutput(*self._parallel(image))

    def _task_loss(self, output: SegmenterOutput, mask: Tensor) -> Tensor:
        return cross_entropy(_logits(output, mask), mask, self._class_weights)

    def state_dict(self) -> dict[str, Any]:
        """Optimisers, class weights, and whether the first stage is over."""
        return {
            "optimiser": self._optimiser.state_dict(),
            "source_optimisers": {i: optimiser.state_dict() for i, optimiser in self._source_optimisers.items()},
            "class_weights": self._class_weights,
            "pixel": self._pixel.state_dict(),
            "alignment": self._alignment.state_dict(),
            "watch": self._watch.state_dict(),
            "is_warm": self._is_warm,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._optimiser.load_state_dict(state["optimiser"])
        for i, optimiser in self._source_optimisers.items():
            optimiser.load_state_dict(state["source_optimisers"][i])
        weights = state["class_weights"]
        self._class_weights = None if weights is None else weights.to(self._runtime.device)
        self._pixel.load_state_dict(state["pixel"])
        self._alignment.load_state_dict(state["alignment"])
        self._watch.load_state_dict(state["watch"])
        self._is_warm = state["is_warm"]
        if self._is_warm:
            self._semantics.freeze()

    def local_state(self) -> dict[str, Any]:
        """Pools and draws, which differ between processes."""
        jitter = {} if self._jitter is None else {"jitter": self._jitter.state_dict()}
        return self._pixel.local_state() | {"mixer": self._mixer.state_dict()} | jitter

    def load_local_state(self, state: dict[str, Any]) -> None:
        """Restore what `local_state` gave."""
        self._pixel.load_local_state(state)
        self._mixer.load_state_dict(state["mixer"])
        if self._jitter is not None:
            self._jitter.load_state_dict(state["jitter"])


def _check_normalisation(config: MadanConfig, segmenter: nn.Module) -> None:
    if config.normalisation == "own" and not any(isinstance(layer, _BatchNorm) for layer in segmenter.modules()):
        raise ConfigurationError(
            "own means that each domain has batch statistics of its own, and the segmenter has no batch normalisation",
            where="method.normalisation",
            remedy="Leave it out.",
        )


def _logits(output: SegmenterOutput, mask: Tensor) -> Tensor:
    """Scores at the size of their labels [B,H,W]."""
    height, width = mask.shape[-2:]
    return upsample_logits(output.logits, (height, width))


def _total(losses: Mapping[str, Tensor], stage: Stage) -> Tensor:
    """The weighted sum of what generators and segmenter minimise: one number for the curve."""
    weights = {
        "gan_to_target": stage.gan, "gan_to_source": stage.gan, "cycle": stage.cycle, "semantic": stage.semantic,
        "sad": stage.sad, "ccd": stage.ccd, "task": stage.task, "source": stage.source, "feature": stage.feature,
        "score": stage.score, "category": stage.category, "self_training": stage.self_training,
    }  # fmt: skip
    return torch.stack([weight * losses[name] for name, weight in weights.items() if name in losses]).sum()
