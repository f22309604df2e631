"""The options of `isthmus serve` about promotions, from the words typed to the server's configuration."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from isthmus import cli
from isthmus.errors import ConfigurationError
from isthmus.serving import server
from isthmus.serving.config import ServerConfig
from isthmus.serving.swap.config import GuardConfig, SwapConfig


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch):
    """Run `isthmus serve --model street …` up to the server, and give its configuration."""
    started: list[ServerConfig] = []
    monkeypatch.setattr(server, "serve", started.append)

    def run(*words: str) -> SwapConfig:
        cli.run(["serve", "--model", "street", *words])
        return started.pop().swap

    return run


def test_without_options_the_defaults_hold(serve) -> None:
    assert serve() == SwapConfig()


def test_each_option_arrives(serve) -> None:
    words: Sequence[str] = [
        *("--trust", "a.pub", "--trust", "b.pub", "--require-verdict", "--allow-label-space-change"),
        *("--max-slowdown", "2", "--keep-previous-s", "60", "--shadow-percent", "0.5"),
        *("--guard-window-s", "30", "--guard-min-frames", "50", "--guard-max-error-rate", "0.1"),
        *("--guard-max-p99-ratio", "3", "--guard-max-confidence-drift", "0.2"),
    ]
    guard = GuardConfig(window_s=30.0, min_frames=50, max_error_rate=0.1, max_p99_ratio=3.0, max_confidence_drift=0.2)
    assert serve(*words) == SwapConfig(
        public_keys=(Path("a.pub"), Path("b.pub")),
        require_verdict=True,
        allow_label_space_change=True,
        max_slowdown=2.0,
        keep_previous_s=60.0,
        shadow_percent=0.5,
        guard=guard,
    )


def test_a_verdict_is_required_of_whom_anybody_is_trusted(serve) -> None:
    assert serve("--trust", "a.pub").verdict_required
    assert not serve("--trust", "a.pub", "--no-require-verdict").verdict_required
    assert not serve().verdict_required


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--require-verdict"], "nobody is trusted to sign"),
        (["--require-verdict", "--no-require-verdict"], "cannot both be meant"),
        (["--keep-previous-s", "1"], "must be there to go back to for 300 s"),
    ],
)
def test_options_that_make_no_sense(serve, words: Sequence[str], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        serve(*words)


def test_a_number_out_of_range_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^--shadow-percent: "):
        cli.run(["serve", "--model", "street", "--shadow-percent", "101"])
