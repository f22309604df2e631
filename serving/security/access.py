"""Who may call which method: every call is looked up in the policy before anything is done for it."""

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Any, Final

import grpc
import grpc.aio
from grpc_status import rpc_status

from isthmus.errors import NotAllowedError, ServingError, UnauthenticatedError
from isthmus.serving.errors import status_of
from isthmus.serving.identity import Context, is_named, vehicle_of
from isthmus.serving.security.policy import RpcGroup, Rulebook
from isthmus.serving.security.stream_counts import StreamCounts

logger = logging.getLogger(__name__)

_OURS: Final = "/isthmus.serving.v1.SegmentationService/"
_OIP: Final = "/inference.GRPCInferenceService/"
_OPEN: Final = frozenset({f"{_OIP}ServerLive", f"{_OIP}ServerReady"})
_OPEN_SERVICES: Final = ("/grpc.health.v1.Health/",)
_HEALTH_WATCH: Final = "/grpc.health.v1.Health/Watch"
MAX_HEALTH_WATCHES: Final = 8
"""Most health watches that one caller may have open: they are open to all, and take places that frames need."""
_GROUPS: Final = {
    f"{_OURS}Segment": RpcGroup.FRAMES,
    f"{_OURS}StreamSegment": RpcGroup.FRAMES,
    f"{_OURS}GetModelInfo": RpcGroup.MODEL_INFO,
    f"{_OURS}WatchModel": RpcGroup.WATCH,
    f"{_OIP}ModelInfer": RpcGroup.FRAMES,
    f"{_OIP}ModelStreamInfer": RpcGroup.FRAMES,
    f"{_OIP}ServerMetadata": RpcGroup.MODEL_INFO,
    f"{_OIP}ModelMetadata": RpcGroup.MODEL_INFO,
    f"{_OIP}ModelReady": RpcGroup.MODEL_INFO,
    f"{_OIP}ModelConfig": RpcGroup.MODEL_INFO,
    f"{_OIP}ModelStatistics": RpcGroup.MODEL_INFO,
    f"{_OIP}RepositoryIndex": RpcGroup.REPOSITORY,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": RpcGroup.MODEL_INFO,
}


class AccessInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc is untyped
    """Refuses what the policy does not allow, and streams beyond a caller's share.

    A method that stands in no group is refused to everybody: whoever adds one says who may call it.

    Args:
        rules: Gives the policy in force.
    """

    def __init__(self, rules: Callable[[], Rulebook]) -> None:
        self._rules = rules
        self._counts = StreamCounts()
        self._watches = StreamCounts()

    @property
    def streams(self) -> int:
        """Streams that are open now, those of health left out."""
        return self._counts.total

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler, if it exists and is not a short call that is open to all."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or (is_open(method) and method != _HEALTH_WATCH):
            return handler
        for shape, make in _MAKERS.items():
            behaviour = getattr(handler, shape)
            if behaviour is not None:
                return make(
                    self._checked(behaviour, method, streaming=shape != "unary_unary"),
                    request_deserializer=handler.request_deserializer,
                    response_serializer=handler.response_serializer,
                )
        return handler

    def _checked(self, behaviour: Callable[..., Any], method: str, *, streaming: bool) -> Callable[..., Any]:
        if inspect.isasyncgenfunction(behaviour):

            async def generate(request: Any, context: Context) -> AsyncIterator[Any]:
                with await self._admitted(method, context, streaming=streaming):
                    async with aclosing(behaviour(request, context)) as responses:
                        async for response in responses:
                            yield response

            return generate

        async def call(request: Any, context: Context) -> Any:
            with await self._admitted(method, context, streaming=streaming):
                return await behaviour(request, context)

        return call

    async def _admitted(self, method: str, context: Context, *, streaming: bool) -> AbstractContextManager[None]:
        """Hold this while the call runs; a call that may not run is aborted instead."""
        try:
            return self._admit(method, vehicle_of(context), streaming=streaming)
        except ServingError as error:
            logger.info("%s from %s: %s", method, context.peer(), error)
            status = rpc_status.to_status(status_of(error))
            await context.abort(status.code, status.details, status.trailing_metadata)
            raise

    def _admit(self, method: str, vehicle: str, *, streaming: bool) -> AbstractContextManager[None]:
        if method == _HEALTH_WATCH:
            return self._watches.hold(vehicle, MAX_HEALTH_WATCHES)
        group, grant = group_of(method), self._rules().grant_of(vehicle)
        if group is None or group not in grant.allow:
            raise refusal(vehicle, group)
        return self._counts.hold(vehicle, grant.max_streams) if streaming else nullcontext()


def is_open(method: str) -> bool:
    """Whether everybody may call this method who can connect."""
    return method in _OPEN or method.startswith(_OPEN_SERVICES)


def group_of(method: str) -> RpcGroup | None:
    """The group of a method, `/package.Service/Method`; None where it stands in none."""
    return _GROUPS.get(method)


def refusal(vehicle: str, group: RpcGroup | None) -> ServingError:
    """What a caller is told who may not call a group's methods."""
    what = f"calls of the group {group}" if group is not None else "this call"
    if is_named(vehicle):
        return NotAllowedError(f"the policy does not allow {what}", where=vehicle)
    return UnauthenticatedError(
        f"{what} need a client certificate with one URI that names the caller",
        remedy="Connect with a certificate of the authority that the server trusts, with one URI in it.",
    )


_MAKERS: Final = {
    "unary_unary": grpc.unary_unary_rpc_method_handler,
    "unary_stream": grpc.unary_stream_rpc_method_handler,
    "stream_unary": grpc.stream_unary_rpc_method_handler,
    "stream_stream": grpc.stream_stream_rpc_method_handler,
}
