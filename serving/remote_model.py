"""The model of a back end: where its card comes from, and the checks that it must pass like any other.

A gateway needs the ModelCard for the label space that it tells its clients, and the golden frame to prove that the back
end computes what was exported. Servers of ours tell it in `ModelConfig`, as a parameter named like the metadata of the
ONNX file; so does Triton with a model repository that `isthmus triton` wrote, since it passes parameters of its
config.pbtxt on. For all others the operator names the `model.onnx` or the `model_card.json` of the export.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Final

import grpc

from isthmus.artifact import INPUT_NAME, METADATA_KEY, OUTPUT_CONFIDENCE, OUTPUT_LABELS, SHA256_KEY, ModelCard
from isthmus.errors import (
    BackendUnavailableError,
    ContractError,
    IsthmusError,
    ModelRefusedError,
    NoModelError,
    ServingError,
)
from isthmus.protos.inference import open_inference_pb2 as pb
from isthmus.protos.inference import open_inference_pb2_grpc
from isthmus.serving.config import ProviderPolicy, ServerConfig
from isthmus.serving.engine_config import BackendConfig
from isthmus.serving.events import Change, Events, ModelChanged
from isthmus.serving.model import LoadedModel, check_golden
from isthmus.serving.off_loop import in_thread
from isthmus.serving.pipeline import Pipeline
from isthmus.serving.remote_engine import OipEngine, connect
from isthmus.serving.session import open_session
from isthmus.serving.swap.refusals import Refusals

logger = logging.getLogger(__name__)

NO_VERSION: Final = "remote"
"""Version of a model whose server names none."""


def load_remote(config: ServerConfig) -> LoadedModel:
    """Find the model at the back end, read its card, and check contract and golden frame there. Blocks.

    Raises:
        BackendUnavailableError: The back end cannot be reached, or does not have the model yet.
        ConfigurationError: A certificate cannot be read.
        ContractError: There is no card, or the model does not keep the contract.
    """
    backend = config.engine.backend
    assert backend is not None
    card, sha256 = _card_in(backend.card) if backend.card is not None else _card_from(backend, config)
    engine = OipEngine(backend, config.limits, prod(card.network_size_hw))
    try:
        _check_tensors(engine.metadata(), backend.address)
        check_golden(engine, card.golden, backend.address)
    except BaseException:
        engine.close()
        raise
    return LoadedModel(
        name=backend.model,
        version=engine.version or NO_VERSION,
        sha256=sha256,
        card=card,
        engine=engine,
        provider=f"oip://{backend.address}",
        provider_fallback=False,
        from_cache=False,
    )


class BackendFollower:
    """Keeps a gateway on the model of its back end; stands where a `swap.watcher.Watcher` stands for a registry.

    Args:
        config: The back end, and the pause between two tries to load.
        pipeline: Serves the model.
        tell: Takes whether the back end is ready; awaited at least whenever that changes.
        events: Told of changes.
    """

    previous: LoadedModel | None = None
    challenger: LoadedModel | None = None
    problem: str = ""

    def __init__(
        self, config: ServerConfig, pipeline: Pipeline, tell: Callable[[bool], Awaitable[None]], events: Events
    ) -> None:
        self._config = config
        self._pipeline = pipeline
        self._tell = tell
        self._events = events
        self._refusals = Refusals(config.poll_interval_s)
        self.refused: Mapping[str, str] = {}

    def prepare(self) -> None:
        """See that a card that was named can be read; nothing is kept on this machine.

        Raises:
            ContractError: It cannot.
        """
        backend = self._config.engine.backend
        if backend is not None and backend.card is not None:
            _card_in(backend.card)

    async def roll_back(self, reason: str) -> None:  # noqa: ARG002 - the shape is `admin.SwapControl`'s
        """Refuse: which version answers is the back end's affair.

        Raises:
            NoModelError: Always.
        """
        raise NoModelError("a gateway keeps no previous model", remedy="Roll back at the back end.")

    async def first(self) -> None:
        """Find the model and serve it.

        Raises:
            IsthmusError: See `load_remote`; whatever the back end answers is a BackendUnavailableError here.
        """
        try:
            model = await in_thread(partial(load_remote, self._config))
        except BackendUnavailableError:
            raise
        except ServingError as error:  # full, or failing: it may do better when it is asked again
            raise BackendUnavailableError(str(error)) from error
        self._pipeline.serve(model)
        await self._tell(True)
        logger.info("serving %s version %s (%s) on %s", model.name, model.version, model.sha256[:12], model.provider)

    async def run(self, cause: IsthmusError | None = None) -> None:
        """Let health follow the back end, and serve whatever version it has changed to once that passes its checks.

        Args:
            cause: Why there is no model yet.
        """
        while self._pipeline.current is None:
            if cause is not None and str(cause) != self.problem:
                self.problem = str(cause)
                logger.error("no model: %s", self.problem)
            await asyncio.sleep(self._config.poll_interval_s)
            try:
                await self.first()
            except IsthmusError as error:
                cause = error
        self.problem = ""
        while True:
            await self._follow()

    async def stop(self) -> None:
        """The pipeline closes the model."""

    async def _follow(self) -> None:
        model = self._pipeline.current
        assert model is not None
        assert isinstance(model.engine, OipEngine)
        await model.engine.follow(self._tell)
        started = time.monotonic()
        try:
            new = await in_thread(partial(self._load_after, model))
        except IsthmusError as error:
            await self._refuse(model, model.engine, error, time.monotonic() - started)
            return
        before = self._pipeline.serve(new)
        self._refusals.keep_only()
        self.refused = {}
        seconds = time.monotonic() - started
        self._events.tell(ModelChanged(change=Change.SWAPPED, model_version=new.version, seconds=seconds))
        logger.info("back end changed to version %s (%s)", new.version, new.sha256[:12])
        if before is not None:
            await self._pipeline.drained(before)
            before.engine.close()

    def _load_after(self, before: LoadedModel) -> LoadedModel:
        new = load_remote(self._config)
        space, known = new.card.label_space.id_hash, before.card.label_space.id_hash
        if space != known and not self._config.swap.allow_label_space_change:
            new.engine.close()
            raise ModelRefusedError(
                f"its label space is {space}, and masks until now were of {known}",
                where=new.provider,
                remedy="If every client reads the new one, start the gateway with --allow-label-space-change.",
            )
        return new

    async def _refuse(self, model: LoadedModel, engine: OipEngine, error: IsthmusError, seconds: float) -> None:
        """Go on with `model` until it is time to try again, or the back end has yet other versions."""
        ready, versions = await engine.look()
        await self._tell(ready)
        named = ",".join(versions or ())
        self._refusals.keep_only(named)
        self.refused = {versions[-1] if versions else NO_VERSION: str(error)}
        if self._refusals.note(named, "", str(error)):
            logger.error("the back end's new version is refused: %s", error)
            self._events.tell(
                ModelChanged(
                    change=Change.REFUSED,
                    model_version=model.version,
                    reason=str(error),
                    refused_version=versions[-1] if versions else "",
                    seconds=seconds,
                )
            )
        while not self._refusals.may_try(named, ""):
            await asyncio.sleep(self._config.poll_interval_s)
            ready, now = await engine.look()
            await self._tell(ready)
            if now not in (None, versions):
                self.refused = {}
                return


def _card_from(backend: BackendConfig, config: ServerConfig) -> tuple[ModelCard, str]:
    """The card and the digest that the back end tells."""
    with connect(backend, config.limits) as channel:
        stub: Any = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        try:
            answer = stub.ModelConfig(pb.ModelConfigRequest(name=backend.model), timeout=backend.timeout_s)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise BackendUnavailableError(
                    f"does not tell its model {backend.model!r}: {error.code().name}: {error.details()}",
                    where=backend.address,
                    remedy="Check --backend and --backend-model.",
                ) from error
            parameters: dict[str, str] = {}
        else:
            parameters = {name: value.string_value for name, value in answer.config.parameters.items()}
    if METADATA_KEY not in parameters:
        raise ContractError(
            f"does not tell the card of {backend.model!r}",
            where=backend.address,
            remedy="Name the model.onnx or model_card.json of its export with --backend-card.",
        )
    return ModelCard.from_json(parameters[METADATA_KEY], where=backend.address), parameters.get(SHA256_KEY, "")


def _card_in(path: Path) -> tuple[ModelCard, str]:
    """The card in a `model.onnx`, with the file's digest, or in a `model_card.json`."""
    if not path.is_file():
        raise ContractError("no such file", where=path, remedy="Name a file of an export with --backend-card.")
    data = path.read_bytes()
    if path.suffix == ".json":
        return ModelCard.from_json(data.decode("utf-8", "replace"), where=path), ""
    opened = open_session(data, ProviderPolicy.CPU, num_threads=1, where=path)  # only read, never run
    return opened.card, hashlib.sha256(data).hexdigest()


def _check_tensors(metadata: pb.ModelMetadataResponse, where: str) -> None:
    inputs = {tensor.name: tensor.datatype for tensor in metadata.inputs}
    outputs = {tensor.name: tensor.datatype for tensor in metadata.outputs}
    if inputs.get(INPUT_NAME) != "UINT8" or {outputs.get(OUTPUT_LABELS), outputs.get(OUTPUT_CONFIDENCE)} != {"UINT8"}:
        raise ContractError(
            f"has inputs {inputs} and outputs {outputs}, not UINT8 {INPUT_NAME}, {OUTPUT_LABELS} and "
            f"{OUTPUT_CONFIDENCE}",
            where=where,
            remedy="Serve a model that `isthmus export` made.",
        )
