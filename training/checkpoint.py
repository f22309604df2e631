"""Checkpoints: a folder a step, written aside and renamed, checked by digest when it is read.

OUTPUT/checkpoints/step-00000600/
    info.json             what the run is and how it scored (`CheckpointInfo`)
    NETWORK.safetensors   weights, one file a network
    state.pt              optimisers, random states, windows: tensors and plain values, no pickled code
    manifest.json         SHA-256 of each file

Which step scored best on the validation set stands in each `info.json`, so there is nothing beside the folders that
could fall behind them.
"""

import json
import os
import pickle
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor, nn

from isthmus.artifact import CardDataset, CardEvaluation, sha256_of
from isthmus.errors import CheckpointError
from isthmus.training.ancestry import Ancestor

CHECKPOINTS: Final = "checkpoints"
INFO_FILE: Final = "info.json"
STATE_FILE: Final = "state.pt"
MANIFEST_FILE: Final = "manifest.json"
_STEP_PREFIX: Final = "step-"
_MISFITS_SHOWN: Final = 3
"""Weights that do not fit, in a message; the others are counted."""
SCHEMA_VERSION: Final = 1
_DIGESTS: Final = TypeAdapter(dict[str, str])


class CheckpointInfo(BaseModel):
    """What a checkpoint says about its run; enough to rebuild the segmenter and to write a model card."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: int = SCHEMA_VERSION
    name: str = Field(description="Of the run, from its configuration")
    method: str
    step: int = Field(description="Optimisation steps behind the weights")
    config: dict[str, Any] = Field(description="The resolved configuration as a tree")
    config_hash: str
    source_train_ids: tuple[int, ...] = Field(description="Train ids that every source labels")
    datasets: tuple[CardDataset, ...]
    ancestry: tuple[Ancestor, ...] | None = Field(
        default=None, description="What reached the run through others; None in checkpoints from before it was kept"
    )
    evaluations: tuple[CardEvaluation, ...] = Field(description="Of exactly these weights; empty if not evaluated")
    best_step: int | None = Field(description="Step with the best validation score so far")
    best_miou: float | None
    git_commit: str
    lock_hash: str
    versions: dict[str, str]


class CheckpointStore:
    """The checkpoints of one run: the last few, and the best.

    Args:
        output: The run's folder.
        keep_last: Newest checkpoints to keep beside the best.
    """

    def __init__(self, output: Path, keep_last: int) -> None:
        self.folder = output / CHECKPOINTS
        self._keep_last = keep_last

    def save(self, info: CheckpointInfo, networks: Mapping[str, Mapping[str, Tensor]], state: dict[str, Any]) -> Path:
        """Write a checkpoint whole or not at all, and drop what is no longer kept."""
        final = _folder_of(self.folder, info.step)
        scratch = self.folder / f".writing-{info.step:08d}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        _write_files(scratch, info, networks, state)
        replaced = self.folder / f".replaced-{info.step:08d}"
        shutil.rmtree(replaced, ignore_errors=True)
        if final.exists():  # aside first: a crash between the two renames loses neither
            final.rename(replaced)
        scratch.rename(final)
        _sync(self.folder)
        shutil.rmtree(replaced, ignore_errors=True)
        self._prune()
        return final

    def newest(self, report: Callable[[str], None]) -> Path | None:
        """The newest whole checkpoint; damaged ones are reported and passed over.

        Raises:
            CheckpointError: There are checkpoints, and none of them is whole.
        """
        damaged: list[Path] = []
        for folder in reversed(self.steps()):
            try:
                check_files(folder)
            except CheckpointError as error:
                report(f"damaged checkpoint passed over: {error}")
                damaged.append(folder)
                continue
            for one in damaged:  # out of the way of the steps that will be written again, but not lost
                one.rename(self.folder / f"damaged-{one.name}")
            return folder
        if damaged:
            raise CheckpointError(
                "no checkpoint of this run is whole", where=self.folder, remedy="Start again in another folder."
            )
        return None

    def steps(self) -> list[Path]:
        """All finished checkpoints, oldest first."""
        return sorted(self.folder.glob(f"{_STEP_PREFIX}*"))

    def _prune(self) -> None:
        folders = self.steps()
        kept = folders[-self._keep_last :]
        # An older kept checkpoint may be resumed from, and then its own best must still be there.
        best = {_best_step(folder) for folder in kept}
        for folder in folders:
            if folder not in kept and step_of(folder) not in best:
                shutil.rmtree(folder)


def resolve(path: Path) -> Path:
    """The checkpoint folder that a user means: itself, or a run's best, or its newest where none is best.

    The best is the one that the newest whole checkpoint names.

    Raises:
        CheckpointError: There is no checkpoint there, none is whole, or the best is gone.
    """
    if (path / MANIFEST_FILE).is_file() and (path / INFO_FILE).is_file():
        return path
    folder = path if path.name == CHECKPOINTS else path / CHECKPOINTS
    steps = sorted(folder.glob(f"{_STEP_PREFIX}*"))
    if not steps:
        raise CheckpointError(
            "no checkpoint here", where=path, remedy="Name a run's output folder or one of its checkpoints/step-*."
        )
    newest = next((step for step in reversed(steps) if _is_whole(step)), None)
    if newest is None:
        raise CheckpointError("no checkpoint of this run is whole", where=folder, remedy="Train it again.")
    best_step = read_info(newest).best_step
    best = newest if best_step is None else _folder_of(folder, best_step)
    if best not in steps:
        raise CheckpointError(
            f"the best checkpoint, that of step {best_step}, is gone",
            where=best,
            remedy=f"Name another one: {', '.join(step.name for step in steps)}.",
        )
    return best


def step_of(folder: Path) -> int:
    """The step in a checkpoint folder's name."""
    return int(folder.name.removeprefix(_STEP_PREFIX))


