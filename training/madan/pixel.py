"""Pixel-level adaptation: generators both ways for each source, their discriminators, and their two phases.

Legend: `B` batch, `H W` pixels, `M` sources. `G_i` translates source i to the target, `G'_i` the target to source i.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from isthmus.training.adversarial import discriminator_loss, held_still, least_squares
from isthmus.training.discriminators import PatchDiscriminator
from isthmus.training.generators import ResnetGenerator
from isthmus.training.image_pool import ImagePool
from isthmus.training.madan.aggregation import Aggregation, PaperAggregation, SharedAggregation
from isthmus.training.madan.config import MadanConfig
from isthmus.training.madan.losses import cross_cycle_loss, cycle_loss
from isthmus.training.madan.semantics import Semantics
from isthmus.training.madan.stages import Stage
from isthmus.training.reproducibility import draws_of
from isthmus.training.runtime import Runtime

_BETAS: Final = (0.5, 0.999)
T = TypeVar("T")


class Frames(NamedTuple):
    """What one step sees, whole or cropped."""

    images: Sequence[Tensor]
    """[B,3,H,W] of each source."""
    masks: Sequence[Tensor]
    """[B,H,W] of each source."""
    target: Tensor
    """[B,3,H,W]."""


class Translated(NamedTuple):
    """What came of one source in the generator phase, detached: what discriminators learn from.

    Batches of all scales lie one after the other, the whole frames' first: `K` is their number.
    """

    adapted: Tensor
    """G_i(x_i), [KB,3,H,W]."""
    reconstructed: Tensor
    """G'_i(G_i(x_i))."""
    returned: Tensor
    """G'_i(x_T)."""
    crossed: Mapping[int, Tensor]
    """G'_j(G_i(x_i)) by j: this source's images on their way to others, for the cross-domain cycle."""


class Losses(NamedTuple):
    """Detached and unweighted, by name."""

    means: dict[str, Tensor]
    """Over the sources; the sum over all D_A^i in the paper's form of (5)."""
    by_source: dict[str, Tensor]
    """Those of source i by `NAME.i`; none where there is one source."""


