"""What a configuration of style domains may say, and how it deals domains to kinds."""

from pathlib import Path

import pytest

from isthmus.configuration import parse_config
from isthmus.errors import ConfigurationError
from isthmus.training.randomization.styles.config import StylesConfig, StyleWeightsConfig, deal_kinds

RUN = "translation: {checkpoints: [runs/a], sources: [gta5/all]}"


@pytest.mark.parametrize(
    ("weights", "domains", "counts"),
    [
        ((1.0, 0.0, 0.0, 0.0), 3, (3, 0, 0, 0)),
        ((1.0, 1.0, 1.0, 0.0), 15, (5, 5, 5, 0)),
        ((0.5, 0.3, 0.2, 0.0), 4, (2, 1, 1, 0)),  # 2, 1.2, 0.8
        ((0.1, 0.2, 0.3, 0.4), 5, (1, 1, 1, 2)),  # 0.5, 1, 1.5, 2: the earlier of two equal remainders
        ((3.0, 3.0, 1.0, 0.0), 5, (2, 2, 1, 0)),  # 2.14, 2.14, 0.71
    ],
)
def test_domains_are_dealt_by_largest_remainder(
    weights: tuple[float, ...], domains: int, counts: tuple[int, ...]
) -> None:
    names = ("amplitude", "fourier", "statistics", "translation")
    dealt = deal_kinds(StyleWeightsConfig(**dict(zip(names, weights, strict=True))), domains)
    assert tuple(dealt.count(name) for name in names) == counts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{views: 0, domains: 1, weights: {}}", "views is 0"),
        ("{views: 1, domains: 0, weights: {}}", "domains is 0"),
        ("{views: 1, domains: 1, weights: {}, images_per_domain: 0}", "images_per_domain is 0"),
        ("{views: 2, domains: 1, weights: {}}", "views is 2, but all weights are 0"),
        ("{views: 1, domains: 1, weights: {fourier: -1.0}}", "fourier is -1.0"),
        ("{views: 2, domains: 1, weights: {amplitude: 1.0, fourier: 1.0}}", r"too few for weights\.fourier"),
        ("{views: 2, domains: 1, weights: {fourier: 1.0}}", "need style images"),
        ("{views: 2, domains: 1, weights: {statistics: 1.0}}", "need style images"),
        (
            f"{{views: 3, domains: 1, weights: {{translation: 1.0}}, {RUN}}}",
            "views is 3, but 1 domains .* are 2 versions",
        ),
        (f"{{views: 2, domains: 2, weights: {{translation: 1.0}}, {RUN}}}", "gets 2 of the 2 domains.* names 1"),
        (
            "{views: 2, domains: 1, weights: {translation: 1.0}, translation: {checkpoints: [runs/a]}}",
            r"translation\.sources is empty",
        ),
        ("{views: 1, domains: 1, weights: {}, amplitude: {alpha: -1.0}}", "alpha is -1.0"),
        ("{views: 1, domains: 1, weights: {}, amplitude: {base: -1.0}}", "base -1.0"),
        ("{views: 1, domains: 1, weights: {}, amplitude: {exponent: 0.0}}", "exponent is 0.0"),
        ("{views: 1, domains: 1, weights: {}, amplitude: {patterns: 0}}", "patterns is 0"),
        ("{views: 1, domains: 1, weights: {}, fourier: {beta: [0.2, 0.1]}}", "beta is"),
        ("{views: 1, domains: 1, weights: {}, fourier: {beta: [0.2, 0.6]}}", "beta is"),
        ("{views: 1, domains: 1, weights: {}, statistics: {strength: [0.5, 1.5]}}", "strength is"),
        ("{views: 1, domains: 1, weights: {}, statistics: {space: hsv}}", "space"),
        ("{views: 1, domains: 1, weights: {}, colours: 3}", "colours: unknown key"),
    ],
)
def test_what_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_config(text, StylesConfig)


def test_one_view_needs_nothing() -> None:
    assert parse_config("{views: 1, domains: 15, weights: {}}", StylesConfig).kinds == ()


def test_defaults_are_the_papers() -> None:
    config = parse_config("{views: 3, domains: 15, weights: {amplitude: 1.0}}", StylesConfig)
    assert (config.amplitude.alpha, config.amplitude.exponent, config.amplitude.base) == (3.0, 2.0, 0.25)
    assert config.fourier.beta == (0.0, 0.1)


def test_sources_are_compared_with_the_runs() -> None:
    text = f"{{views: 2, domains: 1, weights: {{translation: 1.0}}, {RUN}}}"
    config = parse_config(text, StylesConfig)
    assert config.translation.checkpoints == (Path("runs/a"),)
    config.check_sources(["gta5/all"])
    for titles in (["synthia/all"], ["gta5/all", "synthia/all"], []):
        with pytest.raises(ValueError, match=r"translation\.sources is gta5/all, but the run's sources are"):
            config.check_sources(titles)


def test_sources_do_not_matter_without_translation() -> None:
    parse_config("{views: 2, domains: 1, weights: {amplitude: 1.0}}", StylesConfig).check_sources(["gta5/all"])
