"""Whether a checkpoint and the run that wants to go on from it belong together."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from isthmus.artifact import CardDataset
from isthmus.errors import CheckpointError, ConfigurationError
from isthmus.training.checkpoint import CheckpointInfo
from isthmus.training.config import TrainingConfig, changed_keys, moved_roots
from isthmus.training.reproducibility import Provenance

_KEYS_SHOWN: Final = 5
"""Keys that differ, in a message; the others are counted."""


def check_same_configuration(info: CheckpointInfo, config: TrainingConfig, output: Path) -> None:
    """Refuse a run that was configured otherwise.

    Raises:
        ConfigurationError: Naming the method, where that differs already, else the first keys that do and a count.
    """
    if info.method != config.method.name:  # all its keys differ then, and say nothing
        raise ConfigurationError(
            f"the run in this folder is of method {info.method}, this configuration of {config.method.name}",
            where=output,
            remedy="Resume with the configuration of that run, or train in another folder.",
        )
    changed = changed_keys(info.config, config)
    if changed:
        others = len(changed) - _KEYS_SHOWN
        more = f", and {others} more" if others > 0 else ""
        raise ConfigurationError(
            f"the run in this folder was configured otherwise: {', '.join(changed[:_KEYS_SHOWN])}{more}",
            where=output,
            remedy="Resume with the same configuration, or train in another folder.",
        )


def check_same_frames(info: CheckpointInfo, cards: Sequence[CardDataset], checkpoint: Path) -> None:
    """Refuse other frames than the run began with, wherever they lie.

    Raises:
        CheckpointError: Naming the data sets that differ.
    """
    changed = [now.dataset for then, now in zip(info.datasets, cards, strict=True) if then != now]
    if changed:
        raise CheckpointError(
            f"data sets changed since it was written: {', '.join(changed)}",
            where=checkpoint,
            remedy="Put the same frames back, or train in another folder.",
        )


def check_same_order(then: Sequence[str], now: Sequence[str], checkpoint: Path) -> None:
    """Refuse the same frames in shards of other sizes: they would come in another order.

    Args:
        then: `draw_key` of each set that the run drew from, as the checkpoint holds them.
        now: The same of the sets as they are.
        checkpoint: Where the run goes on from.

    Raises:
        CheckpointError: Naming the first that differs.
    """
    for key_then, key_now in zip(then, now, strict=True):
        if key_then != key_now:
            raise CheckpointError(
                f"training frames are packed otherwise since it was written: {key_then} then, {key_now} now",
                where=checkpoint,
                remedy="Put the same shards back, or train in another folder.",
            )


def check_same_processes(then: int, now: int, checkpoint: Path) -> None:
    """Refuse another number of processes: each has random states of its own.

    Raises:
        CheckpointError: The numbers differ.
    """
    if then != now:
        raise CheckpointError(
            f"was written by {then} processes, this run has {now}",
            where=checkpoint,
            remedy="Resume with the same number of processes.",
        )


def say_what_differs(
    info: CheckpointInfo, config: TrainingConfig, provenance: Provenance, say: Callable[[str], None]
) -> None:
    """Tell of differences that forbid nothing: where data lie, and which code goes on."""
    for moved in moved_roots(info.config, config):
        say(f"data have moved: {moved}")
    if info.git_commit != provenance.git_commit:
        say(f"the code differs: the checkpoint is of {info.git_commit}, this is {provenance.git_commit}")
    if info.lock_hash != provenance.lock_hash:
        say("the locked packages differ from those of the checkpoint: the result may, too")
