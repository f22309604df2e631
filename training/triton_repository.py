"""A model repository for Triton: `<name>/config.pbtxt` and `<name>/<version>/model.onnx`.

The model card travels as a parameter of the configuration, which Triton's `ModelConfig` passes on: a gateway of ours
(`isthmus serve --backend`) learns label space and golden frame from there. The parameters' names are those that our own
server uses (`serving/remote_model.py`).
"""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Final, Literal

from google.protobuf import text_encoding

from isthmus.artifact import (
    INPUT_NAME,
    METADATA_KEY,
    OUTPUT_CONFIDENCE,
    OUTPUT_LABELS,
    SHA256_KEY,
    ModelCard,
    sha256_of,
)
from isthmus.errors import ConfigurationError
from isthmus.training.onnx_model import read_card

_CONFIG: Final = "config.pbtxt"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_GPU_PARAMETERS: Final = {
    "cudnn_conv_algo_search": "1",  # HEURISTIC: an exhaustive search stalls the first frame of each shape
    "arena_extend_strategy": "1",  # kSameAsRequested: two versions must fit side by side
}


def write_triton_repository(
    onnx_file: Path,
    out: Path,
    *,
    name: str | None = None,
    version: int = 1,
    device: Literal["gpu", "cpu"] = "gpu",
    max_batch_size: int = 8,
) -> Path:
    """Write a model into a repository, beside the models that are there.

    Args:
        onnx_file: An exported `model.onnx`.
        out: The repository.
        name: The model's name in Triton; the card's by default.
        version: Its version there. Triton serves the highest.
        device: Where Triton runs it.
        max_batch_size: Most frames that Triton computes at once; it gathers those of different callers.

    Returns:
        The model's folder.

    Raises:
        ConfigurationError: This version is there already, a number is not positive, or the name is none for Triton.
        ContractError: The file is no model of ours.
    """
    if version < 1 or max_batch_size < 1:
        raise ConfigurationError(f"version {version} and max_batch_size {max_batch_size} must be 1 or more")
    card = read_card(onnx_file)
    name = name or card.name
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is no name that Triton can serve",
            remedy="Choose a --name of letters, digits, '-', '_' and '.', which begins with a letter or digit.",
        )
    folder = out / name
    final = folder / str(version)
    if final.exists():
        raise ConfigurationError("this version is there already", where=final, remedy="Choose another --version.")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as scratch_name:
        scratch = Path(scratch_name)
        (scratch / "version").mkdir()
        shutil.copyfile(onnx_file, scratch / "version" / "model.onnx")
        text = triton_config(card, sha256_of(onnx_file), name=folder.name, device=device, max_batch_size=max_batch_size)
        (scratch / _CONFIG).write_text(text, encoding="utf-8")
        # The file first: Triton that polls finds a whole version, at worst with the card of the version before.
        (scratch / "version").rename(final)
        (scratch / _CONFIG).replace(folder / _CONFIG)
    return folder


def triton_config(
    card: ModelCard, sha256: str, *, name: str, device: Literal["gpu", "cpu"], max_batch_size: int
) -> str:
    """`config.pbtxt`, a text of Triton's message `ModelConfig`; arguments as in `write_triton_repository`."""
    parameters = {METADATA_KEY: card.to_json(), SHA256_KEY: sha256}
    if device == "gpu":
        parameters |= _GPU_PARAMETERS
    sizes = [2**power for power in range(max_batch_size.bit_length())]
    lines = [
        f"name: {_quoted(name)}",
        'backend: "onnxruntime"',
        f"max_batch_size: {max_batch_size}",
        _tensor("input", INPUT_NAME, (-1, -1, 3)),
        _tensor("output", OUTPUT_LABELS, (-1, -1)),
        _tensor("output", OUTPUT_CONFIDENCE, (-1, -1)),
        f"instance_group {{ count: 1 kind: KIND_{device.upper()} }}",
        "dynamic_batching {",
        f"  preferred_batch_size: {sizes}",
        "  max_queue_delay_microseconds: 2000",
        "  default_queue_policy {",
        "    timeout_action: REJECT",
        "    default_timeout_microseconds: 1000000",
        "    allow_timeout_override: true",
        "    max_queue_size: 64",  # without it Triton's queue has no end
        "  }",
        "}",
        *(_parameter(key, value) for key, value in parameters.items()),
    ]
    return "\n".join(lines) + "\n"


def _tensor(kind: str, name: str, dims: tuple[int, ...]) -> str:
    return f"{kind} {{ name: {_quoted(name)} data_type: TYPE_UINT8 dims: {list(dims)} }}"


def _parameter(key: str, value: str) -> str:
    return f"parameters {{ key: {_quoted(key)} value {{ string_value: {_quoted(value)} }} }}"


def _quoted(text: str) -> str:
    return f'"{text_encoding.CEscape(text.encode(), as_utf8=False)}"'
