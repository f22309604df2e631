"""A health probe for containers: `python -m isthmus.serving.probe [--address HOST:PORT | --port-file FILE]`.

Exits 0 if the server says SERVING, 1 if it says anything else or nothing at all.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from isthmus.errors import ServingError

DEFAULT_ADDRESS: Final = "127.0.0.1:50051"


def probe(address: str = DEFAULT_ADDRESS, service: str = "", *, timeout_s: float = 3.0) -> str:
    """What the health service says.

    Args:
        address: `HOST:PORT`.
        service: A service's full name; empty for the whole server.
        timeout_s: Seconds to wait for the answer.

    Returns:
        `SERVING`, `NOT_SERVING` or `SERVICE_UNKNOWN`.

    Raises:
        ServingError: No answer, or the server does not know the service.
    """
    with grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=timeout_s)
        except grpc.RpcError as error:
            raise ServingError(f"no health to be had ({error.code().name})", where=address) from error
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def main() -> None:
    """Command line of the probe."""
    parser = argparse.ArgumentParser(prog="python -m isthmus.serving.probe", description="Ask a server for its health.")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--address", default=DEFAULT_ADDRESS, help="HOST:PORT")
    where.add_argument("--port-file", type=Path, help="what the server was given as --port-file; asks on loopback")
    parser.add_argument("--service", default="", help="full name of a service; by default the whole server")
    arguments = parser.parse_args()
    try:
        address = arguments.address
        if arguments.port_file is not None:
            address = f"127.0.0.1:{arguments.port_file.read_text(encoding='utf-8').strip()}"
        status = probe(address, arguments.service)
    except (ServingError, OSError) as error:
        status = str(error)
    print(status)  # noqa: T201 - the answer
    sys.exit(0 if status == "SERVING" else 1)


if __name__ == "__main__":
    main()
