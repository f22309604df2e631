"""All of the server's security in one place, for the server to hold."""

import logging
import threading
from typing import Final

import grpc.aio

from isthmus.errors import ConfigurationError
from isthmus.serving.security.access import AccessInterceptor
from isthmus.serving.security.certificates import ServerCertificate
from isthmus.serving.security.config import SecurityConfig
from isthmus.serving.security.policy import Rulebook
from isthmus.serving.security.policy_file import PolicyFile
from isthmus.serving.security.quotas import Quotas

logger = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 1.0


class Guard:
    """Certificate, policy and quotas; reads their files again every second from `start` to `stop`.

    Args:
        config: Names the files.

    Raises:
        ConfigurationError: A file is bad, or together they would let nobody in.
    """

    def __init__(self, config: SecurityConfig) -> None:
        self.certificate = ServerCertificate(config) if config.is_encrypted else None
        self.policy = PolicyFile(config.policy, certificates_required=config.client_ca is not None)
        if config.client_ca is None and config.policy is not None and not self.rules().policy.anonymous.allow:
            raise ConfigurationError(
                "without --client-ca every caller is anonymous, and the policy allows `anonymous` nothing",
                where=config.policy,
                remedy="Name the vehicles' authority with --client-ca, or allow `anonymous` something.",
            )
        self.quotas = Quotas(self.rules)
        self.interceptor = AccessInterceptor(self.rules)
        self._stopped = threading.Event()
        self._watcher: threading.Thread | None = None

    def rules(self) -> Rulebook:
        """The policy in force."""
        return self.policy.rulebook

    def certificate_ends(self) -> float | None:
        """End of the certificate that is in use, in seconds since the epoch; None without one."""
        return None if self.certificate is None else self.certificate.current.expires_at.timestamp()

    def listen(self, server: grpc.aio.Server, address: str) -> int:
        """Add the port of the vehicles to `server`.

        Returns:
            The port that was taken.

        Raises:
            RuntimeError: It is not free.
        """
        if self.certificate is None:
            return int(server.add_insecure_port(address))
        return int(server.add_secure_port(address, self.certificate.credentials()))

    def refresh(self) -> None:
        """Look at the files now."""
        self.policy.refresh()
        if self.certificate is not None:
            self.certificate.refresh()

    def start(self) -> None:
        """Look at the files from now on: on a thread, since a file may lie on a slow disk."""
        self._watcher = threading.Thread(target=self._watch, name="watch-security-files", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_EVERY_S):
            try:
                self.refresh()
            except Exception:
                logger.exception("certificate and policy could not be looked at")
