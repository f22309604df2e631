"""Whether a new model's first frames speak against it."""

from typing import Final

from isthmus.serving.swap.config import GuardConfig
from isthmus.serving.swap.live import LiveRecord

MIN_RISE_S: Final = 0.005
"""A model that is slower by less than this is not slower: timers and other processes make as much."""
_ERRORS_COUNT_AFTER: Final = 10
"""Failures count after a tenth of the frames that comparisons need: waiting for more would lose them."""


def objection(new: LiveRecord, old: LiveRecord, config: GuardConfig) -> str:
    """Why the server should go back to the old model; empty where nothing speaks for that.

    Args:
        new: What the new model's frames showed.
        old: What the old model's last frames showed, as long as it served.
        config: The limits.
    """
    allowed = old.error_rate + config.max_error_rate
    num_seen = new.num_answered + new.num_failed
    if num_seen * _ERRORS_COUNT_AFTER >= config.min_frames and new.error_rate > allowed:
        return f"the engine failed {new.num_failed} times in {num_seen}, {allowed:.1%} may"
    if min(new.num_answered, old.num_answered) < config.min_frames:
        return ""
    return _slower(new, old, config) or _drifted(new, old, config)


def _slower(new: LiveRecord, old: LiveRecord, config: GuardConfig) -> str:
    if new.p99_s is None or old.p99_s is None:
        return ""
    if new.p99_s <= config.max_p99_ratio * old.p99_s or new.p99_s - old.p99_s < MIN_RISE_S:
        return ""
    return (
        f"99 % of its frames take up to {1000 * new.p99_s:.1f} ms in the engine, "
        f"those of version {old.version} {1000 * old.p99_s:.1f} ms; {config.max_p99_ratio:g} times that is allowed"
    )


def _drifted(new: LiveRecord, old: LiveRecord, config: GuardConfig) -> str:
    if new.confidence is None or old.confidence is None:
        return ""
    if abs(new.confidence - old.confidence) <= config.max_confidence_drift:
        return ""
    return (
        f"its mean confidence is {new.confidence:.2f}, that of version {old.version} was {old.confidence:.2f}; "
        f"they may differ by {config.max_confidence_drift:g}"
    )
