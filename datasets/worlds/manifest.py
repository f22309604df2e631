"""What stands beside a rendered set: which request made it, and how far it has come.

`manifest.json` holds the request and, for each finished split, a digest over its frames. While a split is being
rendered, each finished frame adds a line to `.SPLIT.frames.jsonl`; an interrupted render reads it and goes on.
"""

import hashlib
import json
from pathlib import Path
from typing import Final

from isthmus.configuration import config, parse_config, to_tree
from isthmus.datasets.layout import write_bytes
from isthmus.errors import ConfigurationError, UnreadableFileError

RENDERER_VERSION: Final = 6
"""Raised whenever the same seed gives other pixels or labels."""

MANIFEST_NAME: Final = "manifest.json"


@config
class SplitRecord:
    """One finished split."""

    num_frames: int
    """Frames in it."""
    digest: str
    """SHA-256 over the frames' digests in order; equal for equal requests on the same driver."""


@config
class Manifest:
    """A rendered set."""

    world: str
    """Name of the world."""
    layout: str
    """The data set's layout that the files follow."""
    size_hw: tuple[int, int]
    """Height and width of the frames."""
    seed: int
    """Seed of all splits; each derives its own frames from it."""
    renderer_version: int
    """Version of the scenes and shaders."""
    driver: str
    """The OpenGL driver that drew them, and its version."""
    splits: dict[str, SplitRecord]
    """Finished splits by name."""

    @property
    def num_frames(self) -> int:
        """Frames of all finished splits."""
        return sum(record.num_frames for record in self.splits.values())

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the finished splits' digests in order of their names."""
        return hashlib.sha256("\n".join(self.splits[name].digest for name in sorted(self.splits)).encode()).hexdigest()


def read_manifest(root: Path) -> Manifest | None:
    """The manifest of a rendered set, or None where there is none.

    Raises:
        UnreadableFileError: It is damaged.
    """
    path = root / MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        return parse_config(path.read_text(encoding="utf-8"), Manifest, where=str(path))
    except ConfigurationError as error:
        raise UnreadableFileError(
            f"damaged manifest ({error.problem})", where=path, remedy="Render into a new folder."
        ) from error


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write `manifest.json`, atomically."""
    text = json.dumps(to_tree(manifest), indent=2, sort_keys=True) + "\n"
    write_bytes(root / MANIFEST_NAME, text.encode())


def check_same_request(root: Path, found: Manifest, wanted: Manifest, split: str) -> None:
    """Refuse to mix two requests in one folder.

    Args:
        root: The folder.
        found: The request that it holds.
        wanted: The one that comes now.
        split: What that one renders.

    Raises:
        ConfigurationError: World, layout, size, seed, renderer or driver differ.
    """
    for name in ("world", "layout", "size_hw", "seed", "renderer_version", "driver"):
        there, here = getattr(found, name), getattr(wanted, name)
        if there != here:
            remedy = "Render into a new folder, or remove this one."
            if name == "seed" and split not in found.splits:
                remedy = f"Render split {split} with seed {there} too, it has frames of its own, or into a new folder."
            raise ConfigurationError(
                f"this folder holds frames of another request: {name} is {there!r} there and {here!r} now",
                where=root / MANIFEST_NAME,
                remedy=remedy,
            )
