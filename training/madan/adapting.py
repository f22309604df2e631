"""Writing adapted data sets: the source's content and labels, the target's look, the source's own layout."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus.artifact import sha256_of
from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.catalogue import DatasetConfig, build_dataset, dataset_digest, layout_writer
from isthmus.datasets.journal import FrameJournal, digest_of_frames
from isthmus.datasets.layout import LayoutWriter, write_bytes
from isthmus.datasets.transforms import resize_pair
from isthmus.errors import ConfigurationError, UnreadableFileError
from isthmus.training.ancestry import ADAPTED_FILE, Ancestor
from isthmus.training.config import TrainingConfig
from isthmus.training.generators import ResnetGenerator
from isthmus.training.inheritance import ancestors_in
from isthmus.training.runtime import choose_device
from isthmus.training.translators import open_translators


def adapt_source(
    checkpoint: Path,
    source: int,
    out: Path,
    *,
    dataset: DatasetConfig | None = None,
    device: str = "auto",
    on_frame: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Translate a source to the target's look and write it as a data set of its own.

    Generators translate whole frames in evaluation mode, at the size that the run trained with. Labels are brought to
    that size by their nearest pixel and keep their train ids. An interrupted call goes on where it stopped, a finished
    one returns at once.

    Args:
        checkpoint: A MADAN run's output folder (its best checkpoint, else its newest) or one checkpoint's folder.
        source: Index of the source in the run's configuration: which generator translates.
        out: Folder of the new set; must be new, empty or of the same request.
        dataset: Frames to translate; the run's own source where left out.
        device: `auto`, `cpu` or `cuda`.
        on_frame: Called after each frame with the numbers done and in all.

    Returns:
        The manifest, as `adapted.json` holds it.

    Raises:
        CheckpointError: There is no whole checkpoint of a MADAN run, or its generators are untrained.
        ConfigurationError: No such source, or the folder holds something else or cannot be written.
        DataError: A frame cannot be read.
    """
    translators = open_translators(checkpoint)
    translators.check_begun()
    weights = translators.weights(source)
    chosen_set = translators.run.sources[source] if dataset is None else dataset
    frames = build_dataset(chosen_set)
    request = _request(translators.run, source, weights, frames)
    writer = layout_writer(frames.dataset_name)
    split = frames.split if frames.split in writer.splits else writer.splits[0]
    writing = writer(out, split)
    ancestry = [_ancestor(chosen_set, request), *ancestors_in(translators.info)]
    if _claim(out, request):
        finished = _read(out)
        return finished if "ancestry" in finished else _finish(out, finished, ancestry)
    chosen = choose_device(device)
    generator = translators.load(source).to(chosen)

    def translate(index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        return _adapted(frames, index, generator, translators.run.augmentation.resize_hw, chosen)

    journal = FrameJournal(out, split, len(frames))
    done = _translate(len(frames), translate, writing, journal, on_frame)
    manifest = _finish(out, {**request, "digest": digest_of_frames(done)}, ancestry)
    journal.remove()
    return manifest


def _request(run: TrainingConfig, source: int, weights: Path, frames: SegmentationDataset) -> dict[str, Any]:
    """What makes two adapted sets the same."""
    return {
        "run": run.name,
        "source": source,
        "generator": sha256_of(weights),
        "dataset": frames.dataset_name,
        "split": frames.split,
        "frames": dataset_digest(frames),
        "num_frames": len(frames),
        "size_hw": list(run.augmentation.resize_hw),
    }


def _ancestor(dataset: DatasetConfig, request: dict[str, Any]) -> Ancestor:
    """The frames that are translated."""
    return Ancestor(
        role="source",
        dataset=request["dataset"],
        split=dataset.split_and_part,
        root=str(dataset.root),
        num_frames=request["num_frames"],
        digest=request["frames"],
    )


def _translate(
    count: int,
    translate: Callable[[int], tuple[NDArray[np.uint8], NDArray[np.uint8]]],
    writing: LayoutWriter,
    journal: FrameJournal,
    on_frame: Callable[[int, int], None] | None,
) -> dict[int, str]:
    """Write those of `count` frames that the journal lacks; the digests of all, by number."""
    done = journal.read()
    for index in range(count):
        if index not in done:
            image, mask = translate(index)
            writing.write(index, image, mask)
            done[index] = hashlib.sha256(image.tobytes() + mask.tobytes()).hexdigest()
            journal.add(index, done[index])
        if on_frame is not None:
            on_frame(index + 1, count)
    writing.finish()
    return done


def _finish(out: Path, manifest: dict[str, Any], ancestry: list[Ancestor]) -> dict[str, Any]:
    """Write the manifest, with what the generator was trained on; the ancestry is no part of the request."""
    whole = {**manifest, "ancestry": [one.model_dump() for one in ancestry]}
    write_bytes(out / ADAPTED_FILE, (json.dumps(whole, indent=2) + "\n").encode())
    return whole


@torch.no_grad()
def _adapted(
    frames: SegmentationDataset, index: int, generator: ResnetGenerator, size_hw: tuple[int, int], device: torch.device
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One frame and its labels, at the size of training and resized as training resizes them."""
    sample = frames[index]
    image, mask = resize_pair(sample["image"], sample["mask"], size_hw)
    assert mask is not None
    # A copy: frames that need no resizing come as the decoder made them, which torch may not write to.
    tensor = torch.from_numpy(image.copy()).to(device).permute(2, 0, 1)[None].float() / 255
    adapted = (generator(tensor)[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8)
    return adapted.cpu().numpy(), mask


def _claim(out: Path, request: dict[str, Any]) -> bool:
    """Whether the folder's set is finished; an unused folder is claimed for this request."""
    path = out / ADAPTED_FILE
    if not path.is_file():
        if out.is_dir() and any(out.iterdir()):
            raise ConfigurationError(
                "this folder holds other files", where=out, remedy="Choose a new folder for the adapted set."
            )
        try:
            write_bytes(path, (json.dumps(request, indent=2) + "\n").encode())
        except OSError as error:
            raise ConfigurationError(
                f"cannot hold a data set ({error.strerror})", where=out, remedy="Choose another folder for it."
            ) from error
        return False
    found = _read(out)
    for key, value in request.items():
        if found.get(key) != value:
            raise ConfigurationError(
                f"this folder holds another adapted set: {key} is {found.get(key)!r} there and {value!r} now",
                where=path,
                remedy="Choose a new folder, or remove this one.",
            )
    return "digest" in found


def _read(out: Path) -> dict[str, Any]:
    path = out / ADAPTED_FILE
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnreadableFileError(
            "damaged manifest", where=path, remedy="Remove the folder and adapt the source again."
        ) from error
    return manifest
