"""All measurements that a gate's rules need, over all its frames; frames that cannot be read leave a reason behind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from isthmus.errors import ContractError, DataError
from isthmus.training.gate.config import GateConfig, TargetConfig, UnlabelledConfig
from isthmus.training.gate.evidence import Latency, TargetEvidence
from isthmus.training.gate.latency import measure_latency
from isthmus.training.gate.measuring import OpenFrames, Tick, measure_source, measure_target, measure_unlabelled
from isthmus.training.gate.observation import Bytes, Observation
from isthmus.training.golden import decode_golden
from isthmus.training.onnx_model import OnnxModel


@dataclass(slots=True)
class Survey:
    """What was measured, before any rule is asked. Lists have one entry a model."""

    opened: dict[str, OpenFrames] = field(default_factory=dict)
    """Targets by title."""
    targets: dict[str, list[TargetEvidence]] = field(default_factory=dict)
    """By title."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Why a target has no evidence, by title."""
    source: OpenFrames | None = None
    source_unreadable: str = ""
    """Why source frames that are asked for told nothing."""
    latency: list[Latency] | None = None

    def evidence(self, number: int) -> tuple[TargetEvidence, ...]:
        """On all targets, of one model."""
        return tuple(found[number] for found in self.targets.values())


def survey(models: Sequence[OnnxModel], gate: GateConfig, on_progress: Callable[[int, int], None] | None) -> Survey:
    """Measure.

    Args:
        models: The challenger and, where there is one, the champion.
        gate: What its rules need is measured.
        on_progress: Called after each frame with the number done and the number in all.
    """
    found = Survey()
    _open_all(gate, found)
    tick = _counter(_num_frames(gate, found), on_progress)
    observed = _observe_source(models, gate, found, tick)
    for config in gate.all_targets:
        if config.title in found.opened:
            try:
                frames = found.opened[config.title]
                found.targets[config.title] = _measure(
                    models, config, frames, observed, with_styles=_with_styles(gate), tick=tick
                )
            except DataError as error:
                found.unreadable[config.title] = str(error)
    if gate.latency is not None:
        predicts = [model.predict for model in models]
        found.latency = measure_latency(predicts, _timed_frame(models[0], found), gate.latency.calls)
    return found


def _open_all(gate: GateConfig, found: Survey) -> None:
    if gate.source is not None:
        try:
            found.source = OpenFrames.open(gate.source, labelled=True)
        except DataError as error:
            found.source_unreadable = str(error)
    for config in gate.all_targets:
        try:
            found.opened[config.title] = OpenFrames.open(config, labelled=isinstance(config, TargetConfig))
        except DataError as error:
            found.unreadable[config.title] = str(error)


def _observe_source(
    models: Sequence[OnnxModel], gate: GateConfig, found: Survey, tick: Tick
) -> list[Observation] | None:
    if found.source is None:
        return None
    predicts = [model.predict for model in models]
    try:
        return measure_source(predicts, found.source, with_styles=_with_styles(gate), tick=tick)
    except DataError as error:
        found.source_unreadable = str(error)
        return None


def _measure(
    models: Sequence[OnnxModel],
    config: TargetConfig | UnlabelledConfig,
    frames: OpenFrames,
    source: list[Observation] | None,
    *,
    with_styles: bool,
    tick: Tick,
) -> list[TargetEvidence]:
    predicts = [model.predict for model in models]
    if isinstance(config, UnlabelledConfig):
        return measure_unlabelled(predicts, frames, config, source=source, tick=tick)
    return measure_target(predicts, frames, config, source=source, with_styles=with_styles, tick=tick)


def _with_styles(gate: GateConfig) -> bool:
    """Where an estimate by style is asked for, labelled frames are estimated so too, to show what it is worth."""
    return any(config.estimates_by_style for config in gate.unlabelled)


def _num_frames(gate: GateConfig, found: Survey) -> int:
    number = 0 if found.source is None else len(found.source.indices)
    number += sum(len(frames.indices) for frames in found.opened.values())
    for config in gate.targets:
        if config.robustness is not None and config.title in found.opened:
            cases = len(config.robustness.min_retained) * len(config.robustness.severities)
            number += cases * min(config.robustness.max_frames, len(found.opened[config.title].indices))
    return number


def _counter(total: int, on_progress: Callable[[int, int], None] | None) -> Tick:
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(done, total)

    return tick


def _timed_frame(model: OnnxModel, found: Survey) -> Bytes:
    """A frame of the first target: its size is what counts; a golden frame where there is none."""
    for title in found.targets:
        frames = found.opened[title]
        return frames.dataset.read_unlabelled(frames.indices[0])["image"]
    return decode_golden(model.card.golden)[0]


def golden_agreement(model: OnnxModel) -> float | None:
    """As `OnnxModel.golden_agreement`; None where the card's frame cannot be read."""
    try:
        return model.golden_agreement()
    except ContractError:
        return None
