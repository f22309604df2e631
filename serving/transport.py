"""gRPC's settings for both ends of a connection."""

import math
from pathlib import Path
from typing import Final

import grpc

from isthmus.errors import ConfigurationError
from isthmus.serving.config import LimitsConfig
from isthmus.serving.scheduling.config import SchedulerConfig

Options = list[tuple[str, int]]

_CLIENT_PING_MS: Final = 20_000
_SERVER_PING_MS: Final = 30_000
_PING_TIMEOUT_MS: Final = 10_000
_SHORTEST_PING_INTERVAL_MS: Final = _CLIENT_PING_MS // 2  # gRPC's own 5 minutes would make the client's pings an attack
_CONNECTION_AGE_MS: Final = 10 * 60_000  # then the client connects again, maybe to another server
_LAST_RESULTS_S: Final = 60.0  # for what a stream still owes when it has been asked to go, and its grace is over

RPCS_BESIDE_FRAMES: Final = 32
"""Concurrent calls beyond those of frames and streams: probes, health watches, and those that are being refused."""


def server_options(limits: LimitsConfig, scheduler: SchedulerConfig | None = None) -> Options:
    """Options of the server.

    Args:
        limits: Sizes of messages.
        scheduler: How long a stream lives; None for the defaults. One that was opened just before its connection became
            old still ends by its own age, with `reconnect`, and is not cut.
    """
    scheduler = scheduler or SchedulerConfig()
    grace_s = scheduler.max_stream_age_s + scheduler.reconnect_grace_s + _LAST_RESULTS_S
    return [
        *_message_options(limits),
        ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a silent half of the frames
        ("grpc.keepalive_time_ms", _SERVER_PING_MS),
        ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
        ("grpc.http2.min_ping_interval_without_data_ms", _SHORTEST_PING_INTERVAL_MS),
        ("grpc.max_connection_age_ms", _CONNECTION_AGE_MS),
        ("grpc.max_connection_age_grace_ms", math.ceil(grace_s * 1000)),
    ]


def channel_options(limits: LimitsConfig) -> Options:
    """Options of a client's channel."""
    return [
        *_message_options(limits),
        ("grpc.keepalive_time_ms", _CLIENT_PING_MS),
        ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
    ]


def client_credentials(
    ca: Path | None = None, cert: Path | None = None, key: Path | None = None
) -> grpc.ChannelCredentials | None:
    """What a client shows to a server, and asks of it.

    Args:
        ca: PEM file with the authorities that sign servers' certificates.
        cert: PEM file with the client's own certificate and those between it and the servers' client authority.
        key: PEM file with its key.

    Returns:
        Credentials for `grpc.secure_channel` or `grpc.aio.secure_channel`; None, for a plaintext channel, if no file is
        named.

    Raises:
        ConfigurationError: A file is missing, not named, or not PEM, or the key is another certificate's.
    """
    if ca is None and cert is None and key is None:
        return None
    if ca is None or (cert is None) != (key is None):
        raise ConfigurationError(
            "an encrypted connection needs the server's authority, and a certificate and its key together",
            remedy="Give --ca, or --ca, --cert and --key.",
        )
    if cert is None or key is None:
        return grpc.ssl_channel_credentials(_pem(ca))
    from isthmus.serving.security.certificates import check_pair  # cryptography is for those who need it

    chain, private = _pem(cert), _pem(key)
    check_pair(chain, private, cert, key)
    return grpc.ssl_channel_credentials(_pem(ca), private, chain)


def _pem(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot be read ({error.strerror})", where=path) from error
    if b"-----BEGIN " not in data:
        raise ConfigurationError("is no PEM file", where=path)
    return data


def _message_options(limits: LimitsConfig) -> Options:
    size = limits.max_message_bytes
    return [("grpc.max_receive_message_length", size), ("grpc.max_send_message_length", size)]
