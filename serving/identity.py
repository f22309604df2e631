"""Who sent a frame."""

from typing import Any, TypeAlias

import grpc.aio

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


def vehicle_of(context: Context) -> str:
    """The sender's name: its connection, as long as nothing better is known."""
    return str(context.peer())
