"""The server's certificate: read and checked at the start, and again for new connections when its files change.

gRPC asks before each handshake whether there is something new, so that a renewed certificate or another client
authority is in use from the next connection on, while connections that are open go on as they are.
"""

import hashlib
import logging
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtensionOID

from isthmus.errors import ConfigurationError
from isthmus.serving.security.config import SecurityConfig

logger = logging.getLogger(__name__)

_MAX_BYTES: Final = 1 << 20
_WARN_AT_REST: Final = 0.2  # of its whole time: 18 days of a 90-day certificate, 12 minutes of a 1-hour one


@dataclass(frozen=True)
class Files:
    """What the files hold, not looked at yet."""

    chain: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None


@dataclass(frozen=True)
class Certificate:
    """A checked certificate and what belongs to it."""

    files: Files = field(repr=False)
    subject: str
    sha256: str
    valid_from: datetime
    expires_at: datetime
    client_ca_expires_at: datetime | None
    """When the last of the client authorities expires; None where clients need no certificate."""

    @property
    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """The same for gRPC."""
        return grpc.ssl_server_certificate_configuration([(self.files.key, self.files.chain)], self.files.client_ca)


class ServerCertificate:
    """Holds the certificate in use. Changed files that are bad leave it in use, and are told in the log.

    Args:
        config: Names the files; `tls_cert` and `tls_key` are given.
        clock: What time it is.

    Raises:
        ConfigurationError: The files are bad, or expired.
    """

    def __init__(self, config: SecurityConfig, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        assert config.tls_cert is not None
        assert config.tls_key is not None
        self._cert, self._key, self._client_ca = config.tls_cert, config.tls_key, config.client_ca
        self._clock = clock
        self._lock = threading.Lock()  # gRPC asks on threads of its own
        self._warned: str = ""
        self.current = self._load(self._read())
        """What new connections see."""
        self._given = self.current
        self.problem = ""
        """Why newer files were refused."""

    def credentials(self) -> grpc.ServerCredentials:
        """What one port listens with; one alone, since a change is given to gRPC once."""
        return grpc.dynamic_ssl_server_credentials(
            self._given.configuration,
            self._newer,  # pyright: ignore[reportArgumentType]  # None is allowed, and means no change
            require_client_authentication=self._client_ca is not None,
        )

    def refresh(self) -> None:
        """Use the files from the next connection on if they have changed; may be called on any thread."""
        with self._lock:
            self._refresh()

    def _newer(self) -> grpc.ServerCertificateConfiguration | None:
        """For gRPC: what it has not got yet, or None."""
        with self._lock:
            self._refresh()
            if self._given is self.current:
                return None
            self._given = self.current
            return self.current.configuration

    def _refresh(self) -> None:
        try:
            files = self._read()
            if files == self.current.files:
                self.problem = ""
            else:
                self.current, self.problem = self._load(files), ""
                logger.warning(
                    "new connections see certificate %s (%s), which expires at %s",
                    self.current.subject,
                    self.current.sha256[:12],
                    self.current.expires_at.isoformat(),
                )
        except ConfigurationError as error:
            if str(error) != self.problem:
                self.problem = str(error)
                logger.error("the certificate stays as it was: %s", error)  # noqa: TRY400 - the message says it all
        self._watch_expiry()

    def _watch_expiry(self) -> None:
        """Say once that it is high time, and once that it is too late."""
        current, now = self.current, self._clock()
        rest = (current.expires_at - now) / (current.expires_at - current.valid_from)
        state = "expired" if rest <= 0 else "expires soon" if rest < _WARN_AT_REST else ""
        if state and f"{state} {current.sha256}" != self._warned:
            self._warned = f"{state} {current.sha256}"
            level = logging.ERROR if state == "expired" else logging.WARNING
            logger.log(level, "certificate %s %s: %s", self._cert, state, current.expires_at.isoformat())

    def _read(self) -> Files:
        return Files(
            chain=_read(self._cert),
            key=_read(self._key, private=True),
            client_ca=None if self._client_ca is None else _read(self._client_ca),
        )

    def _load(self, files: Files) -> Certificate:
        chain = _certificates(files.chain, self._cert)
        leaf, now = chain[0], self._clock()
        _check_key(files.key, leaf, self._key)
        for certificate in chain:
            _check_dates(certificate, now, self._cert)
        ends = None
        if self._client_ca is not None:
            assert files.client_ca is not None
            ends = _authorities_end(files.client_ca, now, self._client_ca)
        return Certificate(
            files=files,
            subject=leaf.subject.rfc4514_string(),
            sha256=hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest(),
            valid_from=leaf.not_valid_before_utc,
            expires_at=min(certificate.not_valid_after_utc for certificate in chain),
            client_ca_expires_at=ends,
        )


def _read(path: Path, *, private: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            if private:
                _check_closed(os.fstat(file.fileno()), path)
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot be read ({error.strerror})", where=path) from error
    if len(data) > _MAX_BYTES:
        raise ConfigurationError(f"is larger than {_MAX_BYTES} bytes: no PEM file", where=path)
    return data


def _check_closed(status: os.stat_result, path: Path) -> None:
    """The rule of PostgreSQL: the user's own and closed to all others, or root's and at most readable by a group."""
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid not in (os.geteuid(), 0):
        raise ConfigurationError("the key belongs to another user", where=path, remedy=f"Run `chown $USER {path}`.")
    if mode & (0o077 if status.st_uid == os.geteuid() != 0 else 0o037):
        raise ConfigurationError(
            f"other users may read or change the key (mode {mode:04o})", where=path, remedy=f"Run `chmod 600 {path}`."
        )


def check_pair(chain: bytes, key: bytes, cert_path: Path, key_path: Path) -> None:
    """See that a key is that of the first certificate in a file.

    Raises:
        ConfigurationError: It is not, or one of them is not in PEM.
    """
    _check_key(key, _certificates(chain, cert_path)[0], key_path)


def _certificates(data: bytes, path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise ConfigurationError(f"holds no certificates in PEM ({error})", where=path) from error


def _check_key(data: bytes, leaf: x509.Certificate, path: Path) -> None:
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError as error:
        raise ConfigurationError(
            "the key is encrypted", where=path, remedy="Store it without a password, closed to other users."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(f"holds no private key in PEM ({error})", where=path) from error
    wanted, found = (
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for public in (leaf.public_key(), key.public_key())
    )
    if wanted != found:
        raise ConfigurationError(
            "the key belongs to another certificate",
            where=path,
            remedy="The key's own certificate comes first in its file, and both files are renewed together.",
        )


def _check_dates(certificate: x509.Certificate, now: datetime, path: Path) -> None:
    name = certificate.subject.rfc4514_string()
    if now >= certificate.not_valid_after_utc:
        raise ConfigurationError(
            f"certificate {name} expired at {certificate.not_valid_after_utc.isoformat()}",
            where=path,
            remedy="Renew it.",
        )
    if now < certificate.not_valid_before_utc:
        raise ConfigurationError(
            f"certificate {name} begins at {certificate.not_valid_before_utc.isoformat()}",
            where=path,
            remedy="Set this machine's clock, or wait.",
        )


def _authorities_end(data: bytes, now: datetime, path: Path) -> datetime:
    authorities = _certificates(data, path)
    for certificate in authorities:
        if not _is_authority(certificate):
            raise ConfigurationError(
                f"certificate {certificate.subject.rfc4514_string()} is no authority",
                where=path,
                remedy="Put the authorities that sign vehicles' certificates there, not the vehicles' own.",
            )
    end = max(certificate.not_valid_after_utc for certificate in authorities)
    if now >= end:
        raise ConfigurationError(f"all authorities have expired, the last at {end.isoformat()}", where=path)
    return end


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return isinstance(constraints, x509.BasicConstraints) and constraints.ca
