"""gRPC's settings for both ends of a connection."""

from typing import Final

from isthmus.serving.config import LimitsConfig

Options = list[tuple[str, int]]

_CLIENT_PING_MS: Final = 20_000
_SERVER_PING_MS: Final = 30_000
_PING_TIMEOUT_MS: Final = 10_000
_SHORTEST_PING_INTERVAL_MS: Final = _CLIENT_PING_MS // 2  # gRPC's own 5 minutes would make the client's pings an attack
_CONNECTION_AGE_MS: Final = 10 * 60_000  # then the client connects again, maybe to another server
_CONNECTION_GRACE_MS: Final = 60_000

RPCS_BESIDE_FRAMES: Final = 32
"""Concurrent calls beyond those of frames and streams: probes, health watches, and those that are being refused."""


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


def _message_options(limits: LimitsConfig) -> Options:
    size = limits.max_message_bytes
    return [("grpc.max_receive_message_length", size), ("grpc.max_send_message_length", size)]
