"""What gRPC says where no call came through becomes one sentence that points the right way."""

import grpc
import pytest

from isthmus.serving.errors import error_of


class Call(grpc.RpcError):
    """A failed call without a status of ours."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__()
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> tuple[()]:
        return ()


@pytest.mark.parametrize(
    ("details", "problem", "remedy"),
    [
        ("failed to connect; last error: UNKNOWN: Connection refused", "no server answers.", "isthmus serve"),
        ("Socket closed", "closed the connection", "--ca"),
        ("Hostname Verification Check failed.", "does not name this host", "stands in the certificate"),
        ("Ssl handshake failed: certificate verify failed", "TLS handshake failed: Ssl", "authority"),
        ("errors resolving http://x: Misformatted domain name", "Misformatted domain name", "host and port"),
    ],
)
def test_unreachable_servers_are_told_apart(details: str, problem: str, remedy: str) -> None:
    error = error_of(Call(grpc.StatusCode.UNAVAILABLE, details), "street:50051")
    assert error.where == "street:50051"
    assert problem in f"{error.problem}."
    assert error.remedy is not None
    assert remedy in error.remedy


def test_a_late_answer_names_the_option() -> None:
    error = error_of(Call(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"), "street:50051")
    assert error.problem == "no answer in time"
    assert error.remedy is not None
    assert "--timeout-s" in error.remedy
