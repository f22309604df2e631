"""Domain randomization with pyramid consistency as a method of the loop: the order of one step.

Legend: `N` frames of all sources together, `n` views and crops of each at hand, `C` channels, `h w` cells of a map.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from isthmus.datasets.label_space import IGNORE_INDEX
from isthmus.datasets.sample import Batch
from isthmus.training.losses import cross_entropy
from isthmus.training.method import StepResult
from isthmus.training.optim import ScheduledOptimiser
from isthmus.training.randomization.config import RandomizationConfig
from isthmus.training.randomization.consistency import Part, Targets, crop_consistency, domain_consistency, parts_of
from isthmus.training.randomization.layers import LOGITS, WithLayers
from isthmus.training.randomization.pictures import Shown, draw
from isthmus.training.randomization.scene import Scene, build_scene
from isthmus.training.randomization.styles.record import DOMAINS_FILE, check_same_domains
from isthmus.training.randomization.styles.stylist import Stylist
from isthmus.training.runtime import Runtime
from isthmus.training.segmenters import Segmenter, upsample_logits


class Randomization:
    """Domain randomization and pyramid consistency (Yue et al., ICCV 2019, arXiv:1909.00889).

    L = L_seg + alpha_PCD L_PCD + alpha_PCI L_PCI: cross-entropy on each frame in several styles and on crops of them,
    with what the network makes of them drawn together. Several sources are randomized alike and seen together. With
    one view and no consistency it is source-only training, bit for bit.

    *Deviations*: a mean over pixels of all views and crops where the paper sums over styles; the weights grow from 0,
    since early predictions agree on nothing worth keeping; see also `consistency` and `styles`.

    Args:
        config: Of the method.
        segmenter: Already placed on the runtime's device.
        optimiser: Over the segmenter's parameters.
        stylist: Makes the views.
        class_weights: [C] weights of true classes in the segmentation loss, or None.
        runtime: Precision and processes.
        total_steps: Of the whole run.
        seed: Of the run.

    Raises:
        ConfigurationError: Consistency names a stage that the encoder lacks.
    """

    name = "randomization"

    def __init__(
        self,
        config: RandomizationConfig,
        segmenter: Segmenter,
        optimiser: ScheduledOptimiser,
        stylist: Stylist,
        *,
        class_weights: Tensor | None,
        runtime: Runtime,
        total_steps: int,
        seed: int,
    ) -> None:
        self._config, self._runtime, self._total_steps, self._seed = config, runtime, total_steps, seed
        self._segmenter, self._optimiser, self._stylist = segmenter, optimiser, stylist
        self._class_weights = None if class_weights is None else class_weights.to(runtime.device)
        consistency = config.consistency
        plays = max(consistency.weight_pcd, consistency.weight_pci) > 0
        self._layers = [name for name in consistency.layers if name != LOGITS] if plays else []
        self._network = WithLayers(segmenter, self._layers)
        self._parallel = runtime.parallel(self._network)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The segmenter alone: checkpoints name the frozen generators of translated styles, see `state_dict`."""
        return {"segmenter": self._segmenter}

    @property
    def segmenter(self) -> nn.Module:
        """The network that is trained."""
        return self._segmenter

    def write_styles(self, folder: Path) -> Path:
        """Write what the style domains are made of into a run's folder; gives the file."""
        self._stylist.write(folder)
        return folder / DOMAINS_FILE

    def train_step(self, step: int, sources: Sequence[Batch], target: Batch | None) -> StepResult:  # noqa: ARG002
        """One step: randomize, cut crops, and learn from all of them, in one pass or in several.

        Args:
            step: Index of this step.
            sources: One labelled batch a source, all of one size.
            target: Ignored.
        """
        with self._runtime.autocast():  # of styles, generators alone heed it
            scene = build_scene(self._config, self._stylist, sources, (self._seed, step, self._runtime.world.rank))
        parts = parts_of(scene.num_views, scene.num_crops, self._config.views_per_pass)
        targets = self._targets(scene, parts)
        pixels = self._pixels(scene.masks)
        losses: dict[str, Tensor] = {}
        kept = []
        keeps_frames = self._config.running_statistics == "frames"
        before = [buffer.clone() for buffer in self._segmenter.buffers()] if keeps_frames else []
        self._optimiser.zero_grad()
        for part in parts:
            logits, terms = self._learn(step, scene, part, targets, pixels)
            for name, term in terms.items():
                losses[name] = losses[name] + term if name in losses else term
            kept.append(logits)
        metrics = self._optimiser.step(step)
        if keeps_frames:
            self._keep_statistics_of(scene.images[:1], before)
        if "pcd" in losses or "pci" in losses:
            metrics = {**metrics, "consistency_ramp": self._ramp(step)}
        shown = Shown(scene.images[:, 0].clone(), scene.masks[:, 0].clone(), torch.cat(kept), scene.num_views)
        return StepResult(losses=losses, metrics=metrics, pictures=partial(draw, shown))

    def _targets(self, scene: Scene, parts: Sequence[Part]) -> Targets | None:
        """Those of the consistency, empty where the first part will fill them; None where it does not play.

        Where views come in several parts none has seen all, so they go through once before, without gradients.
        """
        consistency = self._config.consistency
        if max(consistency.weight_pcd, consistency.weight_pci) == 0:
            return None
        targets = Targets(consistency, scene.num_views, scene.crops, scene.size_hw)
        if len(parts[0].views) < scene.num_views:
            with torch.no_grad(), _unmoved(self._segmenter, self._runtime.device):
                for part in parts:
                    if part.views:
                        targets.add(part.views, self._forward(self._network, scene.of(part)[0])[1])
        return targets

    def _learn(
        self, step: int, scene: Scene, part: Part, targets: Targets | None, pixels: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Gradients of a part's share of the loss.

        Returns:
            The first frame's logits [n,C,h,w], and the part's share of each loss.
        """
        images, masks = scene.of(part)
        logits, maps = self._forward(self._parallel, images)
        masks = masks.flatten(0, 1)
        share = self._pixels(masks) / pixels
        segmentation = share * cross_entropy(upsample_logits(logits, scene.size_hw), masks, self._class_weights)
        losses = {"segmentation": segmentation}
        total = segmentation
        if targets is not None:
            if not targets.is_complete:
                targets.add(part.views, maps)
            weights = {"pcd": self._config.consistency.weight_pcd, "pci": self._config.consistency.weight_pci}
            for name, loss in self._consistency(scene, part, maps, targets).items():
                losses[name] = loss
                total = total + self._ramp(step) * weights[name] * loss
        # torch leaves the tensor's method untyped under strict checking.
        cast(Any, total).backward()
        losses["total"] = total
        first = logits.detach()[:: images.shape[1]].clone()
        return first, {name: loss.detach() for name, loss in losses.items()}

    def _consistency(self, scene: Scene, part: Part, maps: Mapping[str, Tensor], targets: Targets) -> dict[str, Tensor]:
        """A part's share of L_PCD and L_PCI, unweighted."""
        config, num_views = self._config.consistency, len(part.views)
        losses = {}
        if config.weight_pcd > 0 and part.views:
            views = {name: one[:num_views] for name, one in maps.items()}
            share = num_views / scene.num_views
            losses["pcd"] = share * domain_consistency(config, views, targets, scene.size_hw)
        if part.crops:
            crops = {name: one[num_views:] for name, one in maps.items()}
            share = len(part.crops) / scene.num_crops
            losses["pci"] = share * crop_consistency(config, crops, targets, part.crops, scene.size_hw)
        return losses

    def _forward(self, network: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits [nN,C,h,w] of images [n,N,3,H,W], and the maps [n,N,C,h,w] that consistency acts on, float32."""
        layout = torch.channels_last if self._runtime.channels_last else torch.contiguous_format
        with self._runtime.autocast():
            logits, *layers = network(images.flatten(0, 1).contiguous(memory_format=layout))
        consistency = self._config.consistency
        maps: dict[str, Tensor] = dict(zip(self._layers, layers, strict=True))
        if max(consistency.weight_pcd, consistency.weight_pci) > 0 and LOGITS in consistency.layers:
            maps[LOGITS] = logits.softmax(1)
        return logits, {name: one.float().reshape(*images.shape[:2], *one.shape[1:]) for name, one in maps.items()}

    @torch.no_grad()
    def _keep_statistics_of(self, frames: Tensor, before: Sequence[Tensor]) -> None:
        """Running statistics go on from what they were before the step, by frames [1,N,3,H,W] alone."""
        for buffer, value in zip(self._segmenter.buffers(), before, strict=True):
            buffer.copy_(value)
        with torch.random.fork_rng([self._runtime.device] if self._runtime.device.type == "cuda" else []):
            self._forward(self._network, frames)

    def _ramp(self, step: int) -> float:
        """What the consistency weights are multiplied by; the first step already moves it."""
        share = self._config.consistency.ramp
        return min((step + 1) / (share * self._total_steps), 1.0) if share > 0 else 1.0

    def _pixels(self, masks: Tensor) -> Tensor:
        """What `cross_entropy` divides by: valid pixels, or the sum of their classes' weights."""
        valid = masks[masks != IGNORE_INDEX]
        if self._class_weights is None:
            return valid.new_tensor(valid.numel(), dtype=torch.float32).clamp_min(1.0)
        return self._class_weights[valid].sum().clamp_min(torch.finfo(torch.float32).tiny)

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's moments, the class weights, and which styles they were learned with, by path and digest."""
        return {
            "optimiser": self._optimiser.state_dict(),
            "class_weights": self._class_weights,
            "styles": self._stylist.describe(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave.

        Raises:
            CheckpointError: The style domains are others than they were.
        """
        check_same_domains(state["styles"], self._stylist.describe())
        self._optimiser.load_state_dict(state["optimiser"])
        weights = state["class_weights"]
        self._class_weights = None if weights is None else weights.to(self._runtime.device)

    def local_state(self) -> dict[str, Any]:
        """Nothing: views and crops follow from seed, step and rank."""
        return {}

    def load_local_state(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


@contextmanager
def _unmoved(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Passes in here leave running statistics and random states as they were: later ones repeat their dropout."""
    before = [(buffer, buffer.clone()) for buffer in network.buffers()]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
    for buffer, value in before:
        buffer.copy_(value)
