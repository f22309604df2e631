"""The server: a gRPC front on the event loop, and its life from the first model to the last answer.

Until a model is there the health service says NOT_SERVING and `Segment` answers FAILED_PRECONDITION. The registry is
asked again every `poll_interval_s`, so that the server comes up by itself after a promotion; after a failure the
pauses grow. Once a model serves, it stays until the process ends.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Coroutine
from typing import Any, Final

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from isthmus.errors import ServingError
from isthmus.protos.inference import open_inference_pb2_grpc
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving import logs, open_inference, servicers, transport
from isthmus.serving.admin import AdminServicer, Operated
from isthmus.serving.admin_socket import AdminSocket
from isthmus.serving.config import ServerConfig
from isthmus.serving.events import Events
from isthmus.serving.health import HealthServicer
from isthmus.serving.interceptors import ErrorInterceptor
from isthmus.serving.model_store import ModelStore
from isthmus.serving.off_loop import LOADER
from isthmus.serving.pipeline import Pipeline
from isthmus.serving.port_file import PortFile
from isthmus.serving.remote_model import BackendFollower
from isthmus.serving.security.guard import Guard
from isthmus.serving.session import check_policy
from isthmus.serving.swap.watcher import MAY_PASS, Watcher
from isthmus.serving.telemetry import Telemetry

logger = logging.getLogger(__name__)

SERVICES: Final = (servicers.SERVICE_NAME, open_inference.SERVICE_NAME)
"""Names that the health service knows, beside the empty one for the whole server."""

_CUT_OFF_S: Final = 1.0
_THREADS: Final = ("engine", "codec", LOADER)  # how the names of our threads begin

_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class Server:
    """A server in this event loop; `serve` runs one in a process of its own.

    Args:
        config: What to serve, and where.

    Raises:
        ConfigurationError: Certificate, key, client authority or policy are bad.
    """

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.port = 0
        self._events = Events()
        self._guard = Guard(config.security)
        self._pipeline = Pipeline(config, self._events, self._guard.quotas)
        self._telemetry = Telemetry(
            config.telemetry,
            self._events,
            self._pipeline,
            has_registry=config.model_name is not None,
            certificate_ends=self._guard.certificate_ends,
        )
        self._models = self._model_source()
        self._pipeline.slots.shadowed = lambda: self._models.challenger
        self._admin = AdminSocket(config.security.admin_socket)
        self._health = HealthServicer()
        self._port_file = PortFile(config.port_file)
        self._grpc: grpc.aio.Server | None = None
        self._working: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """`HOST:PORT` for clients, once it is started."""
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        return f"{host}:{self.port}"

    async def start(self) -> None:
        """Listen, then load the model; without one in the registry, go on looking for it in the background.

        Raises:
            ConfigurationError: The cache or the admin socket cannot be used, the port file not be written, or the
                registry's address is none.
            ContractError: The model file, or the card of a back end's model, is not ours to serve.
            ProviderError: The provider policy cannot be satisfied.
            ServingError: The address, or the metrics' own, is taken.
        """
        check_policy(self.config.provider_policy)
        self._port_file.clear()
        self._models.prepare()
        self._working = self._pipeline.start()
        for service in ("", *SERVICES):
            await self._health.set(service, _NOT_SERVING)
        try:
            self._telemetry.start()
            await self._listen()
            await self._admin.start(AdminServicer(self._operated()))
            self._guard.start()
            await self._models.first()
        except MAY_PASS as error:
            if self.config.model_file is not None:
                await self.stop()
                raise
            self._watch(self._models.run(error))
        except BaseException:
            await self.stop()
            raise
        else:
            if self.config.model_file is None:
                self._watch(self._models.run())

    async def stop(self) -> None:
        """Say NOT_SERVING, let running requests finish within `drain_timeout_s`, and give up the rest.

        A batch that runs longer, or a model that is just being loaded, stays behind on its thread.
        """
        await self.drain()
        self._guard.stop()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await self._admin.stop()
        if self._grpc is None:
            await self._stop_models()
            await self._telemetry.stop()
            return
        self._port_file.remove()
        ending = asyncio.get_running_loop().create_task(self._grpc.stop(self.config.drain_timeout_s))
        await self._health.end_watches()
        await asyncio.wait([ending], timeout=self.config.drain_timeout_s)
        await self._stop_models()  # calls that still run wait for it alone
        await asyncio.wait([ending], timeout=_CUT_OFF_S)
        await self._telemetry.stop()

    async def drain(self) -> None:
        """Say NOT_SERVING and take no more frames; those that were taken are answered."""
        await self._health.enter_graceful_shutdown()
        self._pipeline.drain()

    async def _stop_models(self) -> None:
        await self._pipeline.stop()
        await self._models.stop()

    async def run(self) -> None:
        """Never return; raise what goes wrong for good after `start`.

        Raises:
            EngineLostError: The GPU failed: only a new process can use it again.
            ProviderError: A model came later, and the provider policy cannot be satisfied.
        """
        running = {task for task in (self._working, self._watching) if task is not None}
        while running:
            ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()

    def _operated(self) -> Operated:
        return Operated(self.address, self._pipeline, self._guard, self._models, self.drain)

    async def _listen(self) -> None:
        limits = self.config.limits
        self._grpc = grpc.aio.server(
            interceptors=[self._telemetry.calls, self._guard.interceptor, ErrorInterceptor()],
            options=transport.server_options(limits, self.config.scheduler),
            maximum_concurrent_rpcs=limits.max_in_flight
            + self.config.scheduler.max_streams
            + transport.RPCS_BESIDE_FRAMES,
        )
        segmentation_pb2_grpc.add_SegmentationServiceServicer_to_server(  # type: ignore[no-untyped-call]
            servicers.SegmentationServicer(self._pipeline), self._grpc
        )
        open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(  # type: ignore[no-untyped-call]
            open_inference.OpenInferenceServicer(self._pipeline), self._grpc
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        if self.config.reflection:
            from grpc_reflection.v1alpha import reflection

            names = (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._grpc)
        self.port = self.config.port
        try:
            self.port = self._guard.listen(self._grpc, self.address)
        except RuntimeError as error:
            raise ServingError(
                "cannot listen", where=self.address, remedy="Choose another port, or 0 for any free one."
            ) from error
        await self._grpc.start()
        self._port_file.write(self.port)
        logger.info("listening on %s", self.address)

    def _model_source(self) -> Watcher | BackendFollower:
        if self.config.engine.backend is not None:
            return BackendFollower(self.config, self._pipeline, self._tell_health, self._events)
        return Watcher(
            self.config,
            ModelStore(self.config),
            self._pipeline,
            self._events,
            on_first=lambda: self._tell_health(True),
            on_answer=self._telemetry.metrics.registry_answered,
        )

    async def _tell_health(self, ready: bool) -> None:
        self._pipeline.backend_ready = ready
        for service in ("", *SERVICES):
            await self._health.set(service, _SERVING if ready else _NOT_SERVING)

    def _watch(self, watching: Coroutine[Any, Any, None]) -> None:
        self._watching = asyncio.get_running_loop().create_task(watching, name="models")


def serve(config: ServerConfig) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Raises:
        ContractError: See `Server.start`.
        ServingError: See `Server.start` and `Server.run`.
    """
    logs.configure(config.telemetry.log_format)
    exit_code = 1
    try:
        asyncio.run(_serve_until_signal(config))
        exit_code = 0
    finally:
        _end_without_threads(exit_code)


