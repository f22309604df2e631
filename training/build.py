"""From a configuration to the objects of a run: one visible place for each."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from isthmus.artifact import CardDataset
from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.catalogue import build_dataset, dataset_digest
from isthmus.datasets.sample import Batch
from isthmus.datasets.sampling import build_loader
from isthmus.datasets.transforms import build_training_transform
from isthmus.errors import CheckpointError
from isthmus.training.beginnings import earlier_runs, source_checkpoint_key
from isthmus.training.checkpoint import load_network, read_info, weights_file
from isthmus.training.config import TrainingConfig
from isthmus.training.frequencies import class_frequencies
from isthmus.training.generators import ResnetGenerator
from isthmus.training.losses import enet_weights
from isthmus.training.madan.color_maps import Colors, begin_with_colors, measure_colors
from isthmus.training.madan.config import MadanConfig
from isthmus.training.madan.method import Madan
from isthmus.training.madan.stages import learning_steps
from isthmus.training.method import Method
from isthmus.training.optim import ScheduledOptimiser, parameter_groups
from isthmus.training.randomization.config import RandomizationConfig
from isthmus.training.randomization.method import Randomization
from isthmus.training.randomization.styles.stylist import build_stylist
from isthmus.training.runtime import Runtime
from isthmus.training.segmenters import NUM_CLASSES, Segmenter, build_segmenter
from isthmus.training.source_only.method import SourceOnly
from isthmus.training.target_statistics.config import TargetStatisticsConfig
from isthmus.training.target_statistics.method import TargetStatistics


def build_method(
    config: TrainingConfig,
    sources: Sequence[SegmentationDataset],
    runtime: Runtime,
    *,
    resuming: bool,
    target: SegmentationDataset | None = None,
) -> Method:
    """The method of a run, its networks on the device.

    Args:
        config: The run's.
        sources: Its labelled sets, for what a method measures in them.
        runtime: Where it computes.
        target: Its unlabelled frames, for the same; methods that adapt need them.
        resuming: A checkpoint will fill weights and state in: fetch and measure nothing for them.

    Raises:
        CheckpointError: Weights of an earlier run cannot be had, or are another network's.
    """
    earlier = {} if resuming else earlier_runs(config)
    segmenter = build_segmenter(config.segmenter, load_weights=not resuming)
    runtime.place(segmenter)
    weights = None
    if not isinstance(config.method, TargetStatisticsConfig) and config.method.class_weights == "enet":
        weights = torch.ones(NUM_CLASSES) if resuming else enet_weights(class_frequencies(sources))
    if isinstance(config.method, MadanConfig):
        madan = _build_madan(config, config.method, segmenter, weights, runtime, resuming=resuming)
        begun = _fill_madan(madan, earlier)
        if config.method.generator.colors and not resuming:
            assert target is not None, "the configuration has seen to it"
            _color_generators(madan, config.method, sources, target, begun)
        return madan
    if "method.start_from" in earlier:
        load_network(segmenter, earlier["method.start_from"], "segmenter")
    if isinstance(config.method, TargetStatisticsConfig):
        return TargetStatistics(config.method, segmenter, runtime)
    optimiser = build_optimiser(config, segmenter, segmenter.encoder)
    if isinstance(config.method, RandomizationConfig):
        return Randomization(
            config.method,
            segmenter,
            optimiser,
            build_stylist(config.method.styles, seed=config.seed, device=runtime.device),
            class_weights=weights,
            runtime=runtime,
            total_steps=config.loop.steps,
            seed=config.seed,
        )
    return SourceOnly(segmenter, optimiser, weights, runtime)


def _build_madan(
    config: TrainingConfig,
    method: MadanConfig,
    segmenter: Segmenter,
    class_weights: Tensor | None,
    runtime: Runtime,
    *,
    resuming: bool,
) -> Madan:
    """MADAN with its source segmenters."""
    source_segmenters, optimisers = [], {}
    learning = learning_steps(method, config.loop.steps)
    for i in range(method.num_domains(len(config.sources)) * method.weights.has_pixel_level):
        one = build_segmenter(config.segmenter, load_weights=not resuming)
        runtime.place(one)
        source_segmenters.append(one)
        if not (method.source_checkpoints and method.source_checkpoints[i]):
            optimisers[i] = build_optimiser(config, one, one.encoder, num_steps=max(1, learning.warm_up))
    return Madan(
        method,
        segmenter,
        source_segmenters,
        (build_optimiser(config, segmenter, segmenter.encoder, num_steps=learning.number), optimisers),
        class_weights=class_weights,
        runtime=runtime,
        total_steps=config.loop.steps,
        seed=config.seed,
    )


def _color_generators(
    madan: Madan,
    method: MadanConfig,
    sources: Sequence[SegmentationDataset],
    target: SegmentationDataset,
    begun: Collection[str],
) -> None:
    """Begin generators with the domains' colours, but for those that an earlier run has given their weights."""
    domains = [
        [one for i, one in enumerate(sources) if method.domain_of(i) == domain] for domain in range(len(sources))
    ]
    generators = {name: one for name, one in madan.networks.items() if isinstance(one, ResnetGenerator)}
    fresh = {name: one for name, one in generators.items() if name not in begun}
    theirs = measure_colors([target]) if fresh else None
    measured: dict[int, Colors] = {}
    for name, network in fresh.items():
        assert theirs is not None, "it was measured for them"
        domain = int(name.rsplit("_", 1)[1])
        own = measured[domain] = measured.get(domain) or measure_colors(domains[domain])
        begin_with_colors(network, *((own, theirs) if name.startswith("generator_to_target") else (theirs, own)))


