"""The limit: the same engine in a bare loop, without a network, a queue or a second client."""

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from isthmus.errors import ServingError
from isthmus.serving.bench.pictures import Picture
from isthmus.serving.config import ProviderPolicy

Image = NDArray[np.uint8]

_START_S: Final = 120.0


@dataclass(frozen=True)
class EngineUnderTest:
    """What computes, in the server and in the bare loop.

    Args:
        model_file: An ONNX file of ours; None for a fake engine.
        fake_ms: Milliseconds that the fake engine sleeps for a batch.
        num_threads: Threads of the real one, on the CPU.
        provider: Where the real one computes.
    """

    model_file: Path | None
    fake_ms: float
    num_threads: int
    provider: ProviderPolicy = ProviderPolicy.CPU


class BareLoop:
    """A process that runs the engine in a loop when it is asked to. Use it as a context manager.

    Args:
        engine: What computes.
    """

    def __init__(self, engine: EngineUnderTest) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, engine), name="bare-loop", daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def frames_per_second(self, picture: Picture, seconds: float) -> float:
        """Loop over one picture for some seconds; a JPEG is decoded by a thread ahead of the engine.

        Raises:
            ServingError: The loop failed.
        """
        self._pipe.send((picture, seconds))
        try:
            answer = self._pipe.recv() if self._pipe.poll(seconds + _START_S) else "it hangs"
        except EOFError:
            answer = "its process has ended"
        if not isinstance(answer, float):
            raise ServingError("the bare loop failed", remedy=str(answer))
        return answer


def _serve(pipe: Connection, engine: EngineUnderTest) -> None:
    try:
        infer = _engine(engine)
        while True:
            picture, seconds = pipe.recv()
            pipe.send(_measure(infer, picture, seconds))
    except EOFError:
        return
    except Exception:
        pipe.send(traceback.format_exc())


def _engine(engine: EngineUnderTest) -> Callable[[Image], object]:
    if engine.model_file is None:
        return lambda image: time.sleep(engine.fake_ms / 1e3)  # noqa: ARG005 - an engine takes an image
    from isthmus.serving.engine_config import EngineConfig
    from isthmus.serving.model import make_engine
    from isthmus.serving.session import open_session

    data = engine.model_file.read_bytes()
    opened = open_session(data, engine.provider, num_threads=engine.num_threads, where=engine.model_file)
    real = make_engine(opened, EngineConfig())
    return lambda image: real.infer_now(image[None])


def _measure(infer: Callable[[Image], object], picture: Picture, seconds: float) -> float:
    """Frames a second between the ends of the first and of the last frame."""
    with ThreadPoolExecutor(1) as ahead:
        first = last = 0.0
        count = 0
        for image in _images(picture, ahead):
            infer(image)
            last = time.perf_counter()
            first = first or last
            count += 1
            if last - first >= seconds:
                break
    return (count - 1) / (last - first)


def _images(picture: Picture, ahead: ThreadPoolExecutor) -> Iterator[Image]:
    if picture.kind == "raw":
        while True:
            yield np.frombuffer(picture.data, np.uint8).reshape(picture.height, picture.width, 3)
    following = ahead.submit(_decode, picture.data)
    while True:
        image = following.result()
        following = ahead.submit(_decode, picture.data)
        yield image


def _decode(data: bytes) -> Image:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(image, np.uint8)
