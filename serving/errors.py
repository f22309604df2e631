"""From `isthmus.errors` to rich gRPC errors, and back in the client.

A status carries `google.rpc.ErrorInfo` with the error's class as its reason (`InvalidFrameError` is
`INVALID_FRAME` of the domain `isthmus`), `BadRequest` with the field where one is wrong, and `RetryInfo` where
another try makes sense. An error that is not meant for clients becomes INTERNAL without any detail.
"""

import re
from typing import Any, Final

import grpc
from google.protobuf import any_pb2, duration_pb2, message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from isthmus.errors import (
    BackendUnavailableError,
    DrainingError,
    EngineLostError,
    FrameTooLargeError,
    InvalidFrameError,
    OverloadedError,
    QuotaExceededError,
    ServingError,
)

DOMAIN: Final = "isthmus"
_INTERNAL_MESSAGE: Final = "internal error; the server's log has the details"
_RETRY_AFTER_MS: Final[dict[type[ServingError], int]] = {
    OverloadedError: 50,  # about one frame's time in the engine
    QuotaExceededError: 1000,  # the longest until a bucket that gives a token a second has one
    BackendUnavailableError: 1000,  # the longest until a gateway has tried to connect again
    DrainingError: 1000,  # about the time until another server has taken over
    EngineLostError: 1000,
}


def status_of(error: Exception) -> status_pb2.Status:
    """What a client may know about `error`."""
    if not isinstance(error, ServingError) or error.status == "INTERNAL":
        return status_pb2.Status(code=code_pb2.INTERNAL, message=_INTERNAL_MESSAGE)
    details: list[message.Message] = [error_details_pb2.ErrorInfo(reason=reason_code(error), domain=DOMAIN)]
    if isinstance(error, (InvalidFrameError, FrameTooLargeError)) and error.where is not None:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.where, description=error.problem)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    delay = _RETRY_AFTER_MS.get(type(error))
    if delay is not None:
        retry = duration_pb2.Duration()
        retry.FromMilliseconds(delay)
        details.append(error_details_pb2.RetryInfo(retry_delay=retry))
    return status_pb2.Status(
        code=code_pb2.Code.Value(error.status), message=str(error), details=[_packed(detail) for detail in details]
    )


def error_of(call: Any, address: str) -> ServingError:
    """The error that a server at `address` raised, as far as its status tells; the inverse of `status_of`.

    Args:
        call: The `grpc.RpcError` of a call, which is the call itself as well.
        address: `HOST:PORT`, for the message.
    """
    code, message = call.code(), str(call.details())
    status = rpc_status.from_call(call)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            return _KINDS.get(info.reason, ServingError)(message, where=address)
    if code is grpc.StatusCode.UNAVAILABLE and "handshake" in message.lower():
        return ServingError(
            f"the TLS handshake failed: {message}",
            where=address,
            remedy="Both sides need certificates of an authority that the other one trusts.",
        )
    if code is grpc.StatusCode.UNAVAILABLE:
        return ServingError(
            "no server answers", where=address, remedy="Start one with `isthmus serve`, or check host and port."
        )
    return ServingError(f"{code.name}: {message}", where=address)


def reason_code(error: BaseException) -> str:
    """Why, for programs: `INVALID_FRAME` for an `InvalidFrameError`, `INTERNAL` for what is not meant for clients."""
    return _reason(type(error)) if isinstance(error, ServingError) and error.status != "INTERNAL" else "INTERNAL"


def _reason(kind: type[ServingError]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).upper()


def _packed(detail: message.Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


_KINDS: Final = {_reason(kind): kind for kind in ServingError.__subclasses__()}
