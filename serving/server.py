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
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Final, TypeVar

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from isthmus.errors import (
    BackendUnavailableError,
    ContractError,
    IsthmusError,
    NoModelError,
    RegistryError,
    ServingError,
)
from isthmus.protos.inference import open_inference_pb2_grpc
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving import logs, open_inference, servicers, transport
from isthmus.serving.admin import AdminServicer, OneModel, Operated, SwapControl
from isthmus.serving.admin_socket import AdminSocket
from isthmus.serving.config import ServerConfig
from isthmus.serving.events import Events
from isthmus.serving.interceptors import ErrorInterceptor
from isthmus.serving.model import LoadedModel
from isthmus.serving.model_store import ModelStore
from isthmus.serving.pipeline import Pipeline
from isthmus.serving.port_file import PortFile
from isthmus.serving.remote_model import follow_backend, load_remote
from isthmus.serving.security.guard import Guard
from isthmus.serving.session import check_policy
from isthmus.serving.telemetry import Telemetry

T = TypeVar("T")

logger = logging.getLogger(__name__)

SERVICES: Final = (servicers.SERVICE_NAME, open_inference.SERVICE_NAME)
"""Names that the health service knows, beside the empty one for the whole server."""

_MAX_PAUSE_S: Final = 60.0
_CUT_OFF_S: Final = 1.0
_LOADER: Final = "load-model"
_THREADS: Final = ("engine", "codec", _LOADER)  # how the names of our threads begin
_MAY_PASS: Final = (NoModelError, RegistryError, ContractError, BackendUnavailableError)
"""What another version in the registry, or a registry that is up again, can mend."""

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
        self._store = ModelStore(config)
        self._events = Events()
        self._guard = Guard(config.security)
        self._pipeline = Pipeline(config, self._events, self._guard.quotas)
        self._telemetry = Telemetry(
            config.telemetry, self._events, self._pipeline, has_registry=config.model_name is not None
        )
        self._admin = AdminSocket(config.security.admin_socket)
        self._swap: SwapControl = OneModel()
        self._health = health.aio.HealthServicer()  # pyright: ignore[reportAttributeAccessIssue]
        self._port_file = PortFile(config.port_file)
        self._grpc: grpc.aio.Server | None = None
        self._working: asyncio.Task[None] | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """`HOST:PORT` for clients, once it is started."""
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        return f"{host}:{self.port}"

    async def start(self) -> None:
        """Listen, then load the model; without one in the registry, go on looking for it in the background.

        Raises:
            ConfigurationError: The cache or the admin socket cannot be used, or the port file not be written.
            ContractError: The model file is not ours to serve.
            ProviderError: The provider policy cannot be satisfied.
            ServingError: The address, or the metrics' own, is taken.
        """
        check_policy(self.config.provider_policy)
        if self.config.engine.backend is None:
            self._store.prepare()
        self._port_file.clear()
        self._working = self._pipeline.start()
        for service in ("", *SERVICES):
            await self._health.set(service, _NOT_SERVING)
        try:
            self._telemetry.start()
            await self._listen()
            await self._admin.start(AdminServicer(self._operated()))
            self._guard.start()
            await self._load_and_serve()
        except _MAY_PASS as error:
            if self.config.model_file is not None:
                await self.stop()
                raise
            self._waiting = asyncio.get_running_loop().create_task(self._wait_for_model(error), name="wait-for-model")
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Say NOT_SERVING, let running requests finish within `drain_timeout_s`, and give up the rest.

        A batch that runs longer, or a model that is just being loaded, stays behind on its thread.
        """
        await self.drain()
        self._guard.stop()
        for task in (self._waiting, self._following):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        await self._admin.stop()
        if self._grpc is None:
            await self._pipeline.stop()
            await self._telemetry.stop()
            return
        self._port_file.remove()
        ending = asyncio.get_running_loop().create_task(self._grpc.stop(self.config.drain_timeout_s))
        await asyncio.wait([ending], timeout=self.config.drain_timeout_s)
        await self._pipeline.stop()  # calls that still run wait for it alone
        await asyncio.wait([ending], timeout=_CUT_OFF_S)
        await self._telemetry.stop()

    async def drain(self) -> None:
        """Say NOT_SERVING and take no more frames; those that were taken are answered."""
        await self._health.enter_graceful_shutdown()
        self._pipeline.drain()

    async def run(self) -> None:
        """Never return; raise what goes wrong for good after `start`.

        Raises:
            EngineLostError: The GPU failed: only a new process can use it again.
            ProviderError: A model came later, and the provider policy cannot be satisfied.
        """
        running = {task for task in (self._working, self._waiting) if task is not None}
        while running:
            ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()

    def _operated(self) -> Operated:
        return Operated(self.address, self._pipeline, self._guard, self._swap, self.drain)

    async def _listen(self) -> None:
        limits = self.config.limits
        self._grpc = grpc.aio.server(
            interceptors=[self._telemetry.calls, self._guard.interceptor, ErrorInterceptor()],
            options=transport.server_options(limits),
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

    async def _load_and_serve(self) -> None:
        model = await self._load()
        self._pipeline.serve(model)
        await self._tell_health(True)
        logger.info("serving %s version %s (%s) on %s", model.name, model.version, model.sha256[:12], model.provider)
        if self.config.engine.backend is not None:
            following = follow_backend(self._pipeline, self._load, self._tell_health, self.config.poll_interval_s)
            self._following = asyncio.get_running_loop().create_task(following, name="follow-backend")

    async def _load(self) -> LoadedModel:
        if self.config.engine.backend is not None:
            return await _in_thread(partial(load_remote, self.config))
        try:
            model = await _in_thread(self._store.load)
        except (NoModelError, ContractError):
            self._telemetry.metrics.registry_answered()
            raise
        if not model.from_cache:
            self._telemetry.metrics.registry_answered()
        return model

    async def _tell_health(self, ready: bool) -> None:
        self._pipeline.backend_ready = ready
        for service in ("", *SERVICES):
            await self._health.set(service, _SERVING if ready else _NOT_SERVING)

    async def _wait_for_model(self, cause: IsthmusError) -> None:
        """Look again until the registry has a model that passes its checks; say why not whenever that changes."""
        pause = self.config.poll_interval_s
        said = ""
        while True:
            if str(cause) != said:
                said = str(cause)
                logger.log(logging.WARNING if isinstance(cause, NoModelError) else logging.ERROR, "no model: %s", said)
            await asyncio.sleep(pause)
            try:
                await self._load_and_serve()
            except _MAY_PASS as error:
                cause = error
                pause = self.config.poll_interval_s if isinstance(cause, NoModelError) else min(2 * pause, _MAX_PAUSE_S)
            else:
                return


def serve(config: ServerConfig) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Raises:
        ContractError: See `Server.start`.
        ServingError: See `Server.start` and `Server.run`.
    """
    logs.configure(config.telemetry.log_format)
    asyncio.run(_serve_until_signal(config))
    _end_without_threads()


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


async def _in_thread(work: Callable[[], T]) -> T:
    """Like `asyncio.to_thread`, on a thread that no end of a loop or of the process waits for."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    future.set_running_or_notify_cancel()
    threading.Thread(target=run, name=_LOADER, daemon=True).start()
    return await asyncio.wrap_future(future)


def _end_without_threads() -> None:
    """End the process now if one of our threads would hold it up: native code can neither be stopped nor left alone."""
    ours = [thread for thread in threading.enumerate() if thread.name.startswith(_THREADS)]
    until = time.monotonic() + _CUT_OFF_S
    for thread in ours:
        thread.join(max(0.0, until - time.monotonic()))
    if busy := [thread.name for thread in ours if thread.is_alive()]:
        logger.warning("ending although %s is still at work", ", ".join(busy))
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)
