"""`inference.GRPCInferenceService`: the Open Inference Protocol, so that existing clients work unmodified.

A model has two inputs, of which a request sends one: `image` UINT8 [n, H, W, 3] RGB, or `image_bytes` BYTES [n],
JPEG or PNG files of one size. It answers `labels` UINT8 [n, H, W] and `confidence` UINT8 [n, h, w]. Tensors travel
in raw_input_contents and raw_output_contents alone: typed contents spend several bytes on each one of an image.
"""

import functools
import math
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, Final
from weakref import WeakKeyDictionary

import isthmus
from isthmus.artifact import METADATA_KEY, SHA256_KEY
from isthmus.errors import ModelNotLoadedError, NoModelError
from isthmus.protos.inference import open_inference_pb2 as pb
from isthmus.protos.inference import open_inference_pb2_grpc
from isthmus.serving.frame_record import FrameFacts, FrameRecord
from isthmus.serving.identity import payer_of, vehicle_of
from isthmus.serving.jobs import Done, Job
from isthmus.serving.model_slots import ModelSlot
from isthmus.serving.oip_requests import (
    FINAL_RESPONSE,
    INPUTS,
    OUTPUTS,
    pictures_of,
    requested_outputs,
    timeout_s,
    write_outputs,
)
from isthmus.serving.oip_stream import InferStream
from isthmus.serving.pipeline import Pipeline, check_deadline
from isthmus.serving.scheduling.work import Group
from isthmus.serving.servicers import Context, remaining_s
from isthmus.serving.statistics import Statistics

SERVICE_NAME: Final = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name

_PLATFORM: Final = "onnxruntime_onnx"
_DATATYPES: Final = {"UINT8": pb.TYPE_UINT8, "BYTES": pb.TYPE_STRING}