async def _serve_until_signal(config: ServerConfig) -> None:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    server = Server(config)
    stopping = loop.create_task(asked_to_stop.wait())
    running = loop.create_task(_start_and_run(server))
    try:
        await asyncio.wait([stopping, running], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()  # raises: a server never ends by itself
        logger.info("asked to stop; running requests have %g s", config.drain_timeout_s)
    finally:
        for task in (stopping, running):
            task.cancel()
        await asyncio.wait([stopping, running])
        await server.stop()


async def _start_and_run(server: Server) -> None:
    await server.start()
    print(f"isthmus listens on {server.address}", flush=True)  # noqa: T201 - what a person or a script waits for
    await server.run()


def _end_without_threads(exit_code: int) -> None:
    """End the process now if one of our threads would hold it up: native code can neither be stopped nor left alone."""
    ours = [thread for thread in threading.enumerate() if thread.name.startswith(_THREADS)]
    until = time.monotonic() + _CUT_OFF_S
    for thread in ours:
        thread.join(max(0.0, until - time.monotonic()))
    if busy := [thread.name for thread in ours if thread.is_alive()]:
        logger.warning("ending although %s is still at work", ", ".join(busy), exc_info=exit_code != 0)
        logging.shutdown()
        sys.stdout.flush()
        os._exit(exit_code)
