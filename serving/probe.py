"""A health probe for containers: `python -m isthmus.serving.probe [--address HOST:PORT | --port-file FILE]`.

A server that asks for certificates gets one by `--ca CA --cert CERT --key KEY`; any that its authority has signed will
do. Its own certificate must be good for the address that is asked; `--server-name` says for which name it is else.
Exits 0 if the server says SERVING, 1 if it says anything else or nothing at all.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from isthmus.errors import ConfigurationError, ServingError
from isthmus.serving.transport import client_credentials

DEFAULT_ADDRESS: Final = "127.0.0.1:50051"


def probe(
    address: str = DEFAULT_ADDRESS,
    service: str = "",
    *,
    timeout_s: float = 3.0,
    credentials: grpc.ChannelCredentials | None = None,
    server_name: str | None = None,
) -> str:
    """What the health service says.

    Args:
        address: `HOST:PORT`.
        service: A service's full name; empty for the whole server.
        timeout_s: Seconds to wait for the answer.
        credentials: See `transport.client_credentials`; None asks in plaintext.
        server_name: The name in the server's certificate, if it is not the address's host.

    Returns:
        `SERVING`, `NOT_SERVING` or `SERVICE_UNKNOWN`.

    Raises:
        ServingError: No answer, or the server does not know the service.
    """
    with _channel(address, credentials, server_name) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=timeout_s)
        except grpc.RpcError as error:
            raise ServingError(f"no health to be had ({error.code().name})", where=address) from error
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def _channel(address: str, credentials: grpc.ChannelCredentials | None, server_name: str | None) -> grpc.Channel:
    if credentials is None:
        return grpc.insecure_channel(address)
    options = [] if server_name is None else [("grpc.ssl_target_name_override", server_name)]
    return grpc.secure_channel(address, credentials, options=options)


def _port(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise ConfigurationError(
            f"the port cannot be read: {reason}",
            where=file,
            remedy="It is there while a server that was started with the same --port-file listens.",
        ) from error


def main() -> None:
    """Command line of the probe."""
    parser = argparse.ArgumentParser(prog="python -m isthmus.serving.probe", description="Ask a server for its health.")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--address", default=DEFAULT_ADDRESS, help="HOST:PORT; by default %(default)s")
    where.add_argument("--port-file", type=Path, help="what the server was given as --port-file; asks on loopback")
    parser.add_argument("--service", default="", help="full name of a service; by default the whole server")
    parser.add_argument("--ca", type=Path, help="authorities of the server's certificate; without it in plaintext")
    parser.add_argument("--cert", type=Path, help="own certificate, for a server that asks for one")
    parser.add_argument("--key", type=Path, help="its key")
    parser.add_argument("--server-name", help="name in the server's certificate, if it is not the address's host")
    arguments = parser.parse_args()
    try:
        address = arguments.address
        if arguments.port_file is not None:
            address = f"127.0.0.1:{_port(arguments.port_file)}"
        credentials = client_credentials(arguments.ca, arguments.cert, arguments.key)
        status = probe(address, arguments.service, credentials=credentials, server_name=arguments.server_name)
    except (ConfigurationError, ServingError) as error:
        status = str(error)
    print(status)  # noqa: T201 - the answer
    sys.exit(0 if status == "SERVING" else 1)


if __name__ == "__main__":
    main()