class OpenInferenceServicer(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers batches, and questions about server and models.

    Args:
        pipeline: The stages that both protocols share.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._statistics = Statistics()
        self._configs: WeakKeyDictionary[ModelSlot, pb.ModelConfig] = WeakKeyDictionary()
        pipeline.events.subscribe(self._statistics)

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Context) -> pb.ServerLiveResponse:  # noqa: N802, ARG002
        """Answering is the answer."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:  # noqa: N802, ARG002
        """Whether requests are taken."""
        return pb.ServerReadyResponse(ready=self._pipeline.is_ready)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:  # noqa: N802, ARG002
        """Whether requests for this model are taken."""
        try:
            self._pipeline.model(request.name, request.version)
        except (NoModelError, ModelNotLoadedError):
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=self._pipeline.is_ready)

    async def ServerMetadata(  # noqa: N802
        self,
        request: pb.ServerMetadataRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> pb.ServerMetadataResponse:
        """Name and version; the protocol's extensions that are offered, and where the model runs."""
        extensions = ["model_configuration", "statistics", "model_repository(index)"]
        if self._pipeline.is_ready:
            model = self._pipeline.model()
            extensions.append(f"provider:{model.provider}")
            if model.provider_fallback:
                extensions.append("provider_fallback")
        return pb.ServerMetadataResponse(name="isthmus", version=isthmus.__version__, extensions=extensions)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:  # noqa: N802, ARG002
        """Inputs and outputs."""
        model = self._pipeline.model(request.name, request.version)
        tensor = pb.ModelMetadataResponse.TensorMetadata
        return pb.ModelMetadataResponse(
            name=model.name,
            versions=[each.version for each in self._pipeline.slots if each.name == model.name],
            platform=_PLATFORM,
            inputs=[tensor(name=name, datatype=kind, shape=shape) for name, kind, shape in INPUTS],
            outputs=[tensor(name=name, datatype=kind, shape=shape) for name, kind, shape in OUTPUTS],
        )

    async def ModelConfig(self, request: pb.ModelConfigRequest, context: Context) -> pb.ModelConfigResponse:  # noqa: N802, ARG002
        """How a model is served."""
        slot = self._pipeline.slots.find(request.name, request.version)
        config = self._configs.get(slot)
        if config is None:  # the card is long, gateways ask often, and frames would wait meanwhile
            config = self._configs[slot] = _config(slot)
        return pb.ModelConfigResponse(config=config)

    async def ModelStatistics(  # noqa: N802
        self,
        request: pb.ModelStatisticsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ModelStatisticsResponse:
        """What the models have done."""
        if request.name or request.version:  # else all, which may be none
            self._pipeline.model(request.name or None, request.version)
        response = pb.ModelStatisticsResponse()
        for model in self._pipeline.slots:
            if request.version in ("", model.version):
                counted = self._statistics.of(model.version)
                counted.name = model.name
                response.model_stats.append(counted)
        return response

    async def RepositoryIndex(  # noqa: N802
        self,
        request: pb.RepositoryIndexRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.RepositoryIndexResponse:
        """The models that are loaded; the registry has more."""
        is_ready = self._pipeline.is_ready
        index = pb.RepositoryIndexResponse()
        for model in self._pipeline.slots if is_ready or not request.ready else ():
            index.models.add(
                name=model.name,
                version=model.version,
                state="READY" if is_ready else "UNAVAILABLE",
                reason="" if is_ready else "the server is shutting down",
            )
        return index

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:  # noqa: N802
        """Segment a batch of frames of one size."""
        with self._pipeline.record("ModelInfer", vehicle_of(context)) as record:
            return await self._infer(request, record, vehicle_of(context), remaining_s(context))

    async def ModelStreamInfer(self, request_iterator: Any, context: Context) -> None:  # noqa: N802
        """Segment batch after batch."""
        vehicle = vehicle_of(context)

        async def answer(request: pb.ModelInferRequest) -> tuple[pb.ModelInferResponse, Callable[[], None]]:
            with self._pipeline.record("ModelStreamInfer", vehicle) as record:
                response = await self._infer(request, record, vehicle, remaining_s(context), also=(FINAL_RESPONSE,))
                return response, self._pipeline.places.keep_mask(response.ByteSize())

        with self._pipeline.open_stream():
            stream = InferStream(answer, context.write)
            take_back = self._pipeline.on_leave(stream.leave)
            try:
                await stream.run(request_iterator)
            finally:
                take_back()

    async def _infer(
        self,
        request: pb.ModelInferRequest,
        record: FrameRecord,
        vehicle: str,
        remaining: float,
        also: Sequence[str] = (),
    ) -> pb.ModelInferResponse:
        pipeline = self._pipeline
        model = pipeline.model(request.model_name, request.model_version)
        record.model_version = model.version
        record.deadline = record.arrived + min(timeout_s(request, also=also), remaining)
        outputs = requested_outputs(request)
        with pipeline.admission(vehicle, num_bytes=sum(map(len, request.raw_input_contents))):
            check_deadline(record.deadline)
            network_pixels = prod(model.card.network_size_hw)
            pictures = pictures_of(request, pipeline.limits, network_pixels, record.deadline)
            record.count = pictures.count
            job = Job(
                vehicle=payer_of(vehicle),
                service_class=record.service_class,
                arrived=record.arrived,
                deadline=record.deadline,
                group=Group(pictures.shape_hw, request.model_version),
                count=pictures.count,
                decode=pictures.decode,
                is_cheap=pictures.is_cheap,
            )
            return await pipeline.answer(job, record, functools.partial(_response, request.id, outputs))


def _response(
    request_id: str,
    outputs: Sequence[str],
    done: Done,
    facts: list[FrameFacts],  # noqa: ARG001 - what every writer of answers is given
) -> pb.ModelInferResponse:
    response = pb.ModelInferResponse(model_name=done.model.name, model_version=done.model.version, id=request_id)
    write_outputs(response, done.prediction, outputs)
    return response


def _config(slot: ModelSlot) -> pb.ModelConfig:
    model, rules = slot.model, slot.rules
    config = pb.ModelConfig(
        name=model.name,
        platform=_PLATFORM,
        backend="onnxruntime",
        max_batch_size=rules.largest,
        input=[
            pb.ModelInput(name=name, data_type=_DATATYPES[kind], dims=shape[1:] or (1,), optional=True)
            for name, kind, shape in INPUTS
        ],
        output=[pb.ModelOutput(name=name, data_type=_DATATYPES[kind], dims=shape[1:]) for name, kind, shape in OUTPUTS],
        parameters={
            "provider": pb.ModelParameter(string_value=model.provider),
            # What a gateway before this server needs to know; see remote_model.
            METADATA_KEY: pb.ModelParameter(string_value=model.card.to_json()),
            SHA256_KEY: pb.ModelParameter(string_value=model.sha256),
        },
    )
    if rules.max_size > 1:
        sizes = {rules.padded(count) for count in range(1, rules.max_size + 1)}
        config.dynamic_batching.preferred_batch_size.extend(sorted(sizes))
        config.dynamic_batching.max_queue_delay_microseconds = math.ceil(rules.max_wait_s * 1e6)
    return config
