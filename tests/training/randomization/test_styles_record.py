"""Whether a run goes on with the styles that it began with: by what files hold, not by where they lie."""

from copy import deepcopy
from typing import Any

import pytest

from isthmus.errors import CheckpointError
from isthmus.training.randomization.styles.record import check_same_domains

DOMAINS: list[dict[str, Any]] = [
    {"domain": 0, "kind": "amplitude", "parameters": {"alpha": 3.0}},
    {"domain": 1, "kind": "fourier", "parameters": {"beta": [0.0, 0.1]}, "images": [{"path": "a.png", "sha256": "1f"}]},
    {
        "domain": 2,
        "kind": "translation",
        "parameters": {"run": "look", "step": 8, "generators": [{"source": "gta5", "path": "b.st", "sha256": "2f"}]},
    },
]


def generator_of(domains: list[dict[str, Any]]) -> dict[str, str]:
    return domains[2]["parameters"]["generators"][0]


def test_files_may_lie_elsewhere() -> None:
    now = deepcopy(DOMAINS)
    now[1]["images"][0]["path"] = "moved.png"
    generator_of(now)["path"] = "moved.st"
    check_same_domains(DOMAINS, now)
    del generator_of(now)["path"]
    check_same_domains(now, DOMAINS)
    check_same_domains([], [])


def test_another_generator_is_named_with_its_places() -> None:
    now = deepcopy(DOMAINS)
    generator_of(now).update(path="c.st", sha256="0123456789abcdef")
    changed = r"domain 2 was made of b\.st \(SHA-256 2f…\), is made of c\.st \(SHA-256 0123456789ab…\)"
    with pytest.raises(CheckpointError, match=changed + r".*style_domains\.json"):
        check_same_domains(DOMAINS, now)


def test_another_image_is_named() -> None:
    now = deepcopy(DOMAINS)
    now[1]["images"][0]["sha256"] = "3f"
    with pytest.raises(CheckpointError, match=r"domain 1 was made of a\.png \(SHA-256 1f…\), is made of a\.png"):
        check_same_domains(DOMAINS, now)


def test_other_numbers_and_parameters_are_named() -> None:
    with pytest.raises(CheckpointError, match="there were 3, there are 2"):
        check_same_domains(DOMAINS, DOMAINS[:2])
    now = deepcopy(DOMAINS)
    now[1]["images"].append(now[1]["images"][0])
    with pytest.raises(CheckpointError, match="domain 1 was fourier with 1 files, is fourier with 2 files"):
        check_same_domains(DOMAINS, now)
    now = deepcopy(DOMAINS)
    now[0]["parameters"]["alpha"] = 2.0
    with pytest.raises(CheckpointError, match=r"domain 0 had \{'alpha': 3\.0\}, has \{'alpha': 2\.0\}"):
        check_same_domains(DOMAINS, now)
    now = deepcopy(DOMAINS)
    generator_of(now)["source"] = "synthia"
    with pytest.raises(CheckpointError, match="domain 2"):
        check_same_domains(DOMAINS, now)
