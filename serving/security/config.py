"""Configuration of the server's security."""

from pathlib import Path

from isthmus.configuration import config
from isthmus.errors import ConfigurationError


@config
class SecurityConfig:
    """Who may reach the server, and how much of it."""

    tls_cert: Path | None = None
    """PEM file with the server's certificate and those between it and the clients' authority. With it connections are
    encrypted; its file is read again when it changes."""
    tls_key: Path | None = None
    """PEM file with the certificate's private key, closed to other users."""
    client_ca: Path | None = None
    """PEM file with the authorities that sign vehicles' certificates: every caller needs one then. Without it every
    caller is anonymous, which the policy must allow."""
    policy: Path | None = None
    """YAML file that says who may do what; see `policy.Policy`. Read again when it changes."""
    admin_socket: Path | None = None
    """Unix socket for the operator, in a folder that is the server's user's alone."""

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigurationError(
                "a certificate without its key, or the other way round",
                where="--tls-key" if self.tls_cert is None else "--tls-cert",
                remedy="Give both --tls-cert and --tls-key.",
            )
        if self.client_ca is not None and self.tls_cert is None:
            raise ConfigurationError(
                "client certificates can only be asked for on encrypted connections",
                where="--client-ca",
                remedy="Give --tls-cert and --tls-key too.",
            )
        if self.tls_cert is not None and self.client_ca is None and self.policy is None:
            raise ConfigurationError(
                "without an authority for clients every caller is anonymous, which no policy allows",
                where="--tls-cert",
                remedy="Name the vehicles' authority with --client-ca, or allow `anonymous` something in a --policy.",
            )

    @property
    def is_encrypted(self) -> bool:
        """Whether connections are encrypted."""
        return self.tls_cert is not None
