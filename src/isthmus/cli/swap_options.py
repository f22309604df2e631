"""Options of `isthmus serve` about models that are promoted while it runs."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from isthmus.cli.serve_options import given
from isthmus.errors import ConfigurationError

if TYPE_CHECKING:
    from isthmus.serving.swap.config import SwapConfig


@dataclass(frozen=True)
class SwapOptions:
    """Promotion while the server runs: what a version must show, and when the server goes back. Only with --model."""

    trust: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """Public key (PEM) of a gate whose signed verdicts count; say it once for each. Without one, verdicts are not
    checked, and the server warns."""
    require_verdict: tyro.conf.FlagCreatePairsOff[bool] = False
    """Refuse versions without a verdict; this is so wherever --trust is given."""
    no_require_verdict: tyro.conf.FlagCreatePairsOff[bool] = False
    """With --trust: let versions without a verdict serve, with a warning. Verdicts that are there must still hold."""
    allow_label_space_change: bool = False
    """Take versions whose masks mean something else than those before."""
    max_slowdown: float | None = None
    """Refuse a version whose batches take longer than this many times the current model's."""
    keep_previous_s: float | None = None
    """Seconds for which the model before stays loaded."""
    guard_window_s: float | None = None
    """Seconds after a swap in which the server goes back by itself; 0 never does."""
    guard_min_frames: int | None = None
    """Frames of each model before their times and confidences are compared; a tenth before failures count."""
    guard_max_error_rate: float | None = None
    """Go back if a larger share of frames fails in the engine."""
    guard_max_p99_ratio: float | None = None
    """Go back if the slowest hundredth of the frames takes longer than this many times what it took before."""
    guard_max_confidence_drift: float | None = None
    """Go back if the mean confidence is further than this from what it was, of 1."""
    shadow_percent: float | None = None
    """Percent of the answered frames that the version with the alias `challenger` sees too, without answering."""

    def resolve(self) -> "SwapConfig":
        """What was given, with the server's defaults for the rest.

        Raises:
            ConfigurationError: They contradict each other.
        """
        from isthmus.serving.swap.config import GuardConfig, SwapConfig

        guard = {
            "window_s": self.guard_window_s,
            "min_frames": self.guard_min_frames,
            "max_error_rate": self.guard_max_error_rate,
            "max_p99_ratio": self.guard_max_p99_ratio,
            "max_confidence_drift": self.guard_max_confidence_drift,
        }
        swap = {
            "max_slowdown": self.max_slowdown,
            "keep_previous_s": self.keep_previous_s,
            "shadow_percent": self.shadow_percent,
        }
        return SwapConfig(
            public_keys=self.trust,
            require_verdict=self._require_verdict(),
            allow_label_space_change=self.allow_label_space_change,
            guard=GuardConfig(**given(**guard)),
            **given(**swap),
        )

    def check_unused(self) -> None:
        """Refuse them where no registered model is served.

        Raises:
            ConfigurationError: Some were given.
        """
        nothing = SwapOptions()
        names = [field.name for field in fields(self) if getattr(self, field.name) != getattr(nothing, field.name)]
        if names:
            raise ConfigurationError(
                "verdicts, guard and shadow belong to a registered model, and nothing would heed them here",
                where=", ".join(f"--{name.replace('_', '-')}" for name in names),
                remedy="Serve a registered model with --model, or leave them out.",
            )

    def _require_verdict(self) -> bool | None:
        if self.require_verdict and self.no_require_verdict:
            raise ConfigurationError(
                "--require-verdict and --no-require-verdict cannot both be meant", remedy="Leave one of them out."
            )
        return True if self.require_verdict else False if self.no_require_verdict else None
