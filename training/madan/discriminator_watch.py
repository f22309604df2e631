"""Whether discriminators play: one that always wins teaches nothing, and neither does one that only guesses."""

import math
from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor

from isthmus.training.madan.config import MadanConfig
from isthmus.training.madan.stages import Stage
from isthmus.training.madan.trends import EVERY, Trends

_WON: Final = 0.08
"""Share of the loss at chance below which a discriminator is hardly ever wrong: 0.02 for least squares."""
_GUESSING: Final = 0.95
"""Share of the loss at chance above which it is hardly better than a guess."""
_PATIENCE: Final = 0.25
"""Share of the run for which it may guess: what is left is long enough to stop and change something."""
_FEWEST_LOOKS: Final = 5
"""The same in looks, for short runs: sound discriminators guess through their first four looks, 200 steps."""
_LEAST_SQUARES: Final = 0.25
_PARTS: Final = {"target": "gan", "source": "gan", "aggregation": "sad"}
"""The weight that plays against an image discriminator; those of features have their own name's."""


class DiscriminatorWatch:
    """Says which discriminators win outright, and which stay at chance, once what plays against them plays whole.

    Losses are averaged over all steps between two looks, and counted as shares of the loss at chance; worse than chance
    counts as chance.

    Args:
        config: Of the method.
        total_steps: Of the whole run.
        num_sources: M.
    """

    def __init__(self, config: MadanConfig, total_steps: int, num_sources: int) -> None:
        self._config, self._num_sources = config, num_sources
        self._patience = max(_FEWEST_LOOKS, math.ceil(_PATIENCE * total_steps / EVERY))
        self._sums: dict[str, Tensor | float] = {}
        self._steps: dict[str, int] = {}
        self._guessing: dict[str, int] = {}
        self._trends = Trends()

    def add(self, losses: Mapping[str, Tensor], stage: Stage) -> None:
        """Take a step's losses; on the device, so that nothing waits for it.

        Args:
            losses: Detached, by name; `NAME.i` stands for source i's share, and in `NAME`'s place.
            stage: What plays at the step.
        """
        for name, loss in losses.items():
            kind = name.split(".")[0].removesuffix("_discriminator")
            if not name.startswith(f"{kind}_discriminator") or f"{name}.0" in losses or not self._plays(kind, stage):
                continue
            self._sums[name] = self._sums.get(name, 0.0) + loss
            self._steps[name] = self._steps.get(name, 0) + 1

    def notes(self) -> list[str]:
        """Sentences about the steps since the last look."""
        notes = []
        for name, total in self._sums.items():
            kind, _, source = name.partition("_discriminator")
            chance = self._chance(kind)
            share = min(float(total) / self._steps[name] / chance, 1.0)
            subject = f"the {kind} discriminator" + (f" for source {source[1:]}" if source else "")
            won = self._trends.below(name, share, _WON)
            if won is not None:
                notes.append(
                    f"{subject} wins outright (loss {won * chance:.3f}, {chance:.2f} at chance): what plays against it "
                    f"learns little; {self._narrower(kind)}"
                )
            mean = self._trends.mean(name)
            looks = self._guessing[name] = self._guessing.get(name, 0) + 1 if mean > _GUESSING else 0
            if looks > 0 and looks % self._patience == 0:
                notes.append(
                    f"{subject} has been at chance for {EVERY * looks} steps (loss {mean * chance:.3f} of "
                    f"{chance:.3f} for a guess), so what plays against it does nothing: {self._wider(kind)}"
                )
        self._sums, self._steps = {}, {}
        return notes

    def _plays(self, kind: str, stage: Stage) -> bool:
        """Whether what plays against a discriminator has its whole weight."""
        part = self._part(kind)
        weight: float = getattr(self._config.weights, part)
        played: float = getattr(stage, part)
        return weight > 0 and played >= weight

    def _part(self, kind: str) -> str:
        """Name of the weight that plays against it."""
        if kind == "source" and self._config.weights.gan == 0:
            return "ccd"  # crossed images are then all that it judges
        return _PARTS.get(kind, kind)

    def _chance(self, kind: str) -> float:
        """Loss of one that cannot tell its domains apart."""
        if kind in ("target", "source") or (kind == "aggregation" and self._config.formulation == "paper"):
            return _LEAST_SQUARES
        return math.log(self._num_sources if kind == "aggregation" else 2)

    def _narrower(self, kind: str) -> str:
        if kind in _PARTS:
            return "lower method.learning_rate or make method.discriminator narrower"
        return "lower method.feature_learning_rate"

    def _wider(self, kind: str) -> str:
        off = f"; if its domains do not differ, set method.weights.{self._part(kind)} to 0"
        if kind not in _PARTS:
            return f"raise method.feature_learning_rate or train for more steps{off}"
        norm = ", set method.discriminator.instance_norm to false" if self._config.discriminator.instance_norm else ""
        return f"make method.discriminator wider or deeper{norm} or train for more steps{off}"

    def state_dict(self) -> dict[str, Any]:
        """Sums since the last look, and what earlier looks left."""
        return {
            "sums": {name: float(total) for name, total in self._sums.items()},
            "steps": dict(self._steps),
            "guessing": dict(self._guessing),
            "trends": self._trends.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._sums, self._steps, self._guessing = dict(state["sums"]), dict(state["steps"]), dict(state["guessing"])
        self._trends.load_state_dict(state["trends"])
