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
        ("errors resolving street: Domain name not found", "Domain name not found", "host and port"),
    ],
)
def test_unreachable_servers_are_told_apart(details: str, problem: str, remedy: str) -> None:
    error = error_of(Call(grpc.StatusCode.UNAVAILABLE, details), "street:50051")
    assert error.where == "street:50051"
    assert problem in f"{error.problem}."
    assert error.remedy is not None
    assert remedy in error.remedy


@pytest.mark.parametrize("address", ["street", "http://street:50051", "street:99999", "street:0", "street:http", ":1"])
def test_an_address_that_is_none_is_named(address: str) -> None:
    error = error_of(Call(grpc.StatusCode.UNAVAILABLE, "ipv4:127.0.0.1:443: Connection refused"), address)
    assert error.problem == f"no call came through, and {address!r} is no HOST:PORT"
    assert error.remedy is not None
    assert "127.0.0.1:50051" in error.remedy


@pytest.mark.parametrize("address", ["street:1", "[::1]:50051", "dns:50051", "dns:///street", "unix:/run/isthmus.sock"])
def test_an_address_that_grpc_knows_is_not_blamed(address: str) -> None:
    assert error_of(Call(grpc.StatusCode.UNAVAILABLE, "Connection refused"), address).problem == "no server answers"


def test_a_late_answer_names_the_option() -> None:
    error = error_of(Call(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"), "street:50051")
    assert error.problem == "no answer in time"
    assert error.remedy is not None
    assert "--timeout-s" in error.remedy