def _fill_madan(madan: Madan, earlier: Mapping[str, Path]) -> set[str]:
    """Weights of earlier runs: first those of `start_from`, then the source segmenters' own.

    Returns:
        Networks that `start_from` holds by their own names.

    Raises:
        CheckpointError: `start_from` is a MADAN run without segmenters of sources that `source_checkpoints` leaves
            out, or weights do not fit.
    """
    networks = dict(madan.networks)
    stored: set[str] = set()
    sources = [name for name in networks if name.startswith("source_segmenter_")]
    folder = earlier.get("method.start_from")
    if folder is not None:
        stored = {name for name in networks if weights_file(folder, name).is_file()}
        for name in stored:
            load_network(networks[name], folder, name)
        own = {name for number, name in enumerate(sources) if source_checkpoint_key(number) in earlier}
        missing = {*sources} - stored - own
        if missing and read_info(folder).method == "madan":
            raise CheckpointError(
                f"a run of method madan, whose segmenter is adapted, without {' and '.join(sorted(missing))}",
                where=f"method.start_from: {folder}",
                remedy="Name a source-only run for each source in method.source_checkpoints, or begin with a "
                "source-only run.",
            )
        for name in {*missing, "adapted_segmenter"} - stored:  # a run of another method stands for all of them
            load_network(networks[name], folder, "segmenter")
    for number, name in enumerate(sources):
        checkpoint = earlier.get(source_checkpoint_key(number))
        if checkpoint is not None:
            load_network(networks[name], checkpoint, "segmenter")
    return stored


def build_optimiser(
    config: TrainingConfig, network: nn.Module, encoder: nn.Module, *, num_steps: int | None = None
) -> ScheduledOptimiser:
    """The optimiser of a segmenter, over groups for its encoder and the rest.

    Args:
        config: Of the run.
        network: The segmenter.
        encoder: Its pretrained part.
        num_steps: Over which the schedule is spread; null takes the whole run.
    """
    assert config.optimiser is not None, "the configuration has seen to it"
    assert config.schedule is not None, "the configuration has seen to it"
    groups = parameter_groups(network, encoder, config.optimiser)
    return ScheduledOptimiser(groups, config.optimiser, config.schedule, num_steps or config.loop.steps)


def build_streams(
    config: TrainingConfig,
    sources: Sequence[SegmentationDataset],
    target: SegmentationDataset | None,
    runtime: Runtime,
    step: int,
) -> tuple[list[Iterator[Batch]], Iterator[Batch] | None]:
    """Endless batches of each source and of the target, as they come at `step`."""

    def stream(dataset: SegmentationDataset, name: str, *, labelled: bool) -> Iterator[Batch]:
        world = runtime.world
        return build_loader(
            dataset,
            transform=build_training_transform(config.augmentation),
            seed=config.seed,
            stream=name,
            batch_size=config.loop.batch_size,
            start_draw=step * world.size * config.loop.batch_size,
            num_workers=config.loop.num_workers,
            rank=world.rank,
            world_size=world.size,
            labelled=labelled,
            cache_mb=config.loop.cache_mb,
            pin_memory=runtime.device.type == "cuda",
        )

    return (
        [stream(one, f"source.{i}.{one.dataset_name}", labelled=True) for i, one in enumerate(sources)],
        None if target is None else stream(target, f"target.{target.dataset_name}", labelled=False),
    )


def describe_datasets(
    config: TrainingConfig, on_frame: Callable[[int, int], None] | None = None
) -> tuple[CardDataset, ...]:
    """All data sets of a run with their roles, sizes and digests; reads every label file once, the target's never.

    Args:
        config: The run's.
        on_frame: Called after each frame with the numbers done and in all, of one data set after the other.
    """
    described: dict[tuple[int, bool], tuple[SegmentationDataset, str]] = {}
    cards = []
    for role, wanted in config.roles:
        labelled = role != "target"
        key = config.datasets.index(wanted), labelled
        if key not in described:
            opened = build_dataset(wanted, labelled=labelled)
            described[key] = opened, dataset_digest(opened, on_frame)
        dataset, digest = described[key]
        cards.append(
            CardDataset(
                role=role,
                dataset=dataset.dataset_name,
                split=wanted.split_and_part,
                num_frames=len(dataset),
                digest=digest,
            )
        )
    return tuple(cards)


def shared_train_ids(sources: Sequence[SegmentationDataset]) -> tuple[int, ...]:
    """Train ids that every source labels: what `miou_shared` averages over (16 with SYNTHIA among them)."""
    return tuple(sorted(frozenset.intersection(*(source.labelled_train_ids for source in sources))))
