"""Ed25519 signatures of gate reports (RFC 8032): who judged a model is proven by a key, not by a registry's word.

    <key>       private key, PKCS 8 in PEM, readable by its owner alone
    <key>.pub   public key in PEM, for everyone who checks verdicts

The key is named by path: as an argument, by `ISTHMUS_GATE_KEY`, or else `~/.config/isthmus/gate.key`, which is made on
first use. A key that is named and missing is an error: a typing error must not become a new identity. Checking needs
`cryptography` and nothing else.
"""

import base64
import binascii
import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from isthmus.errors import ConfigurationError, ContractError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_VARIABLE: Final = "ISTHMUS_GATE_KEY"
_DEFAULT_KEY: Final = Path("isthmus") / "gate.key"
_SIGNATURE_BYTES: Final = 64
_FINGERPRINT_DIGITS: Final = 16
_MAKE_ONE: Final = "Make one with `openssl genpkey -algorithm ed25519 -out FILE` under `umask 077`."


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What checks a signature."""

    key: "Ed25519PublicKey"

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 of the 32 raw bytes."""
        return hashlib.sha256(self.key.public_bytes_raw()).hexdigest()[:_FINGERPRINT_DIGITS]

    def to_pem(self) -> bytes:
        """SubjectPublicKeyInfo in PEM, as `openssl pkey -pubout` writes it."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What signs."""

    key: "Ed25519PrivateKey"

    @property
    def public(self) -> PublicKey:
        """The half that may be given away."""
        return PublicKey(self.key.public_key())

    def sign(self, content: bytes) -> str:
        """The signature of `content`, 64 bytes in base64."""
        return base64.b64encode(self.key.sign(content)).decode("ascii")


def verify(content: bytes, signature: str, public_key: PublicKey, *, where: str | Path) -> None:
    """Check that the owner of a key signed exactly these bytes.

    Args:
        content: What was signed.
        signature: 64 bytes in base64; white space around them does not count.
        public_key: Of the one who is trusted.
        where: The signature's place, for the error.

    Raises:
        ContractError: It is no signature, another key's, or of other bytes.
    """
    from cryptography.exceptions import InvalidSignature

    try:
        raw = base64.b64decode(signature.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ContractError(
            "the signature is not base64", where=where, remedy="Let the version be judged again."
        ) from (error)
    if len(raw) != _SIGNATURE_BYTES:
        raise ContractError(
            f"the signature has {len(raw)} bytes, Ed25519 has {_SIGNATURE_BYTES}",
            where=where,
            remedy="Let the version be judged again.",
        )
    try:
        public_key.key.verify(raw, content)
    except InvalidSignature as error:
        raise ContractError(
            f"the signature is not one of key {public_key.fingerprint} over these bytes",
            where=where,
            remedy="Either the report was changed, or another key signed it: judge the version again with yours.",
        ) from error


def key_path(path: Path | None = None) -> Path:
    """`path` if given, else `ISTHMUS_GATE_KEY`, else `isthmus/gate.key` under `XDG_CONFIG_HOME` or `~/.config`."""
    if path is not None:
        return path
    named = os.environ.get(KEY_VARIABLE)
    return Path(named) if named else _default_path()


def signing_key(path: Path | None = None) -> SigningKey:
    """The key to sign with; the default one is made where it is missing.

    Args:
        path: See `key_path`.

    Raises:
        ConfigurationError: The named file is missing, is no Ed25519 key, or others can read it.
    """
    file = key_path(path)
    if not file.exists() and file == _default_path():
        make_key(file)
    if not file.is_file():
        raise ConfigurationError("there is no signing key here", where=file, remedy=_MAKE_ONE)
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise ConfigurationError(
            "others can read or write this signing key",
            where=file,
            remedy=f"Run `chmod 600 {file}`, or make a new key.",
        )
    return SigningKey(_read_private(file))


def make_key(file: Path) -> None:
    """Write a new pair; where there is one already, or two processes do it at once, the first one's stays.

    Raises:
        ConfigurationError: The folder cannot be made or written.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=file.parent) as draft:  # made with mode 0600
            draft.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            draft.flush()
            os.fsync(draft.fileno())
            try:
                os.link(draft.name, file)  # whole or not at all, and never over another one
            except FileExistsError:
                return
        public_path(file).write_bytes(SigningKey(key).public.to_pem())
    except OSError as error:
        raise ConfigurationError(
            f"no signing key could be made ({error.strerror})", where=file, remedy=f"Name one in {KEY_VARIABLE}."
        ) from error


def public_key(path: Path) -> PublicKey:
    """Read a public key from PEM.

    Raises:
        ConfigurationError: The file is missing or holds no Ed25519 public key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if not path.is_file():
        raise ConfigurationError("there is no public key here", where=path, remedy="It lies beside the signing key.")
    content = path.read_bytes()
    if b"PRIVATE KEY-----" in content:
        half = public_path(path)
        make = f"Write it with `openssl pkey -in {path} -pubout -out {half}`, and name that file."
        raise ConfigurationError(
            "this is a private key, and what checks a verdict is its public half",
            where=path,
            remedy=f"Name {half}." if half.is_file() else make,
        )
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError("this is no public key in PEM", where=path) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError("this is a public key, but not an Ed25519 one", where=path, remedy=_MAKE_ONE)
    return PublicKey(key)


def public_path(private: Path) -> Path:
    """Where the public half of a key lies: `gate.key.pub` beside `gate.key`."""
    return private.with_name(f"{private.name}.pub")


def _default_path() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / _DEFAULT_KEY


def _read_private(file: Path) -> "Ed25519PrivateKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except TypeError as error:  # what cryptography raises for a passphrase
        remedy = "Name a key without a passphrase; the file's mode protects it."
        raise ConfigurationError("this signing key asks for a passphrase", where=file, remedy=remedy) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError("this is no private key in PEM", where=file, remedy=_MAKE_ONE) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError("this is a private key, but not an Ed25519 one", where=file, remedy=_MAKE_ONE)
    return key
