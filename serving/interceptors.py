"""What happens around every call: an exception becomes a rich status, and the log gets what the client must not."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from grpc_status import rpc_status

from isthmus.errors import ServingError
from isthmus.serving.errors import status_of

logger = logging.getLogger(__name__)

Behaviour = Callable[..., Any]


class ErrorInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc is untyped
    """Answers an exception in any kind of call with the status that belongs to it."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler, if it exists."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        return grpc.unary_unary_rpc_method_handler(None)._replace(
            request_streaming=handler.request_streaming,
            response_streaming=handler.response_streaming,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
            unary_unary=handler.unary_unary and _guarded(handler.unary_unary, method),
            unary_stream=handler.unary_stream and _guarded(handler.unary_stream, method),
            stream_unary=handler.stream_unary and _guarded(handler.stream_unary, method),
            stream_stream=handler.stream_stream and _guarded(handler.stream_stream, method),
        )


def _guarded(behaviour: Behaviour, method: str) -> Behaviour:
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            running = behaviour(request, context)
            if not hasattr(running, "__aiter__"):
                return await running
            async for response in running:  # a handler that yields its answers
                await context.write(response)
        except grpc.aio.AbortError:  # the handler has chosen its own status
            raise
        except Exception as error:
            if isinstance(error, ServingError):
                logger.info("%s from %s: %s", method, context.peer(), error)
            else:
                logger.exception("%s from %s failed", method, context.peer())
            status = rpc_status.to_status(status_of(error))
            await context.abort(status.code, status.details, status.trailing_metadata)
        return None

    return call
