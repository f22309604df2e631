"""Our pipeline and protocol with an engine of the bench's choice: a fake one, or one that is swapped every few seconds.

Run as `python -m isthmus.serving.bench.own_server`; it prints its address, and a line for each swap.
"""

import argparse
import asyncio
import contextlib
import hashlib
import math
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import grpc.aio
import numpy as np
from numpy.typing import NDArray

from isthmus.artifact import CardClass, CardLabelSpace, CardNormalisation, GoldenFrame, ModelCard
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving import servicers, transport
from isthmus.serving.config import ServerConfig
from isthmus.serving.engine import Prediction
from isthmus.serving.interceptors import ErrorInterceptor
from isthmus.serving.model import LoadedModel, load_model
from isthmus.serving.pipeline import Pipeline
from isthmus.serving.session import CPU

SWAPPED: Final = "swapped"
_CONFIDENCE: Final = 200
_HEAD_STRIDE: Final = 4
_DRAIN_S: Final = 2.0


class SleepingEngine:
    """Takes a fixed time for a batch and no processor: what is left of a frame's time is the server's own.

    Args:
        milliseconds: For a batch, whatever its size.
    """

    def __init__(self, milliseconds: float) -> None:
        self._seconds = milliseconds / 1e3
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="engine")

    async def infer(self, images: NDArray[np.uint8], *, deadline: float = math.inf) -> Prediction:  # noqa: ARG002
        """Sleep on the engine's thread, then label every pixel 0."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._infer_now, images)

    def _infer_now(self, images: NDArray[np.uint8]) -> Prediction:
        time.sleep(self._seconds)
        batch, height, width, _ = images.shape
        small = (batch, -(-height // _HEAD_STRIDE), -(-width // _HEAD_STRIDE))
        return Prediction(np.zeros((batch, height, width), np.uint8), np.full(small, _CONFIDENCE, np.uint8))

    def close(self) -> None:
        """End the thread."""
        self._executor.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class OwnServerOptions:
    """What the bench wants.

    Args:
        model_file: An ONNX file of ours; None for a fake engine.
        fake_ms: Milliseconds of the fake engine.
        num_threads: Threads of the real one.
        swap_every_s: Seconds from one swap to the next; 0 for none.
    """

    model_file: Path | None
    fake_ms: float
    num_threads: int
    swap_every_s: float


def _load(options: OwnServerOptions, config: ServerConfig, version: int) -> LoadedModel:
    path = options.model_file
    if path is not None:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return load_model(path, config, name=None, version=str(version), sha256=digest)
    return LoadedModel(
        name="sleeper",
        version=str(version),
        sha256="0" * 64,
        card=_fake_card(),
        engine=SleepingEngine(options.fake_ms),
        provider=CPU,
        provider_fallback=False,
        from_cache=False,
    )


def _fake_card() -> ModelCard:
    return ModelCard(
        name="sleeper",
        method="none",
        decoder="none",
        encoder="none",
        label_space=CardLabelSpace(
            name="one", id_hash="0" * 12, classes=(CardClass(name="road", color=(128, 64, 128)),)
        ),
        network_size_hw=(240, 320),
        normalisation=CardNormalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        datasets=(),
        evaluations=(),
        step=0,
        git_commit="0" * 40,
        config_hash="none",
        lock_hash="none",
        weights_sha256="none",
        created_at="2026-01-01T00:00:00+00:00",
        golden=GoldenFrame(image_png="", labels_png=""),
    )


async def run(options: OwnServerOptions, stop: asyncio.Event) -> None:
    """Serve on a free port of this machine until `stop`."""
    config = ServerConfig(model_file=options.model_file or Path("sleeper"), port=0, num_threads=options.num_threads)
    pipeline = Pipeline(config)
    working = pipeline.start()
    server = grpc.aio.server(interceptors=[ErrorInterceptor()], options=transport.server_options(config.limits))
    segmentation_pb2_grpc.add_SegmentationServiceServicer_to_server(  # type: ignore[no-untyped-call]
        servicers.SegmentationServicer(pipeline), server
    )
    pipeline.serve(await asyncio.to_thread(_load, options, config, 1))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _say(f"isthmus listens on 127.0.0.1:{port}")
    tasks = [asyncio.create_task(stop.wait()), working]
    if options.swap_every_s:
        tasks.append(asyncio.create_task(_swap(options, config, pipeline)))
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done():
            task.result()
        task.cancel()
    pipeline.drain()
    await server.stop(_DRAIN_S)
    await pipeline.stop()


async def _swap(options: OwnServerOptions, config: ServerConfig, pipeline: Pipeline) -> None:
    """Load, warm up and serve the same model as a new version, again and again; the one before is closed when idle."""
    version = 1
    following = time.monotonic()
    while True:
        following += options.swap_every_s
        await asyncio.sleep(max(0.0, following - time.monotonic()))
        version += 1
        started = time.monotonic()
        model = await asyncio.to_thread(_load, options, config, version)
        current = pipeline.current
        before = pipeline.serve(replace(model, batch_seconds=current.batch_seconds if current else {}))
        if before is not None:
            await pipeline.drained(before)
            before.engine.close()
        _say(f"{SWAPPED} to version {version} in {time.monotonic() - started:.3f} s")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what the bench waits for


async def _until_signal(options: OwnServerOptions) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run(options, stop)


def main() -> None:
    """Parse the bench's options and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-file", type=Path)
    parser.add_argument("--fake-ms", type=float, default=5.0)
    parser.add_argument("--num-threads", type=int, default=1)
    parser.add_argument("--swap-every-s", type=float, default=0.0)
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(
            _until_signal(OwnServerOptions(given.model_file, given.fake_ms, given.num_threads, given.swap_every_s))
        )


if __name__ == "__main__":
    main()
