"""Running means over a watch's looks, which say nothing before two of them agree."""

from typing import Any, Final

EVERY: Final = 50
"""Steps between looks; a look needs one more pass of F_A."""
_MEMORY: Final = 0.5
"""Share of the running means that the last look leaves."""
_FEWEST_LOOKS: Final = 2


class Trends:
    """Running means by name. A limit is passed where the mean and the last value both lie beyond it.

    A mean alone may be old: what it was made of need not be there any more.
    """

    def __init__(self) -> None:
        self._means: dict[str, float] = {}
        self._looks: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        """Whether anything has been seen under this name."""
        return name in self._means

    def above(self, name: str, value: float, limit: float) -> float | None:
        """Take the value into its mean; the mean where it has passed the limit upwards."""
        mean = self._moved(name, value)
        return mean if self._looks[name] >= _FEWEST_LOOKS and min(mean, value) > limit else None

    def below(self, name: str, value: float, limit: float) -> float | None:
        """Take the value into its mean; the mean where it has passed the limit downwards."""
        mean = self._moved(name, value)
        return mean if self._looks[name] >= _FEWEST_LOOKS and max(mean, value) < limit else None

    def mean(self, name: str) -> float:
        """The running mean as it stands."""
        return self._means[name]

    def _moved(self, name: str, value: float) -> float:
        self._looks[name] = self._looks.get(name, 0) + 1
        self._means[name] = value + _MEMORY * (self._means.get(name, value) - value)
        return self._means[name]

    def state_dict(self) -> dict[str, Any]:
        """Means and numbers of looks."""
        return {"means": dict(self._means), "looks": dict(self._looks)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._means, self._looks = dict(state["means"]), dict(state["looks"])
