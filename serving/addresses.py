"""What the address of a server looks like, for those who call one."""

import re
from typing import Final

from isthmus.errors import ConfigurationError

EXAMPLE: Final = "Write for example 127.0.0.1:50051, without http:// or a path."
_OWN_SCHEME: Final = re.compile(r"(unix|unix-abstract|dns|ipv4|ipv6|vsock|xds):(?!\d+$)")
"""Addresses in gRPC's own writing; a host that is called `dns` is none."""


def is_host_and_port(address: str) -> bool:
    """Whether gRPC connects to what was meant: it takes port 443 where none is named, and a part of one too large.

    >>> [is_host_and_port(text) for text in ("street:50051", "[::1]:50051", "dns:///street")]
    [True, True, True]
    >>> [is_host_and_port(text) for text in ("street", "http://street:50051", "street:99999", "::1:50051")]
    [False, False, False, False]
    """
    if _OWN_SCHEME.match(address):
        return True
    host, _, port = address.rpartition(":")
    whole = bool(host) and "/" not in host and (":" not in host or (host[0] == "[" and host[-1] == "]"))
    return whole and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16


def check_address(address: str, option: str) -> None:
    """Refuse what is no address before anything is done with it.

    Args:
        address: As it was given.
        option: Where, as people type it.

    Raises:
        ConfigurationError: It is neither HOST:PORT nor an address in gRPC's own writing.
    """
    if not is_host_and_port(address):
        raise ConfigurationError(f"{address!r} is no HOST:PORT", where=option, remedy=EXAMPLE)
