"""A model that has passed its checks and may serve."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from isthmus.artifact import GoldenFrame, ModelCard
from isthmus.errors import BackendUnavailableError, ContractError, EngineLostError
from isthmus.serving.bound_session import BoundSession
from isthmus.serving.config import ServerConfig
from isthmus.serving.engine import Engine, OrtEngine, Prediction
from isthmus.serving.engine_config import EngineConfig
from isthmus.serving.session import CUDA, OpenSession, available_cpus, open_session
from isthmus.serving.swap.verdicts import Standing

FILE_VERSION: Final = "file"
"""Version of a model that came from a plain file; the registry's versions are numbers."""

MIN_GOLDEN_AGREEMENT: Final = 0.999
"""Share of the golden frame's pixels that must get the label they had in torch."""


@dataclass(frozen=True)
class LoadedModel:
    """A checked model and its engine.

    Args:
        name: The registered model's name, or the card's for a plain file.
        version: The registry's version, or `FILE_VERSION`.
        sha256: Of the ONNX file, hex.
        card: What the ONNX file says about itself.
        engine: Runs it.
        provider: The execution provider that runs it.
        provider_fallback: Whether a GPU was preferred but is not used.
        from_cache: Whether this is the last good model: the registry did not answer, or its champion was refused.
        batch_seconds: Seconds by batch size, where they were measured before it serves; the scheduler starts from them.
        standing: What speaks for it.
    """

    name: str
    version: str
    sha256: str
    card: ModelCard
    engine: Engine
    provider: str
    provider_fallback: bool
    from_cache: bool
    batch_seconds: Mapping[int, float] = field(default_factory=dict)
    standing: Standing = Standing.UNCHECKED


def load_model(
    path: Path, config: ServerConfig, *, name: str | None, version: str, sha256: str, from_cache: bool = False
) -> LoadedModel:
    """Open an ONNX file and check the contract and the golden frame.

    Args:
        path: The file.
        config: Provider policy and threads.
        name: The registered model's name; None takes the card's.
        version: The registry's version, or `FILE_VERSION`.
        sha256: Digest that the file's bytes must have.
        from_cache: See `LoadedModel`.

    Raises:
        ContractError: The file's bytes, contract or labels are wrong.
        EngineLostError: The execution provider failed on the golden frame.
        ProviderError: The provider policy cannot be satisfied.
    """
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ContractError("the file changed while it was read", where=path)
    num_threads = config.num_threads or available_cpus()
    opened = open_session(
        data,
        config.provider_policy,
        num_threads=num_threads,
        where=path,
        engine=config.engine,
        max_batch_size=config.limits.max_batch_size,
    )
    engine = make_engine(opened, config.engine)
    try:
        check_golden(engine, opened.card.golden, path)
    except BaseException:
        engine.close()
        raise
    return LoadedModel(
        name=name or opened.card.name,
        version=version,
        sha256=sha256,
        card=opened.card,
        engine=engine,
        provider=opened.provider,
        provider_fallback=opened.fallback,
        from_cache=from_cache,
    )


def make_engine(opened: OpenSession, config: EngineConfig) -> OrtEngine:
    """The engine of a session: with fixed buffers on a GPU, by names on a CPU."""
    if opened.provider != CUDA:
        return OrtEngine(opened.session)
    return OrtEngine(opened.session, BoundSession(opened.of_size, "cuda", config.bound_shapes))


class _Predicting(Protocol):
    def infer_now(self, images: NDArray[np.uint8]) -> Prediction: ...


def check_golden(engine: _Predicting, golden: GoldenFrame, where: str | Path) -> None:
    """See that an engine gives the golden frame the labels that it had in torch.

    Raises:
        BackendUnavailableError: The engine is remote and does not answer.
        ContractError: The labels are others, or there are none.
        EngineLostError: The execution provider failed for good.
    """
    image = _decode_png(golden.image_png, cv2.IMREAD_COLOR_RGB, where)
    expected = _decode_png(golden.labels_png, cv2.IMREAD_GRAYSCALE, where)
    try:
        labels = engine.infer_now(image[None]).labels[0]
    except (BackendUnavailableError, EngineLostError):
        raise
    except Exception as error:  # whatever onnxruntime raises here, the model cannot run
        raise ContractError(f"the model fails on its golden frame: {error}", where=where) from error
    if labels.shape != expected.shape:
        raise ContractError(f"golden labels have shape {labels.shape}, not {expected.shape}", where=where)
    decided = np.full(expected.shape, True)
    if golden.undecided_png is not None:  # where rounding to fp16 may choose another class on another machine
        decided = _decode_png(golden.undecided_png, cv2.IMREAD_GRAYSCALE, where) == 0
        if decided.shape != expected.shape or not decided.any():
            raise ContractError("the golden frame leaves no pixel to compare", where=where)
    agreement = float(np.mean(labels[decided] == expected[decided]))
    if agreement < MIN_GOLDEN_AGREEMENT:
        raise ContractError(
            f"agrees with torch on {agreement:.2%} of the golden frame, {MIN_GOLDEN_AGREEMENT:.1%} are required",
            where=where,
            remedy="Export the model again; if it recurs, this machine's onnxruntime computes differently, or a "
            "gateway's --backend-card is another model's.",
        )


def _decode_png(text: str, flags: int, where: str | Path) -> NDArray[np.uint8]:
    try:
        image = cv2.imdecode(np.frombuffer(base64.b64decode(text, validate=True), np.uint8), flags)
    except (ValueError, cv2.error):
        image = None
    if image is None:
        raise ContractError("the golden frame is no PNG", where=where, remedy="Export the model again.")
    return np.asarray(image, np.uint8)