def _folder_of(folder: Path, step: int) -> Path:
    return folder / f"{_STEP_PREFIX}{step:08d}"


def _is_whole(folder: Path) -> bool:
    try:
        check_files(folder)
    except CheckpointError:
        return False
    return True


def read_info(folder: Path) -> CheckpointInfo:
    """What a checkpoint says about itself.

    Raises:
        CheckpointError: The file is missing, or no description of a checkpoint of this version.
    """
    path = folder / INFO_FILE
    try:
        info = CheckpointInfo.model_validate_json(path.read_bytes(), strict=True)
    except OSError as error:
        raise CheckpointError(f"cannot be read ({error.strerror})", where=path) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise CheckpointError(
            f"no description of a checkpoint: {'.'.join(map(str, first['loc']))}: {first['msg']}", where=path
        ) from error
    if info.schema_version != SCHEMA_VERSION:
        raise CheckpointError(
            f"checkpoint has schema {info.schema_version}, this version reads {SCHEMA_VERSION}",
            where=path,
            remedy="Use the version of isthmus that wrote it.",
        )
    return info


def read_weights(folder: Path, network: str) -> dict[str, Tensor]:
    """One network's weights, on the CPU.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = weights_file(folder, network)
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"weights cannot be read ({error})", where=path) from error


def load_network(network: nn.Module, folder: Path, name: str) -> None:
    """Fill a network with a checkpoint's weights.

    Args:
        network: Of the same structure.
        folder: The checkpoint's.
        name: The network's name there.

    Raises:
        CheckpointError: The file is missing or damaged, or the weights are another network's.
    """
    weights = read_weights(folder, name)
    misfits = _misfits(network.state_dict(), weights)
    if misfits:
        others = len(misfits) - _MISFITS_SHOWN
        more = f", and {others} more" if others > 0 else ""
        raise CheckpointError(
            f"the weights of {name} do not fit: {', '.join(misfits[:_MISFITS_SHOWN])}{more}",
            where=folder,
            remedy="Configure the network as the run that wrote them did.",
        )
    network.load_state_dict(weights)


def _misfits(wanted: Mapping[str, Tensor], held: Mapping[str, Tensor]) -> list[str]:
    """What keeps weights from a network, a clause a key: other shapes first, then missing and surplus ones."""
    shapes = [
        f"{key} is {_shape(held[key])} and should be {_shape(tensor)}"
        for key, tensor in wanted.items()
        if key in held and held[key].shape != tensor.shape
    ]
    missing = [f"{key} is missing" for key in wanted if key not in held]
    return [*shapes, *missing, *(f"{key} has no place" for key in held if key not in wanted)]


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def weights_file(folder: Path, network: str) -> Path:
    """Where a checkpoint keeps a network's weights."""
    return folder / f"{network}.safetensors"


def read_state(folder: Path) -> dict[str, Any]:
    """Optimisers, random states and windows, on the CPU.

    Raises:
        CheckpointError: The file is missing, damaged, or holds more than tensors and plain values.
    """
    path = folder / STATE_FILE
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"state cannot be read ({str(error).splitlines()[0]})", where=path) from error
    return state


def check_files(folder: Path) -> None:
    """Compare each file with the manifest.

    Raises:
        CheckpointError: A file is missing, unlisted or altered.
    """
    manifest = folder / MANIFEST_FILE
    try:
        digests = _DIGESTS.validate_json(manifest.read_bytes(), strict=True)
    except (OSError, ValidationError) as error:
        raise CheckpointError("no readable manifest", where=manifest) from error
    listed = {*digests, INFO_FILE, STATE_FILE}
    unlisted = sorted({path.name for path in folder.iterdir()} - {*digests, MANIFEST_FILE})
    if unlisted:
        raise CheckpointError("not listed in manifest.json", where=folder / unlisted[0])
    for name in sorted(listed):
        path = folder / name
        if not path.is_file() or sha256_of(path) != digests.get(name):
            raise CheckpointError("missing or altered since it was written", where=path)


def _write_files(
    folder: Path, info: CheckpointInfo, networks: Mapping[str, Mapping[str, Tensor]], state: dict[str, Any]
) -> None:
    from safetensors.torch import save_file

    for name, weights in networks.items():
        # safetensors wants dense tensors; channels_last ones are given back their layout when they are loaded.
        save_file(
            {key: value.detach().cpu().contiguous() for key, value in weights.items()}, weights_file(folder, name)
        )
    torch.save(state, folder / STATE_FILE)
    (folder / INFO_FILE).write_text(info.model_dump_json(indent=2), encoding="utf-8")
    files = sorted(folder.iterdir())
    digests = {path.name: sha256_of(path) for path in files}
    manifest = folder / MANIFEST_FILE
    manifest.write_text(json.dumps(digests, indent=2), encoding="utf-8")
    for path in (*files, manifest, folder):
        _sync(path)


def _best_step(folder: Path) -> int | None:
    try:
        return read_info(folder).best_step
    except CheckpointError:  # nothing can be resumed from it, so nothing is kept for it
        return None


def _sync(path: Path) -> None:
    """Make sure that a file or a folder's listing is on the disk before the next rename."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
