"""The Unix socket of the admin service: the file system says who may open it."""

import logging
import os
import socket
import stat
from pathlib import Path
from typing import Final

import grpc.aio

from isthmus.errors import ConfigurationError
from isthmus.protos.isthmus.serving.v1 import admin_pb2_grpc
from isthmus.serving.admin import AdminServicer
from isthmus.serving.interceptors import ErrorInterceptor

logger = logging.getLogger(__name__)

_MAX_PATH_BYTES: Final = 107  # of sockaddr_un, without its last zero
_GRACE_S: Final = 1.0


class AdminSocket:
    """Listens on a socket in a folder that is this user's alone.

    Args:
        path: The socket; None listens nowhere.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = None if path is None else path.absolute()
        self._server: grpc.aio.Server | None = None

    async def start(self, servicer: AdminServicer) -> None:
        """Listen.

        Raises:
            ConfigurationError: The path is too long, the folder is open to others, or a server listens there already.
        """
        if self._path is None:
            return
        prepare_socket(self._path)
        self._server = grpc.aio.server(interceptors=[ErrorInterceptor()])
        admin_pb2_grpc.add_AdminServiceServicer_to_server(servicer, self._server)  # type: ignore[no-untyped-call]
        try:
            self._server.add_insecure_port(f"unix:{self._path}")
        except RuntimeError as error:
            raise ConfigurationError("cannot listen", where=self._path) from error
        self._path.chmod(0o600)  # the folder has kept others out until now
        await self._server.start()
        logger.info("the operator's socket is %s", self._path)

    async def stop(self) -> None:
        """Listen no more; the socket goes away."""
        if self._server is not None:
            await self._server.stop(_GRACE_S)


def prepare_socket(path: Path) -> None:
    """See that a socket at `path` will be this user's alone, and take away a dead one.

    Raises:
        ConfigurationError: It would not be; or a living server has it.
    """
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise ConfigurationError(
            f"a socket's path has at most {_MAX_PATH_BYTES} bytes", where=path, remedy="Name a shorter --admin-socket."
        )
    _prepare_folder(path.parent)
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigurationError("is there, and is no socket", where=path, remedy="Name another --admin-socket.")
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()  # its server has ended without a chance to do so
            return
    raise ConfigurationError("a server listens there already", where=path, remedy="Name another --admin-socket.")


def _prepare_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise ConfigurationError(
            f"cannot be made ({error.strerror})", where=folder, remedy="Name an --admin-socket in another folder."
        ) from error
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid != os.geteuid() or mode & 0o077:
        raise ConfigurationError(
            f"other users may enter the admin socket's folder (mode {mode:04o}, user {status.st_uid})",
            where=folder,
            remedy="Name an --admin-socket in a folder of the server's user with mode 0700.",
        )
