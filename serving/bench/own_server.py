"""Our pipeline and protocol with an engine of the bench's choice: a fake one, or one that is swapped every few seconds.

A swap takes the server's own way, that of `swap.watcher`: it opens, checks and warms up the new version, measures its
pace beside the old one's, and changes between two batches. Only the registry is played, by `PromotingStore`. Run as
`python -m isthmus.serving.bench.own_server`; it prints its address, and a line for each change of the model.
"""

import argparse
import asyncio
import contextlib
import hashlib
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc.aio

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving import servicers, transport
from isthmus.serving.bench.sleeper import sleeping_model
from isthmus.serving.config import ProviderPolicy, ServerConfig
from isthmus.serving.events import Event, Events, ModelChanged
from isthmus.serving.interceptors import ErrorInterceptor
from isthmus.serving.model import LoadedModel, load_model
from isthmus.serving.model_store import CHAMPION, ModelStore
from isthmus.serving.pipeline import Pipeline
from isthmus.serving.swap.watcher import Watcher

CHANGED: Final = "model changed:"
"""How the line of a change begins; then its kind, as `events.Change` has it."""

_LOOK_S: Final = 0.25
_DRAIN_S: Final = 2.0


@dataclass(frozen=True)
class OwnServerOptions:
    """What the bench wants.

    Args:
        model_file: An ONNX file of ours; None for a fake engine.
        fake_ms: Milliseconds of the fake engine.
        num_threads: Threads of the real one.
        swap_every_s: Seconds from one swap to the next; 0 for none.
        provider: Where the real one computes.
    """

    model_file: Path | None
    fake_ms: float
    num_threads: int
    swap_every_s: float
    provider: ProviderPolicy = ProviderPolicy.CPU


class PromotingStore(ModelStore):
    """A registry in which a new version of the same model becomes the champion every few seconds.

    Args:
        config: The server's.
        options: What the bench wants.
    """

    def __init__(self, config: ServerConfig, options: OwnServerOptions) -> None:
        super().__init__(config)
        self._options = options
        self._began = time.monotonic()

    def load(self, prove: Callable[[LoadedModel], LoadedModel] = lambda model: model) -> LoadedModel:
        """Version 1."""
        return prove(self.fetch("1"))

    def look(self) -> dict[str, str]:
        """The newest version, as the clock has it."""
        return {CHAMPION: str(1 + int((time.monotonic() - self._began) / self._options.swap_every_s))}

    def verdict_named(self, version: str) -> str:  # noqa: ARG002 - nobody judges here
        """None."""
        return ""

    def fetch(self, version: str, alias: str = CHAMPION, *, num_threads: int | None = None) -> LoadedModel:  # noqa: ARG002
        """The model, opened anew."""
        path = self._options.model_file
        if path is None:
            return sleeping_model(self._options.fake_ms, version)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return load_model(path, self._config, name=None, version=version, sha256=digest)

    def say(self, version: str, state: str) -> None:
        """Nothing is kept."""


class _Teller:
    """Prints each change of the model."""

    def heard(self, event: Event) -> None:
        if isinstance(event, ModelChanged):
            _say(f"{CHANGED} {event.change.value} {event.refused_version or event.model_version} {event.reason}")


async def run(options: OwnServerOptions, stop: asyncio.Event) -> None:
    """Serve on a free port of this machine until `stop`."""
    model_file = options.model_file or Path("sleeper")
    config = ServerConfig(
        model_file=model_file,
        port=0,
        num_threads=options.num_threads,
        provider_policy=options.provider,
        poll_interval_s=_LOOK_S,
    )
    events = Events()
    events.subscribe(_Teller())
    pipeline = Pipeline(config, events)
    working = pipeline.start()
    watcher = Watcher(config, PromotingStore(config, options), pipeline, events, on_first=_nothing)
    await watcher.first()
    server = grpc.aio.server(interceptors=[ErrorInterceptor()], options=transport.server_options(config.limits))
    segmentation_pb2_grpc.add_SegmentationServiceServicer_to_server(  # type: ignore[no-untyped-call]
        servicers.SegmentationServicer(pipeline), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _say(f"isthmus listens on 127.0.0.1:{port}")
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[object]] = {loop.create_task(stop.wait()), working}
    if options.swap_every_s:
        tasks.add(loop.create_task(watcher.run()))
    ended, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others - {working}:
        task.cancel()
    pipeline.drain()
    await server.stop(_DRAIN_S)
    await pipeline.stop()
    await watcher.stop()
    for task in ended:
        task.result()


async def _nothing() -> None:
    """Health is not asked for here."""


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
    parser.add_argument("--provider", type=ProviderPolicy, default=ProviderPolicy.CPU)
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_until_signal(OwnServerOptions(**vars(given))))


if __name__ == "__main__":
    main()
