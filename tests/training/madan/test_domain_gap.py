"""The domain gap of a MADAN run, whose generators give adapted frames."""

from pathlib import Path

import pytest

from isthmus.training.report import checkpoint_domain_gap


def test_adapted_frames_stand_between_sources_and_target(
    madan_run: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TINY", str(tiny_data))
    gap = checkpoint_domain_gap(madan_run, frames_per_domain=2, device="cpu")
    titles = [(domain.title, domain.role, len(domain.points)) for domain in gap.domains]
    assert titles == [
        ("gta5/all:fit", "source", 2),
        ("synthia/all", "source", 2),
        ("gta5/all:fit, adapted", "adapted", 2),
        ("synthia/all, adapted", "adapted", 2),
        ("camvid/train", "target", 2),
    ]
    assert [domain.distance is None for domain in gap.domains] == [False] * 4 + [True]