class PixelAdaptation:
    """Adversarial pixel alignment with cycle, semantic, aggregation and cross-domain-cycle terms.

    The generator phase holds all discriminators still and works source by source: all terms that need source i's
    forward pass are summed and sent back before the next source begins, so that one graph lives at a time. With
    `per_source_backward: false` one backward pass goes through all of them; the gradients are the same.

    Args:
        config: Of the method.
        num_sources: M; 0 where there is no pixel level, and then there are no networks.
        runtime: Where it computes.
        seed: Of pools and of the draws of this process.
        network_seed: Of the networks' first weights, the same in all processes. Each network draws for itself: it
            begins alike whichever parts play.
    """

    def __init__(
        self, config: MadanConfig, num_sources: int, runtime: Runtime, *, seed: int, network_seed: int
    ) -> None:
        def drawn(name: str, build: Callable[[], T]) -> T:
            with draws_of(network_seed, name):
                return build()

        def judge() -> PatchDiscriminator:
            return PatchDiscriminator(config.discriminator)

        self._config, self._runtime, self._num_sources = config, runtime, num_sources
        self.to_target, self.to_source = (
            [drawn(f"{kind} {i}", lambda: ResnetGenerator(config.generator)) for i in range(num_sources)]
            for kind in ("to target", "to source")
        )
        self.target_discriminator = drawn("target", judge) if config.weights.gan > 0 else None
        plays = config.weights.gan > 0 or (num_sources > 1 and config.weights.ccd > 0)
        self.source_discriminators = [drawn(f"source {i}", judge) for i in range(num_sources * plays)]
        self.aggregation: Aggregation | None = None
        if num_sources > 1 and config.weights.sad > 0:
            form = PaperAggregation if config.formulation == "paper" else SharedAggregation
            self.aggregation = drawn("aggregation", lambda: form(config.discriminator, num_sources))
        for network in (*self._generators(), *self._discriminators()):
            runtime.place(network)
            for one in network if isinstance(network, nn.ModuleList) else (network,):
                runtime.compile_calls(one)
        for generator in self._generators():
            generator.checkpointing = config.checkpointing
        self._generator_optimiser = _adam(self._generators(), config.learning_rate)
        self._discriminator_optimiser = _adam(self._discriminators(), config.learning_rate)
        names = [f"{kind}.{i}" for kind in ("adapted", "returned", "crossed") for i in range(num_sources)]
        self._pools = {name: ImagePool(config.pool_size, seed + number) for number, name in enumerate(names)}
        self._draws = torch.Generator().manual_seed(seed + len(names))

    @property
    def networks(self) -> dict[str, nn.Module]:
        """All of them by name."""
        networks: dict[str, nn.Module] = {}
        if self.target_discriminator is not None:
            networks["target_discriminator"] = self.target_discriminator
        for kind in ("to_target", "to_source"):
            networks |= {f"generator_{kind}_{i}": network for i, network in enumerate(getattr(self, kind))}
        networks |= {f"source_discriminator_{i}": one for i, one in enumerate(self.source_discriminators)}
        if self.aggregation is not None:
            networks["aggregation_discriminator"] = self.aggregation.network
        return networks

    def update_generators(self, crop: Frames, stage: Stage, semantics: Semantics) -> tuple[Losses, list[Translated]]:
        """One step of all generators: (1) to (6) of MADAN.

        Returns:
            Losses, and each source's translations.
        """
        assert self._generator_optimiser is not None, "no stage without generators has them learn"
        partners = self._draw_partners(stage)
        self._generator_optimiser.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        by_source: dict[str, Tensor] = {}
        waiting: list[Tensor] = []
        translated = []
        with held_still(*self._discriminators()):
            for source in range(self._num_sources):
                total, losses, result = self._source_terms(source, crop, stage, semantics, partners)
                if self._config.per_source_backward:
                    cast(Any, total).backward()
                else:
                    waiting.append(total)
                for name, loss in losses.items():
                    sums[name] = sums.get(name, loss.new_zeros(())) + loss.detach() / self._num_sources
                    if self._num_sources > 1:
                        by_source[f"{name}.{source}"] = loss.detach()
                translated.append(result)
            if waiting:
                cast(Any, torch.stack(waiting).sum()).backward()
        self._runtime.world.average_gradients(_parameters(self._generators()))
        self._generator_optimiser.step()
        return Losses(sums, by_source), translated

    def update_discriminators(self, crop: Frames, translated: Sequence[Translated]) -> Losses:
        """One step of all discriminators on images from the pools; of D_T, source i's is against its images."""
        losses: dict[str, list[Tensor]] = {}
        adapted = [self._pools[f"adapted.{i}"].exchange(one.adapted) for i, one in enumerate(translated)]
        with self._runtime.autocast():
            if self.target_discriminator is not None:
                real = self.target_discriminator(self._at_all_scales(crop.target))
                verdicts = [self.target_discriminator(images) for images in adapted]
                losses["target_discriminator"] = [discriminator_loss(real, verdict) for verdict in verdicts]
            own = [self._source_verdict_losses(source, crop, translated) for source in range(self._num_sources)]
            if any(own):
                losses["source_discriminator"] = [torch.stack(each).mean() for each in own]
            if self.aggregation is not None:  # learns before its generators' term begins, as the released code's does
                losses["aggregation_discriminator"] = self.aggregation.discriminator_losses(adapted)
        means = {name: torch.stack(each).mean() for name, each in losses.items()}
        if self._discriminator_optimiser is None or not means:
            return Losses({}, {})
        if "aggregation_discriminator" in means:
            means["aggregation_discriminator"] = torch.stack(losses["aggregation_discriminator"]).sum()
        self._discriminator_optimiser.zero_grad(set_to_none=True)
        # A sum over the sources' own discriminators, a mean over D_T's sides: no network learns faster for a larger M.
        shares = {"source_discriminator": float(self._num_sources)}
        cast(Any, torch.stack([shares.get(name, 1.0) * mean for name, mean in means.items()]).sum()).backward()
        self._runtime.world.average_gradients(_parameters(self._discriminators()))
        self._discriminator_optimiser.step()
        by_source = {
            f"{name}.{source}": loss.detach()
            for name, each in losses.items()
            if len(each) > 1
            for source, loss in enumerate(each)
        }
        return Losses({name: loss.detach() for name, loss in means.items()}, by_source)

    def adapt(self, image: Tensor, source: int) -> Tensor:
        """G_i(x_i) of whole frames [B,3,H,W] for the segmenter, without dropout."""
        return self._translate(self.to_target[source], image)

    def show(self, crop: Frames) -> list[Translated]:
        """What generators that hold still make of a step's crops, one scale of each and without dropout: to look at."""
        shown = []
        for source, image in enumerate(crop.images[: self._num_sources]):
            adapted = self.adapt(image, source)
            reconstructed, returned = (self._translate(self.to_source[source], one) for one in (adapted, crop.target))
            shown.append(Translated(adapted, reconstructed, returned, {}))
        return shown

    @torch.no_grad()
    def _translate(self, generator: ResnetGenerator, image: Tensor) -> Tensor:
        """One pass without gradients and dropout."""
        was_training = generator.training
        generator.eval()
        with self._runtime.autocast():
            translated: Tensor = generator(image)
        generator.train(was_training)
        return translated

    def draw_crop(self, frames: Frames) -> Frames:
        """The crops that this step's generators learn from: one place a batch, image and mask alike."""
        if self._config.crop_hw is None:
            return frames
        height, width = self._config.crop_hw
        images, masks = [], []
        for image, mask in zip(frames.images, frames.masks, strict=True):
            top, left = self._draw_place(image)
            images.append(image[..., top : top + height, left : left + width])
            masks.append(mask[..., top : top + height, left : left + width])
        top, left = self._draw_place(frames.target)
        return Frames(images, masks, frames.target[..., top : top + height, left : left + width])

    def _source_terms(
        self, source: int, crop: Frames, stage: Stage, semantics: Semantics, partners: Mapping[int, Sequence[int]]
    ) -> tuple[Tensor, dict[str, Tensor], Translated]:
        """All terms that hang on source i's forward passes: their weighted sum, and each unweighted."""
        totals: list[Tensor] = []
        losses: dict[str, Tensor] = {}
        results: list[Translated] = []
        with self._runtime.autocast():
            for scale in self._config.scales:
                image, target = _centre(crop.images[source], scale), _centre(crop.target, scale)
                total, terms, result = self._pair_terms(source, image, target, stage)
                if stage.semantic > 0:
                    mask = _centre(crop.masks[source], scale)
                    terms["semantic"] = semantics.loss(source, image, result.adapted, mask)
                    total = total + stage.semantic * terms["semantic"]
                totals.append(total)
                results.append(result)
                for name, term in terms.items():
                    losses[name] = losses.get(name, term.new_zeros(())) + term.detach()
            first = results[0]
            if self.aggregation is not None and stage.sad > 0:
                losses["sad"] = self.aggregation.generator_loss(first.adapted, source)
                totals.append(stage.sad * losses["sad"])
            crossed = {j: self.to_source[j](first.adapted) for j in partners[source]}
            if crossed:
                verdicts = [self.source_discriminators[j](one) for j, one in crossed.items()]
                drawn = self._config.formulation == "aggregated"
                losses["ccd"] = cross_cycle_loss(verdicts, self._num_sources, drawn=drawn)
                totals.append(stage.ccd * losses["ccd"])
        kept = Translated(
            adapted=torch.cat([one.adapted.detach() for one in results]),
            reconstructed=torch.cat([one.reconstructed.detach() for one in results]),
            returned=torch.cat([one.returned.detach() for one in results]),
            crossed={j: one.detach() for j, one in crossed.items()},
        )
        return torch.stack(totals).sum(), losses, kept

    def _pair_terms(
        self, source: int, image: Tensor, target: Tensor, stage: Stage
    ) -> tuple[Tensor, dict[str, Tensor], Translated]:
        """(1) to (3): the CycleGAN between source i and the target."""
        adapted = self.to_target[source](image)
        returned = self.to_source[source](target)
        with torch.set_grad_enabled(stage.cycle > 0):  # without that term it is for pictures alone
            reconstructed = self.to_source[source](adapted)
        terms: dict[str, Tensor] = {}
        total = adapted.new_zeros(())
        if self.target_discriminator is not None:
            terms["gan_to_target"] = least_squares(self.target_discriminator(adapted), real=True)
            terms["gan_to_source"] = least_squares(self.source_discriminators[source](returned), real=True)
            total = total + stage.gan * (terms["gan_to_target"] + terms["gan_to_source"])
        if stage.cycle > 0:
            target_again = self.to_target[source](returned)
            terms["cycle"] = cycle_loss(reconstructed, image) + cycle_loss(target_again, target)
            total = total + stage.cycle * terms["cycle"]
        return total, terms, Translated(adapted, reconstructed, returned, {})

    def _source_verdict_losses(self, source: int, crop: Frames, translated: Sequence[Translated]) -> list[Tensor]:
        """D_i's losses: real frames against G'_i(x_T) and, once they come, against others' crossed images (6)."""
        fakes = []
        if self._config.weights.gan > 0:
            fakes.append(self._pools[f"returned.{source}"].exchange(translated[source].returned))
        crossed = [one.crossed[source] for one in translated if source in one.crossed]
        if crossed:
            fakes.append(self._pools[f"crossed.{source}"].exchange(torch.cat(crossed)))
        if not fakes:
            return []
        judge = self.source_discriminators[source]
        real = judge(self._at_all_scales(crop.images[source]))
        return [discriminator_loss(real, judge(fake)) for fake in fakes]

    def _draw_partners(self, stage: Stage) -> dict[int, list[int]]:
        """For each source i, the sources j whose discriminators judge its crossed images at this step."""
        sources = range(self._num_sources)
        if stage.ccd == 0:
            return {i: [] for i in sources}
        if self._config.formulation == "paper":
            return {i: [j for j in sources if j != i] for i in sources}
        # Each D_j sees one other source a step, drawn evenly: the same expectation at M passes instead of M (M-1).
        partners: dict[int, list[int]] = {i: [] for i in sources}
        for j in sources:
            i = int(torch.randint(self._num_sources - 1, (), generator=self._draws))
            partners[i + (i >= j)].append(j)
        return partners

    def _at_all_scales(self, images: Tensor) -> Tensor:
        """What the generators were shown of real frames, [KB,3,H,W]."""
        return torch.cat([_centre(images, scale) for scale in self._config.scales])

    def _draw_place(self, image: Tensor) -> tuple[int, int]:
        assert self._config.crop_hw is not None
        spare = (side - crop for side, crop in zip(image.shape[-2:], self._config.crop_hw, strict=True))
        top, left = (int(torch.randint(one + 1, (), generator=self._draws)) for one in spare)
        return top, left

    def _generators(self) -> list[ResnetGenerator]:
        return [*self.to_target, *self.to_source]

    def _discriminators(self) -> list[nn.Module]:
        shared = [] if self.target_discriminator is None else [self.target_discriminator]
        extra = [] if self.aggregation is None else [self.aggregation.network]
        return [*shared, *self.source_discriminators, *extra]

    def state_dict(self) -> dict[str, Any]:
        """Moments of both optimisers."""
        return {
            "generators": self._generator_optimiser and self._generator_optimiser.state_dict(),
            "discriminators": self._discriminator_optimiser and self._discriminator_optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        if self._generator_optimiser is not None:
            self._generator_optimiser.load_state_dict(state["generators"])
        if self._discriminator_optimiser is not None:
            self._discriminator_optimiser.load_state_dict(state["discriminators"])

    def local_state(self) -> dict[str, Any]:
        """What differs between processes: pools and draws."""
        pools = {name: pool.state_dict() for name, pool in self._pools.items()}
        return {"pools": pools, "draws": self._draws.get_state()}

    def load_local_state(self, state: dict[str, Any]) -> None:
        """Restore what `local_state` gave."""
        for name, pool in self._pools.items():
            pool.load_state_dict(state["pools"][name])
        self._draws.set_state(state["draws"])


def _adam(networks: Sequence[nn.Module], learning_rate: float) -> torch.optim.Adam | None:
    """None without networks."""
    return torch.optim.Adam(_parameters(networks), lr=learning_rate, betas=_BETAS) if networks else None


def _parameters(networks: Iterable[nn.Module]) -> list[nn.Parameter]:
    return [parameter for network in networks for parameter in network.parameters()]


def _centre(tensor: Tensor, scale: float) -> Tensor:
    """The middle share of images [B,3,H,W] or masks [B,H,W], brought back to the size of the whole."""
    if scale == 1.0:
        return tensor
    height, width = tensor.shape[-2:]
    tall, wide = round(height * scale), round(width * scale)
    top, left = (height - tall) // 2, (width - wide) // 2
    cut = tensor[..., top : top + tall, left : left + wide]
    if tensor.ndim == 3:
        return functional.interpolate(cut[:, None].float(), (height, width), mode="nearest")[:, 0].to(tensor.dtype)
    return functional.interpolate(cut, (height, width), mode="bilinear", align_corners=False)
