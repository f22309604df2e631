"""Watches every call from its beginning to its end: who calls, within which trace, how it ended, which streams run."""

import inspect
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio

from isthmus.errors import ServingError
from isthmus.serving.events import Events, RpcDone
from isthmus.serving.identity import vehicle_of

UNKNOWN_RPC: Final = "unknown"
"""Stands for every method that this server does not have: its name is the client's invention."""

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class Call:
    """A call as its handler's task sees it.

    Args:
        rpc: Its method, without the service.
        vehicle: Who calls; see `identity.vehicle_of`.
        streaming: Whether it is a stream.
        trace: What the client's metadata says of the trace that it belongs to: `traceparent`, `tracestate`.
    """

    rpc: str
    vehicle: str
    streaming: bool
    trace: dict[str, str]


current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
"""The call that this task, or the one that began it, works for."""


class RpcTelemetry(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc is untyped
    """Tells `RpcDone` of unary and streaming calls alike; the first among the interceptors, to see the final status.

    Args:
        events: Gets told.
        clock: Seconds from any fixed moment.
    """

    def __init__(self, events: Events, clock: Callable[[], float] = time.monotonic) -> None:
        self._events = events
        self._clock = clock
        self._open_streams: Counter[str] = Counter()

    def open_streams(self) -> dict[str, int]:
        """How many streams are open, by method; a method stays with 0 once it was called."""
        return dict(self._open_streams)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler, if it exists and runs on the event loop."""
        handler = await continuation(handler_call_details)
        if handler is None:
            self._events.tell(RpcDone(rpc=UNKNOWN_RPC, code=grpc.StatusCode.UNIMPLEMENTED.name, seconds=0.0))
            return None
        rpc = handler_call_details.method.rpartition("/")[2]
        for shape, make in _MAKERS.items():
            behaviour = getattr(handler, shape)
            if behaviour is not None:
                return make(
                    self._watched(behaviour, rpc, streaming=shape != "unary_unary"),
                    request_deserializer=handler.request_deserializer,
                    response_serializer=handler.response_serializer,
                )
        return handler

    def _watched(self, behaviour: Callable[..., Any], rpc: str, *, streaming: bool) -> Callable[..., Any]:
        if inspect.isasyncgenfunction(behaviour):

            async def generate(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
                with self._watch(rpc, context, streaming=streaming):
                    async with aclosing(behaviour(request, context)) as messages:
                        async for message in messages:
                            yield message

            return generate
        if inspect.iscoroutinefunction(behaviour):

            async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
                with self._watch(rpc, context, streaming=streaming):
                    return await behaviour(request, context)

            return call
        return behaviour  # a function that gRPC runs on a thread: only generated stubs that nobody has filled

    @contextmanager
    def _watch(self, rpc: str, context: grpc.aio.ServicerContext[Any, Any], *, streaming: bool) -> Iterator[None]:
        started = self._clock()
        # Never taken back: each call is a task of its own, and a generator may be closed in another one's context.
        current_call.set(Call(rpc, _caller(context), streaming, _trace(context)))
        self._open_streams[rpc] += streaming
        code: grpc.StatusCode | None = None
        try:
            yield
        except grpc.aio.AbortError:
            raise
        except Exception:
            code = grpc.StatusCode.UNKNOWN  # what gRPC answers then
            raise
        except BaseException:
            # The client has gone, or nobody reads a generator to its end. A client whose deadline has passed goes just
            # so, mostly before the server's own clock knows of it: the two cannot be told apart here.
            code = grpc.StatusCode.CANCELLED
            raise
        finally:
            self._open_streams[rpc] -= streaming
            code = code or _code(context)
            self._events.tell(RpcDone(rpc=rpc, code=code.name, seconds=self._clock() - started))


def _code(context: grpc.aio.ServicerContext[Any, Any]) -> grpc.StatusCode:
    """The status that the handler has chosen."""
    code: Any = context.code()  # a number or a StatusCode, as it was set
    return code if isinstance(code, grpc.StatusCode) else _CODES[code or 0]


def _caller(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    try:
        return vehicle_of(context)
    except ServingError:  # the handler refuses it with the right status; here only its connection is known
        return str(context.peer())


def _trace(context: grpc.aio.ServicerContext[Any, Any]) -> dict[str, str]:
    metadata = context.invocation_metadata() or ()
    return {key: str(value) for key, value in metadata if key in {"traceparent", "tracestate"}}


_MAKERS: Final = {
    "unary_unary": grpc.unary_unary_rpc_method_handler,
    "unary_stream": grpc.unary_stream_rpc_method_handler,
    "stream_unary": grpc.stream_unary_rpc_method_handler,
    "stream_stream": grpc.stream_stream_rpc_method_handler,
}
