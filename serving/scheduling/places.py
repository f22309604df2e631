"""How much may be in the server at once, counted from a frame's arrival to its answer."""

import contextlib
from collections.abc import Callable, Iterator

from isthmus.errors import OverloadedError
from isthmus.serving.scheduling.work import ServiceClass


class Places:
    """Bounds requests, streams and bytes.

    A camera's stream holds one waiting frame and those that run, so its frames need no place of their own.

    Args:
        max_requests: Most unary requests; bulk ones may hold at most half of these places, so that live ones find some.
        max_streams: Most streams.
        max_bytes: Most bytes of all frames, and of masks that wait for their readers; masks alone may hold at most
            half, so that slow readers leave room for frames.
    """

    def __init__(self, max_requests: int, max_streams: int, max_bytes: int) -> None:
        self._max_requests = {ServiceClass.LIVE: max_requests, ServiceClass.BULK: max(1, max_requests // 2)}
        self._max_streams = max_streams
        self._max_bytes = max_bytes
        self._bulk_requests = 0
        self._mask_bytes = 0
        self.requests = 0
        self.streams = 0
        self.bytes = 0

    @contextlib.contextmanager
    def request(self, service_class: ServiceClass) -> Iterator[None]:
        """Hold a place for a unary request.

        Raises:
            OverloadedError: All are taken.
        """
        is_bulk = service_class is ServiceClass.BULK
        held = self._bulk_requests if is_bulk else self.requests
        if held >= self._max_requests[service_class] or self.requests >= self._max_requests[ServiceClass.LIVE]:
            raise OverloadedError(f"{held} requests are in flight already", remedy="Try again shortly.")
        self.requests += 1
        self._bulk_requests += is_bulk
        try:
            yield
        finally:
            self.requests -= 1
            self._bulk_requests -= is_bulk

    @contextlib.contextmanager
    def stream(self) -> Iterator[None]:
        """Hold a place for a stream.

        Raises:
            OverloadedError: All are taken.
        """
        if self.streams >= self._max_streams:
            raise OverloadedError(f"{self.streams} streams are open already", remedy="Ask another server.")
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1

    @contextlib.contextmanager
    def memory(self, num_bytes: int) -> Iterator[None]:
        """Hold a frame's bytes; a single one always fits.

        Raises:
            OverloadedError: The frames that are there hold too much already.
        """
        if self.bytes and self.bytes + num_bytes > self._max_bytes:
            raise OverloadedError(
                f"frames and masks of {self.bytes} bytes are in flight already", remedy="Try again shortly."
            )
        self.bytes += num_bytes
        try:
            yield
        finally:
            self.bytes -= num_bytes

    def keep_mask(self, num_bytes: int) -> Callable[[], None]:
        """Hold a mask's bytes until the result is called, once; a single one always fits.

        Raises:
            OverloadedError: The masks that wait hold too much already.
        """
        if self._mask_bytes and self._mask_bytes + num_bytes > self._max_bytes // 2:
            raise OverloadedError(
                f"masks of {self._mask_bytes} bytes wait for their readers already", remedy="Read faster."
            )
        self._mask_bytes += num_bytes
        self.bytes += num_bytes

        def give_back() -> None:
            self._mask_bytes -= num_bytes
            self.bytes -= num_bytes

        return give_back
