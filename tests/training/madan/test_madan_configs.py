"""The shipped configurations: what generators and discriminators learn from has its domain's own colours."""

from pathlib import Path

import pytest
import yaml

CONFIGS = sorted((Path(__file__).resolve().parents[3] / "configs" / "madan").glob("*.yaml"))


def test_all_are_found() -> None:
    assert len(CONFIGS) == 7


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_loader_changes_no_colours(path: Path) -> None:
    augmentation = yaml.safe_load(path.read_text(encoding="utf-8"))["augmentation"]
    assert (augmentation["color_jitter_p"], augmentation["blur_p"]) == (0.0, 0.0)
