"""How far the writing of a set has come: a line for each finished frame, so that an interrupted call can go on.

A journal lies beside the frames as `.SPLIT.frames.jsonl` until the split is whole.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from isthmus.errors import ConfigurationError


class FrameJournal:
    """The frames of one split that are already on disk.

    Args:
        root: The set's top folder.
        split: The split that is being written.
        num_frames: How many frames it is to have.
    """

    def __init__(self, root: Path, split: str, num_frames: int) -> None:
        self._path = root / f".{split}.frames.jsonl"
        self._num_frames = num_frames

    def read(self) -> dict[int, str]:
        """Digest by frame number; a line cut short by an interruption is left out.

        Raises:
            ConfigurationError: The interrupted call was to write another number of frames.
        """
        done = {}
        for entry in self._entries():
            if entry["num_frames"] != self._num_frames:
                raise ConfigurationError(
                    f"an interrupted call here was to write {entry['num_frames']} frames, not {self._num_frames}",
                    where=self._path,
                    remedy="Ask for as many again, or write into a new folder.",
                )
            done[int(entry["index"])] = str(entry["digest"])
        return done

    def _entries(self) -> Iterator[dict[str, Any]]:
        if not self._path.is_file():
            return
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue

    def add(self, index: int, digest: str) -> None:
        """Note a finished frame."""
        entry = {"index": index, "digest": digest, "num_frames": self._num_frames}
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write("\n" + json.dumps(entry))  # the newline in front ends a line that was cut short

    def remove(self) -> None:
        """The split is finished."""
        self._path.unlink(missing_ok=True)


def digest_of_frames(digests: Mapping[int, str]) -> str:
    """SHA-256 (hex) over the frames' digests in order of their numbers."""
    return hashlib.sha256("\n".join(digests[i] for i in sorted(digests)).encode()).hexdigest()
