"""One run judged on many targets that it never trained on: the protocol of DRPC (Yue et al., arXiv:1909.00889).

A run is judged once: at the step that its own rule chose, the best on held-out frames of a source or, without
validation, the last. What each target's labels would have chosen stands apart: later works criticise scores that were
picked so, and the difference shows by how much picking flatters.
"""

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from isthmus.configuration import flatten, load_config
from isthmus.errors import ConfigurationError
from isthmus.training.judged_runs import CONFIG_FILE, JudgedRun, Target, read_run

OPTIMISTIC: Final = "best per target, optimistic: chosen with the target's own labels"
"""What the maximum over a run's evaluations is called wherever it is shown."""

_FREE_BETWEEN_SEEDS: Final = re.compile(
    r"seed|loop\.(keep_last|num_workers|cache_mb)|.*\broot"
    r"|method\.(source_checkpoints|start_from|styles\.images|styles\.translation\.checkpoints).*"
)
"""Keys in which the runs of one name may differ: the seed, where files lie, and how data are loaded."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Of one number over seeds."""

    mean: float
    std: float | None
    """Sample standard deviation; None for one seed."""

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that share all but the seed, by seed."""

    runs: tuple[JudgedRun, ...]

    @property
    def name(self) -> str:
        """Of the runs."""
        return self.runs[0].name


@dataclass(frozen=True, slots=True)
class Report:
    """Runs that are judged on the same targets."""

    targets: tuple[Target, ...]
    groups: tuple[Group, ...]

    @property
    def runs(self) -> list[JudgedRun]:
        """All of them, group by group."""
        return [run for group in self.groups for run in group.runs]

    def to_tree(self) -> dict[str, Any]:
        """Plain values for JSON; mIoU in [0, 1]."""
        return {
            "targets": [
                {**asdict(target), "num_classes": target.num_classes, "num_occurring": target.num_occurring}
                for target in self.targets
            ],
            "groups": [_group_tree(group) for group in self.groups],
        }


def mean_over_targets(scores: Mapping[str, float]) -> float:
    """The unweighted mean: a target counts once, however many frames and classes it has."""
    return statistics.fmean(scores.values())


def spreads_of(scores: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Each target's spread over runs.

    Args:
        scores: Of each run, by target.
    """
    return {title: Spread.of([each[title] for each in scores]) for title in scores[0]}


def mean_spread(scores: Sequence[Mapping[str, float]]) -> Spread:
    """The spread over runs of their unweighted means over targets; scores as in `spreads_of`."""
    return Spread.of([mean_over_targets(each) for each in scores])


def report_on(folders: Sequence[Path]) -> Report:
    """Read finished runs and bring their seeds together.

    Args:
        folders: Output folders of `isthmus train`.

    Raises:
        ConfigurationError: No folder is given; a run cannot be judged so, see `read_run`; runs are judged on no target
            or on different ones; runs of one name have the same seed or differ in more than it.
        UnreadableFileError: A history is damaged.
    """
    if not folders:
        raise ConfigurationError("no run named", remedy="Name output folders of `isthmus train`.")
    runs = [read_run(folder) for folder in folders]
    _check_targets(runs)
    names = dict.fromkeys(run.name for run in runs)
    groups = [sorted((run for run in runs if run.name == name), key=lambda run: run.seed) for name in names]
    for group in groups:
        _check_only_seeds_differ(group)
    return Report(runs[0].targets, tuple(Group(tuple(group)) for group in groups))


def _check_targets(runs: Sequence[JudgedRun]) -> None:
    unjudged = [str(run.folder) for run in runs if not run.targets]
    if unjudged:
        raise ConfigurationError(
            f"judged on no target: {', '.join(unjudged)}",
            remedy="Leave it out, or train it with the unseen sets under evaluated_on.",
        )
    first, *others = runs
    differing = [f"{run.folder}: {text}" for run in others if (text := _differences(first, run))]
    if differing:
        titles = ", ".join(target.title for target in first.targets)
        raise ConfigurationError(
            f"the runs' targets differ. {first.folder} is judged on {titles}; " + "; ".join(differing),
            remedy="Report runs together that are judged on the same frames.",
        )


def _differences(first: JudgedRun, run: JudgedRun) -> str:
    """What a run's targets have, lack or hold other than the first run's; their order plays no role."""
    theirs, ours = ({target.title: target for target in each.targets} for each in (run, first))
    found = [f"lacks {title}" for title in ours.keys() - theirs.keys()]
    found += [f"has {title} as well" for title in theirs.keys() - ours.keys()]
    for title in ours.keys() & theirs.keys():
        then, now = asdict(ours[title]), asdict(theirs[title])
        keys = [key for key in then if then[key] != now[key]]
        if keys == ["true_pixels"]:
            found.append(f"{title} has other labels")
        elif keys:
            changed = (f"{key} {now[key]}, not {then[key]}" for key in keys if key != "true_pixels")
            found.append(f"{title} has {', '.join(changed)}")
    return ", ".join(sorted(found))


def _check_only_seeds_differ(runs: Sequence[JudgedRun]) -> None:
    """A spread over seeds is one only where nothing else differs."""
    first, *others = ((run, flatten(load_config(run.folder / CONFIG_FILE, dict))) for run in runs)
    for before, run in pairwise(runs):
        if before.seed == run.seed:
            raise ConfigurationError(
                f"{before.folder} and {run.folder} are both seed {run.seed} of {run.name}",
                remedy="Name one of them, or train what is configured otherwise under a name of its own: --set name=…",
            )
    for run, settings in others:
        keys = sorted(key for key in first[1].keys() | settings.keys() if first[1].get(key) != settings.get(key))
        changed = [
            f"{key} ({first[1].get(key)} and {settings.get(key)})"
            for key in keys
            if not _FREE_BETWEEN_SEEDS.fullmatch(key)
        ]
        if changed:
            raise ConfigurationError(
                f"{first[0].folder} and {run.folder} are both {run.name}, but differ in more than the seed: "
                + ", ".join(changed),
                remedy="Report them apart.",
            )


def _group_tree(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "method": group.runs[0].method,
        "chosen": _scores_tree([run.miou for run in group.runs]),
        "optimistic": {"what": OPTIMISTIC, **_scores_tree([run.best_miou for run in group.runs])},
        "runs": [_run_tree(run) for run in group.runs],
    }


def _scores_tree(scores: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    spreads = {title: asdict(spread) for title, spread in spreads_of(scores).items()}
    return {"miou": spreads, "mean_over_targets": asdict(mean_spread(scores))}


def _run_tree(run: JudgedRun) -> dict[str, Any]:
    best = {title: {"step": step, "miou": miou} for title, (step, miou) in run.best.items()}
    return {
        "run": str(run.folder),
        "seed": run.seed,
        "step": run.step,
        "chosen_by": run.chosen_by,
        "predicted": run.predicted,
        "seen_in_training": list(run.seen),
        "ancestry": list(run.ancestry),
        "num_evaluations": run.num_evaluations,
        "miou": run.miou,
        "mean_over_targets": mean_over_targets(run.miou),
        "optimistic": {"what": OPTIMISTIC, "best": best, "mean_over_targets": mean_over_targets(run.best_miou)},
    }
