"""gRPC's settings for both ends of a connection."""

from pathlib import Path
from typing import Final

import grpc

from isthmus.errors import ConfigurationError
from isthmus.serving.config import LimitsConfig

Options = list[tuple[str, int]]

_CLIENT_PING_MS: Final = 20_000
_SERVER_PING_MS: Final = 30_000
_PING_TIMEOUT_MS: Final = 10_000
_SHORTEST_PING_INTERVAL_MS: Final = _CLIENT_PING_MS // 2  # gRPC's own 5 minutes would make the client's pings an attack
_CONNECTION_AGE_MS: Final = 10 * 60_000  # then the client connects again, maybe to another server
_CONNECTION_GRACE_MS: Final = 60_000

RPCS_BESIDE_FRAMES: Final = 32
"""Concurrent calls beyond `max_in_flight`: probes, health watches, and those that are being refused."""


def server_options(limits: LimitsConfig) -> Options:
    """Options of the server."""
    return [
        *_message_options(limits),
        ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a silent half of the frames
        ("grpc.keepalive_time_ms", _SERVER_PING_MS),
        ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
        ("grpc.http2.min_ping_interval_without_data_ms", _SHORTEST_PING_INTERVAL_MS),
        ("grpc.max_connection_age_ms", _CONNECTION_AGE_MS),
        ("grpc.max_connection_age_grace_ms", _CONNECTION_GRACE_MS),
    ]


def channel_options(limits: LimitsConfig) -> Options:
    """Options of a client's channel."""
    return [
        *_message_options(limits),
        ("grpc.keepalive_time_ms", _CLIENT_PING_MS),
        ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
    ]


def client_credentials(ca: Path | None, cert: Path | None, key: Path | None) -> grpc.ChannelCredentials:
    """What a client needs for TLS; each file is PEM.

    Args:
        ca: Certificates of the authorities that may have signed the server's; None for those that gRPC brings.
        cert: This client's own certificate, with those between it and its authority.
        key: The private key of `cert`.

    Raises:
        ConfigurationError: A file cannot be read or is no PEM file, or one of cert and key is given without the other.
    """
    if (cert is None) != (key is None):
        raise ConfigurationError(
            "a client's certificate and its private key go together",
            where="cert" if key is None else "key",
            remedy="Give both, or neither.",
        )
    return grpc.ssl_channel_credentials(_pem(ca), _pem(key), _pem(cert))


def _pem(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot be read ({error.strerror})", where=path) from error
    if b"-----BEGIN " not in data:
        raise ConfigurationError("is no PEM file", where=path, remedy="Convert it with openssl.")
    return data


def _message_options(limits: LimitsConfig) -> Options:
    size = limits.max_message_bytes
    return [("grpc.max_receive_message_length", size), ("grpc.max_send_message_length", size)]
