"""Who sent a frame.

A vehicle is named by the URI in its certificate's subject alternative name, such as `spiffe://fleet.example/vehicle/17`,
which the server's own client authority has signed. Where there is none, its connection stands for it.
"""

import re
from typing import Any, Final, TypeAlias

import grpc.aio

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# What gRPC calls connections. A certificate that claims such a name does not name a vehicle.
_CONNECTION_SCHEMES: Final = ("ipv4:", "ipv6:", "unix:", "unix-abstract:", "vsock:", "fd:")
_NAME: Final = re.compile(r"[!-~]{1,2048}")  # without spaces and line ends, since names are written to the log


def vehicle_of(context: Context) -> str:
    """The sender's name.

    Returns:
        The one URI of its certificate, else its connection, such as `ipv4:127.0.0.1:40312`. A certificate with several
        URIs says nothing, since which one counts would be a guess.
    """
    uris = tuple(context.auth_context().get("peer_uri", ()))
    if len(uris) == 1:
        name = bytes(uris[0]).decode("ascii", errors="replace")
        if _NAME.fullmatch(name) and is_named(name):
            return name
    return str(context.peer())


def is_named(vehicle: str) -> bool:
    """Whether a name comes from a certificate, as opposed to a connection."""
    return not vehicle.lower().startswith(_CONNECTION_SCHEMES)


def host_of(vehicle: str) -> str:
    """What several connections of one anonymous sender have in common: `ipv4:127.0.0.1` without the port."""
    return vehicle.rpartition(":")[0]


def payer_of(vehicle: str) -> str:
    """On whose account the engine works: a vehicle's own, or that of all connections of one anonymous host."""
    return vehicle if is_named(vehicle) else f"{host_of(vehicle)}:*"  # still no name that a certificate could claim
