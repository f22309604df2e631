"""Asks the admin service of a server on this machine."""

from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import grpc
from google.protobuf import message

from isthmus.errors import ServingError
from isthmus.protos.isthmus.serving.v1 import admin_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import admin_pb2_grpc
from isthmus.serving.errors import error_of

_TIMEOUT_S: Final = 30.0  # a model that is rolled back to may have to be warmed


class AdminClient:
    """Talks to one server.

    Args:
        path: What the server was given as `--admin-socket`.

    Raises:
        ServingError: There is no such socket, or it is another user's.
    """

    def __init__(self, path: Path) -> None:
        try:
            is_socket = path.is_socket()
        except PermissionError as error:
            raise ServingError(
                "is closed to this user", where=path, remedy="Ask as the user that the server runs as."
            ) from error
        if not is_socket:
            raise ServingError(
                "no server's socket", where=path, remedy="Start one with `isthmus serve --admin-socket PATH`."
            )
        self._where = str(path)
        self._channel = grpc.insecure_channel(f"unix:{path.absolute()}")
        self._stub = admin_pb2_grpc.AdminServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def state(self) -> pb.GetStateResponse:
        """What the server does.

        Raises:
            ServingError: It does not answer. As of all methods.
        """
        answer: pb.GetStateResponse = self._ask(self._stub.GetState, pb.GetStateRequest())
        return answer

    def roll_back(self, reason: str) -> pb.AdminModel:
        """Go back to the model before.

        Returns:
            The model that answers now.

        Raises:
            NoModelError: There is none before it.
        """
        answer: pb.RollBackResponse = self._ask(self._stub.RollBack, pb.RollBackRequest(reason=reason))
        return answer.model

    def drain(self) -> int:
        """Take no more frames.

        Returns:
            How many are still to be answered.
        """
        answer: pb.DrainResponse = self._ask(self._stub.Drain, pb.DrainRequest())
        return answer.in_flight

    def set_log_level(self, level: str) -> None:
        """Say more, or less, in the log.

        Args:
            level: `debug`, `info`, `warning` or `error`.
        """
        self._ask(self._stub.SetLogLevel, pb.SetLogLevelRequest(level=f"LOG_LEVEL_{level.upper()}"))

    def _ask(self, method: Any, request: message.Message) -> Any:
        try:
            return method(request, timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            raise error_of(error, self._where) from error
