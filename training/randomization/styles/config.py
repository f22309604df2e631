"""Configuration of the style domains: how many there are, of which kinds, and what each kind needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from isthmus.configuration import config

Kind = Literal["amplitude", "fourier", "statistics", "translation"]
"""How a domain changes a frame's look."""

KINDS: Final[tuple[Kind, ...]] = ("amplitude", "fourier", "statistics", "translation")
"""All of them, in the order in which domains are dealt."""

IMAGE_KINDS: Final[frozenset[Kind]] = frozenset({"fourier", "statistics"})
"""Those whose look comes from style images."""


@config
class StyleWeightsConfig:
    """The kinds' shares of the domains; 0 leaves a kind out, and only the ratios count."""

    amplitude: float = 0.0
    """Noise on the amplitude spectrum (PASTA, arXiv:2212.00979); needs no style images."""
    fourier: float = 0.0
    """Low frequencies' amplitudes of a style image (FDA, arXiv:2004.05498)."""
    statistics: float = 0.0
    """A style image's mean and deviation of each channel (AdaIN, arXiv:1703.06868; Reinhard et al. 2001)."""
    translation: float = 0.0
    """Trained generators, as the paper has it."""

    def __post_init__(self) -> None:
        for kind in KINDS:
            if getattr(self, kind) < 0:
                raise ValueError(f"{kind} is {getattr(self, kind)}: write 0 or more")


@config
class AmplitudeConfig:
    """PASTA's noise; the defaults are its released code's."""

    alpha: float = 3.0
    """Growth of the noise towards high frequencies."""
    exponent: float = 2.0
    """The paper's k: how late it grows."""
    base: float = 0.25
    """The paper's beta: noise that all frequencies get, a share of their amplitude."""
    patterns: int = 16
    """Fixed noise spectra that a domain owns and draws from."""

    def __post_init__(self) -> None:
        if min(self.alpha, self.base) < 0:
            raise ValueError(f"alpha is {self.alpha} and base {self.base}: write 0 or more")
        if self.exponent <= 0:
            raise ValueError(f"exponent is {self.exponent}: write a number above 0")
        if self.patterns < 1:
            raise ValueError(f"patterns is {self.patterns}: write a number above 0")


@config
class FourierConfig:
    """FDA's swap of amplitudes."""

    beta: tuple[float, float] = (0.0, 0.1)
    """Range that a frame's window is drawn from, as a share of the shorter side; the paper uses 0.01, 0.05, 0.09."""

    def __post_init__(self) -> None:
        low, high = self.beta
        if not 0.0 <= low <= high <= 0.5:
            raise ValueError(f"beta is {self.beta}: write two rising shares of the shorter side, from 0 to 0.5")


@config
class StatisticsConfig:
    """Exchange of channel statistics."""

    space: Literal["rgb", "lab"] = "lab"
    """Colours whose channels are compared; Lab keeps lightness and hue apart."""
    strength: tuple[float, float] = (0.5, 1.0)
    """Range that a frame's mixture is drawn from: 0 keeps its own statistics, 1 takes all of the style's."""

    def __post_init__(self) -> None:
        low, high = self.strength
        if not 0.0 <= low <= high <= 1.0:
            raise ValueError(f"strength is {self.strength}: write two rising numbers from 0 to 1")


@config
class TranslationConfig:
    """Generators of trained runs of method madan, whose target was a set of style images."""

    checkpoints: tuple[Path, ...] = ()
    """A run or checkpoint for each translation domain; the first so many are used. They must stay: checkpoints of this
    run name their files and hold none of their weights."""
    sources: tuple[str, ...] = ()
    """This run's sources in order, by title (`name`, or reader and split such as `gta5/all:fit`): a checkpoint's
    generator of the source of that title translates it."""


