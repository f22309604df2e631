"""The one place where a frame waits to be sent: a newer frame takes it from an older one."""

import threading
import time

from isthmus.errors import ServingError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.client.reports import Waiting


class Outbox:
    """Numbers frames and holds at most one, from whatever thread they come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Waiting | None = None
        self._count = 0
        self._closed = False

    @property
    def count(self) -> int:
        """Frames that were accepted so far."""
        return self._count

    def put(
        self, frame: pb.Frame, *, captured_at: float | None, max_age_s: float | None, tag: object = None
    ) -> tuple[Waiting, Waiting | None]:
        """Number a frame and let it wait.

        Args:
            frame: With its pixels.
            captured_at: Unix time in seconds at which the picture was taken; its age counts from then on, or from now.
            max_age_s: Age in seconds above which a mask is of no use.
            tag: The user's own, which stays with the frame.

        Returns:
            The frame, and the one whose place it took.

        Raises:
            ServingError: The stream is closed.
        """
        now = time.monotonic()
        age_s = 0.0 if captured_at is None else max(0.0, time.time() - captured_at)
        with self._lock:
            if self._closed:
                raise ServingError("the stream is closed", remedy="Open another one.")
            self._count += 1
            frame.sequence_number = self._count
            waiting = Waiting(
                sequence_number=self._count,
                captured_at=captured_at,
                born=now - age_s,
                max_age_s=max_age_s,
                frame=frame,
                tag=tag,
            )
            displaced, self._waiting = self._waiting, waiting
        if displaced is not None:
            displaced.frame = None
        return waiting, displaced

    def take(self) -> Waiting | None:
        """The frame that waits, which does so no longer."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
        return waiting

    def remove(self, waiting: Waiting) -> bool:
        """Take out this very frame; False if it waits no longer."""
        with self._lock:
            if self._waiting is not waiting:
                return False
            self._waiting = None
        return True

    def close(self) -> Waiting | None:
        """Accept nothing any more; the frame that still waited."""
        with self._lock:
            self._closed = True
        return self.take()
