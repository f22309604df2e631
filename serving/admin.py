"""`isthmus.serving.v1.AdminService`: what the operator sees and does, on the server's own machine."""

import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

import grpc
from google.protobuf import timestamp_pb2

import isthmus
from isthmus.protos.isthmus.serving.v1 import admin_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import admin_pb2_grpc
from isthmus.serving.identity import Context
from isthmus.serving.model import LoadedModel
from isthmus.serving.security.guard import Guard

logger = logging.getLogger(__name__)

SERVICE_NAME: Final = pb.DESCRIPTOR.services_by_name["AdminService"].full_name
_ROOT_LOGGER: Final = "isthmus"
_LEVELS: Final = {
    pb.LOG_LEVEL_DEBUG: logging.DEBUG,
    pb.LOG_LEVEL_INFO: logging.INFO,
    pb.LOG_LEVEL_WARNING: logging.WARNING,
    pb.LOG_LEVEL_ERROR: logging.ERROR,
}


class SwapControl(Protocol):
    """The models beside the one that answers, and the way back to the one before."""

    @property
    def previous(self) -> LoadedModel | None:
        """The model before, if it is still kept."""
        ...

    @property
    def challenger(self) -> LoadedModel | None:
        """The model that is tried on a share of the frames."""
        ...

    @property
    def refused(self) -> Mapping[str, str]:
        """Why versions that hold an alias do not serve here, by version."""
        ...

    @property
    def problem(self) -> str:
        """What went wrong at the last look for a model; empty where all went well."""
        ...

    async def roll_back(self, reason: str) -> None:
        """Answer with the previous model from the next batch on.

        Raises:
            NoModelError: There is none.
        """
        ...


class Work(Protocol):
    """What of the pipeline can be seen."""

    @property
    def is_ready(self) -> bool:
        """Whether frames are taken."""
        ...

    @property
    def is_draining(self) -> bool:
        """Whether they are refused for good."""
        ...

    @property
    def current(self) -> LoadedModel | None:
        """The model that answers now."""
        ...

    @property
    def in_flight(self) -> int:
        """Requests admitted and not answered yet."""
        ...

    @property
    def queue_depth(self) -> int:
        """Those of them that wait for the engine."""
        ...


@dataclass(frozen=True)
class Operated:
    """What the operator looks at and moves.

    Args:
        address: Where vehicles reach the server.
        work: The pipeline.
        guard: Certificate and policy.
        swap: Models beside the one that answers.
        drain: Ends the taking of frames.
    """

    address: str
    work: Work
    guard: Guard
    swap: SwapControl
    drain: Callable[[], Awaitable[None]]


class AdminServicer(admin_pb2_grpc.AdminServiceServicer):
    """Answers the operator.

    Args:
        operated: The server.
    """

    def __init__(self, operated: Operated) -> None:
        self._operated = operated
        self._started_at = datetime.now(UTC)

    async def GetState(self, request: pb.GetStateRequest, context: Context) -> pb.GetStateResponse:  # noqa: N802, ARG002
        """Tell what the server does."""
        operated = self._operated
        work, guard = operated.work, operated.guard
        return pb.GetStateResponse(
            server_version=isthmus.__version__,
            process_id=os.getpid(),
            started_at=_timestamp(self._started_at),
            address=operated.address,
            ready=work.is_ready,
            draining=work.is_draining,
            model=_model(work.current),
            previous=_model(operated.swap.previous),
            challenger=_model(operated.swap.challenger),
            in_flight=work.in_flight,
            queued=work.queue_depth,
            streams=guard.interceptor.streams,
            certificate=_certificate(guard),
            policy=pb.PolicyState(
                sha256=guard.rules().sha256,
                loaded_at=_timestamp(guard.policy.loaded_at),
                problem=guard.policy.problem,
            ),
            log_level=_log_level(),
            refused=[pb.RefusedVersion(version=one, reason=why) for one, why in operated.swap.refused.items()],
            problem=operated.swap.problem,
        )

    async def RollBack(self, request: pb.RollBackRequest, context: Context) -> pb.RollBackResponse:  # noqa: N802, ARG002
        """Go back to the model before."""
        logger.warning("the operator asks for the previous model: %s", request.reason or "no reason given")
        await self._operated.swap.roll_back(request.reason or "the operator asked for it")
        return pb.RollBackResponse(model=_model(self._operated.work.current))

    async def Drain(self, request: pb.DrainRequest, context: Context) -> pb.DrainResponse:  # noqa: N802, ARG002
        """Take no more frames."""
        logger.warning("the operator asks to drain: no frame is taken from now on")
        await self._operated.drain()
        return pb.DrainResponse(in_flight=self._operated.work.in_flight)

    async def SetLogLevel(self, request: pb.SetLogLevelRequest, context: Context) -> pb.SetLogLevelResponse:  # noqa: N802
        """Say more, or less, in the log."""
        level = _LEVELS.get(request.level)
        if level is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "level: no such level")
        assert level is not None, "abort raises"
        logging.getLogger(_ROOT_LOGGER).setLevel(level)
        logger.log(level, "the operator asks for log level %s", logging.getLevelName(level))
        return pb.SetLogLevelResponse()


def _model(model: LoadedModel | None) -> pb.AdminModel | None:
    if model is None:
        return None
    return pb.AdminModel(
        name=model.name,
        version=model.version,
        sha256=model.sha256,
        provider=model.provider,
        provider_fallback=model.provider_fallback,
        from_cache=model.from_cache,
    )


def _certificate(guard: Guard) -> pb.Certificate | None:
    if guard.certificate is None:
        return None
    current = guard.certificate.current
    ends = current.client_ca_expires_at
    return pb.Certificate(
        subject=current.subject,
        sha256=current.sha256,
        expires_at=_timestamp(current.expires_at),
        client_ca_expires_at=None if ends is None else _timestamp(ends),
        problem=guard.certificate.problem,
    )


def _log_level() -> pb.LogLevel:
    level = logging.getLogger(_ROOT_LOGGER).getEffectiveLevel()
    return next((name for name, number in _LEVELS.items() if level <= number), pb.LOG_LEVEL_ERROR)


def _timestamp(moment: datetime) -> timestamp_pb2.Timestamp:
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(moment)
    return stamp
