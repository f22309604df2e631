"""From `isthmus.errors` to rich gRPC errors, and back in the client.

A status carries `google.rpc.ErrorInfo` with the error's class as its reason (`InvalidFrameError` is
`INVALID_FRAME` of the domain `isthmus`), `BadRequest` with the field where one is wrong, `QuotaFailure` with the
vehicle whose share is used up, and `RetryInfo` where another try makes sense. An error that is not meant for clients
becomes INTERNAL without any detail.
"""

import math
import re
from collections.abc import Iterable
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
from isthmus.serving.addresses import EXAMPLE, is_host_and_port

DOMAIN: Final = "isthmus"
_START: Final = "Start one with `isthmus serve`, or check host and port."
_INTERNAL_MESSAGE: Final = "internal error; the server's log has the details"
_RETRY_AFTER_S: Final[dict[type[ServingError], float]] = {
    OverloadedError: 0.05,  # about one frame's time in the engine
    QuotaExceededError: 1.0,  # where the vehicle's share does not tell
    BackendUnavailableError: 1.0,  # the longest until a gateway has tried to connect again
    DrainingError: 1.0,  # about the time until another server has taken over
    EngineLostError: 1.0,
}


def status_of(error: Exception) -> status_pb2.Status:
    """What a client may know about `error`."""
    if not isinstance(error, ServingError) or error.status == "INTERNAL":
        return status_pb2.Status(code=code_pb2.INTERNAL, message=_INTERNAL_MESSAGE)
    details: list[message.Message] = [error_details_pb2.ErrorInfo(reason=reason_code(error), domain=DOMAIN)]
    if isinstance(error, (InvalidFrameError, FrameTooLargeError)) and error.where is not None:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.where, description=error.problem)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, QuotaExceededError) and error.where is not None:
        used_up = error_details_pb2.QuotaFailure.Violation(subject=error.where, description=error.problem)
        details.append(error_details_pb2.QuotaFailure(violations=[used_up]))
    delay_s = _RETRY_AFTER_S.get(type(error)) if error.retry_after_s is None else error.retry_after_s
    if delay_s is not None:
        retry = duration_pb2.Duration()
        retry.FromNanoseconds(math.ceil(delay_s * 1e9))
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
    kind, retry_after_s = _told(status.details if status is not None else ())
    if kind is not None:
        return kind(message, where=address, retry_after_s=retry_after_s)
    if code is grpc.StatusCode.UNAVAILABLE:
        return _unavailable(message, address)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return ServingError("no answer in time", where=address, remedy="Give it longer with --timeout-s (timeout_s).")
    return ServingError(f"{code.name}: {message}", where=address)


def reason_code(error: BaseException) -> str:
    """Why, for programs: `INVALID_FRAME` for an `InvalidFrameError`, `INTERNAL` for what is not meant for clients."""
    return _reason(type(error)) if isinstance(error, ServingError) and error.status != "INTERNAL" else "INTERNAL"


def _unavailable(message: str, address: str) -> ServingError:
    """What gRPC says where no call came through, for people: the first of its hints that fits."""
    if not is_host_and_port(address):
        return ServingError(
            f"no call came through, and {address!r} is no HOST:PORT",
            where=address,
            remedy=EXAMPLE,
        )
    hints = (
        (
            "handshake",
            f"the TLS handshake failed: {message}",
            "Both sides need certificates of an authority that the other one trusts.",
        ),
        (
            "hostname verification",
            f"the server's certificate does not name this host: {message}",
            "Use a name that stands in the certificate, or have one made for this name.",
        ),
        (
            "socket closed",
            "something is there, but it closed the connection",
            "If the server has TLS, name its authority with --ca, and your certificate with --cert and --key where it "
            "asks for one; otherwise check the port.",
        ),
        ("connection refused", "no server answers", _START),
    )
    for hint, problem, remedy in hints:
        if hint in message.lower():
            return ServingError(problem, where=address, remedy=remedy)
    return ServingError(f"no server answers: {message}", where=address, remedy=_START)


def _told(details: Iterable[any_pb2.Any]) -> tuple[type[ServingError] | None, float | None]:
    """Our own error's class, and the seconds until another try; None where they are not told."""
    kind: type[ServingError] | None = None
    retry_after_s: float | None = None
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in details:
        if detail.Unpack(info) and info.domain == DOMAIN:
            kind = _KINDS.get(info.reason, ServingError)
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToNanoseconds() / 1e9
    return kind, retry_after_s


def _reason(kind: type[ServingError]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).upper()


def _packed(detail: message.Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


_KINDS: Final = {_reason(kind): kind for kind in ServingError.__subclasses__()}
