"""Options of the hot swap; docs/operations/hot_swap.md tells what each is good for."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from isthmus.configuration import config
from isthmus.errors import ConfigurationError

Share = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(ge=1, allow_inf_nan=False)]
SecondsOrNever = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@config
class GuardConfig:
    """When the server goes back to the previous model by itself."""

    window_s: SecondsOrNever = 300.0
    """Seconds after a swap in which the new model is on trial; 0 never goes back."""
    min_frames: Annotated[int, Field(ge=10)] = 100
    """Frames of each model that must have been answered before they are compared; a tenth of them, all of the new
    model, before failures count."""
    max_error_rate: Share = 0.02
    """How much larger the new model's share of failures in the engine may be than the old one's."""
    max_p99_ratio: Ratio = 2.0
    """Largest 99th percentile of the new model's time in the engine, as a multiple of the old one's."""
    max_confidence_drift: Share = 0.15
    """Largest distance between the mean confidences of both models, each in [0, 1]."""


@config
class SwapConfig:
    """What a promoted version must show, and what happens around it."""

    public_keys: tuple[Path, ...] = ()
    """Public keys in PEM whose owners are trusted to judge models."""
    require_verdict: bool | None = None
    """Whether a version without a verdict is refused; None: where there are public keys."""
    allow_label_space_change: bool = False
    """Whether a version may go live whose masks mean something else than those of the model before it."""
    max_slowdown: Ratio = 1.5
    """Largest median time of a batch, as a multiple of the current model's, measured on this machine."""
    keep_previous_s: SecondsOrNever = 600.0
    """Seconds for which the model before stays in memory, to go back to."""
    guard: GuardConfig = Field(default_factory=GuardConfig)
    """When to go back."""
    shadow_percent: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Percent of the answered frames that the version with the alias `challenger` sees as well; 0 loads none."""

    def __post_init__(self) -> None:
        if self.require_verdict and not self.public_keys:
            raise ConfigurationError(
                "verdicts are required, and nobody is trusted to sign them",
                where="--require-verdict",
                remedy="Name the gate's public key, for example with --trust ~/.config/isthmus/gate.key.pub.",
            )
        if self.keep_previous_s < self.guard.window_s:
            raise ConfigurationError(
                f"the previous model is kept for {self.keep_previous_s:g} s, and must be there to go back to for "
                f"{self.guard.window_s:g} s",
                where="--keep-previous-s",
                remedy="Keep it longer, or shorten --guard-window-s (0 never goes back).",
            )

    @property
    def verdict_required(self) -> bool:
        """Whether a version without a verdict is refused."""
        return bool(self.public_keys) if self.require_verdict is None else self.require_verdict