@config
class StylesConfig:
    """Versions of every frame of a step, and the style domains that they are drawn from."""

    views: int
    """Versions of every frame in a step, the frame itself first; 1 is no randomization. Above domains + 1, domains come
    again in a step, in other styles of theirs; a generator has but one, so translation allows no more."""
    domains: int
    """K, auxiliary style domains; the paper has 15."""
    weights: StyleWeightsConfig
    """What the domains are made of."""
    images: Path | None = None
    """Folder of style images, which fourier and statistics need: photographs, in subfolders or not, or what
    `isthmus worlds styles` wrote. With a subfolder for each domain that needs images, each owns one."""
    images_per_domain: int = 16
    """Most style images that a domain owns: limits the memory, and lets K alone decide how much variety there is."""
    amplitude: AmplitudeConfig = AmplitudeConfig()
    """Of the domains of this kind."""
    fourier: FourierConfig = FourierConfig()
    """Of the domains of this kind."""
    statistics: StatisticsConfig = StatisticsConfig()
    """Of the domains of this kind."""
    translation: TranslationConfig = TranslationConfig()
    """Of the domains of this kind."""

    def __post_init__(self) -> None:
        for name in ("views", "domains", "images_per_domain"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: write a number above 0")
        if self.views == 1:
            return
        if not any(getattr(self.weights, kind) for kind in KINDS):
            raise ValueError(f"views is {self.views}, but all weights are 0: give one of {', '.join(KINDS)} a weight")
        kinds = self.kinds
        left_out = [kind for kind in KINDS if getattr(self.weights, kind) > 0 and kind not in kinds]
        if left_out:
            raise ValueError(
                f"domains is {self.domains}, too few for weights.{left_out[0]} to get one: write more, or weight 0"
            )
        if self.images is None and IMAGE_KINDS & set(kinds):
            raise ValueError("fourier and statistics need style images: name their folder in images, or weigh both 0")
        self._check_translation(kinds.count("translation"))

    def _check_translation(self, number: int) -> None:
        if len(self.translation.checkpoints) < number:
            raise ValueError(
                f"translation gets {number} of the {self.domains} domains, but translation.checkpoints names "
                f"{len(self.translation.checkpoints)}: name a trained run for each"
            )
        if number and self.views > self.domains + 1:
            raise ValueError(
                f"views is {self.views}, but {self.domains} domains and the frame itself are {self.domains + 1} "
                "versions, and a generator makes the same one again: write no more views than that"
            )
        if number and not self.translation.sources:
            raise ValueError("translation.sources is empty: write this run's sources by title, in order")

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kind of each domain; none where there is nothing to draw."""
        return deal_kinds(self.weights, self.domains) if self.views > 1 else ()

    @property
    def image_folders(self) -> tuple[Path, ...]:
        """The folder of style images, where a domain takes its look from them."""
        return (self.images,) if self.images is not None and IMAGE_KINDS & set(self.kinds) else ()

    def check_sources(self, titles: Sequence[str]) -> None:
        """Compare the sources that translation names with the run's.

        Args:
            titles: Of the run's sources, in order.

        Raises:
            ValueError: Translation plays and they differ.
        """
        if "translation" in self.kinds and self.translation.sources != tuple(titles):
            raise ValueError(
                f"translation.sources is {', '.join(self.translation.sources)}, but the run's sources are "
                f"{', '.join(titles)}: write the same titles in the same order"
            )


def deal_kinds(weights: StyleWeightsConfig, domains: int) -> tuple[Kind, ...]:
    """Kind of each domain, in proportion to the weights: whole shares first, then the largest remainders.

    Args:
        weights: Not all 0.
        domains: K.

    Returns:
        K kinds, equal ones together, in the order of `KINDS`; of equal remainders the earlier kind's comes first.
    """
    total = sum(getattr(weights, kind) for kind in KINDS)
    shares = {kind: domains * getattr(weights, kind) / total for kind in KINDS}
    counts = {kind: int(share) for kind, share in shares.items()}
    by_remainder = sorted(KINDS, key=lambda kind: counts[kind] - shares[kind])
    for kind in by_remainder[: domains - sum(counts.values())]:
        counts[kind] += 1
    return tuple(kind for kind in KINDS for _ in range(counts[kind]))
