"""Signatures: RFC 8032's own numbers, keys on disk, and everything that is no signature."""

import base64
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.errors import ConfigurationError, ContractError
from isthmus.signing import PublicKey, SigningKey, key_path, make_key, public_key, public_path, signing_key, verify

# RFC 8032, section 7.1, test 2.
SECRET = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
MESSAGE = b"\x72"
SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


@pytest.fixture
def key() -> SigningKey:
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SECRET)))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's configuration folder that is empty."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("ISTHMUS_GATE_KEY", raising=False)
    return tmp_path / "config"


def write_pem(key, path: Path, *, mode: int = 0o600, password: bytes | None = None) -> Path:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))
    path.chmod(mode)
    return path


def test_signature_is_the_one_of_the_rfc(key: SigningKey):
    assert base64.b64decode(key.sign(MESSAGE)).hex() == SIGNATURE
    assert key.public.key.public_bytes_raw().hex() == PUBLIC
    assert key.public.fingerprint == "39f713d0a644253f"  # sha256 of those 32 bytes


def test_own_signature_is_accepted_with_a_line_break(key: SigningKey):
    verify(MESSAGE, key.sign(MESSAGE) + "\n", key.public, where="here")


@pytest.mark.parametrize(
    ("signature", "message"),
    [("no base64!", "not base64"), (base64.b64encode(b"x" * 63).decode(), "63 bytes, Ed25519 has 64")],
)
def test_what_is_no_signature_is_refused(key: SigningKey, signature: str, message: str):
    with pytest.raises(ContractError, match=message) as caught:
        verify(MESSAGE, signature, key.public, where="models:/street/1")
    assert caught.value.where == "models:/street/1"


def test_one_changed_byte_and_another_key_are_refused(key: SigningKey):
    with pytest.raises(ContractError, match="not one of key 39f713d0a644253f"):
        verify(b"\x73", key.sign(MESSAGE), key.public, where="here")
    other = SigningKey(Ed25519PrivateKey.generate())
    with pytest.raises(ContractError, match="another key signed it"):
        verify(MESSAGE, key.sign(MESSAGE), other.public, where="here")


def test_the_default_key_is_made_once_and_only_its_owner_reads_it(home: Path):
    first = signing_key()
    file = home / "isthmus" / "gate.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in file.parent.iterdir()) == ["gate.key", "gate.key.pub"]
    assert signing_key().public.fingerprint == first.public.fingerprint
    assert public_key(public_path(file)).fingerprint == first.public.fingerprint


def test_many_who_make_it_at_once_agree_on_one_key():
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: signing_key().public.fingerprint, range(8)))
    assert len(set(keys)) == 1


def test_the_argument_wins_over_the_variable_and_that_over_the_default(home: Path, monkeypatch: pytest.MonkeyPatch):
    assert key_path() == home / "isthmus" / "gate.key"
    monkeypatch.setenv("ISTHMUS_GATE_KEY", "/keys/team")
    assert key_path() == Path("/keys/team")
    assert key_path(Path("mine")) == Path("mine")


def test_a_named_key_is_not_made(tmp_path: Path, home: Path):
    with pytest.raises(ConfigurationError, match=r"no signing key here.*openssl genpkey"):
        signing_key(tmp_path / "typo.key")
    assert not home.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(key: SigningKey, tmp_path: Path, mode: int):
    file = write_pem(key.key, tmp_path / "key", mode=mode)
    with pytest.raises(ConfigurationError, match=r"others can read.*chmod 600"):
        signing_key(file)


def test_other_kinds_of_keys_are_named(key: SigningKey, tmp_path: Path):
    with pytest.raises(ConfigurationError, match="not an Ed25519 one"):
        signing_key(write_pem(generate_private_key(SECP256R1()), tmp_path / "curve"))
    with pytest.raises(ConfigurationError, match="asks for a passphrase"):
        signing_key(write_pem(key.key, tmp_path / "locked", password=b"secret"))
    (tmp_path / "text").write_text("no key")
    (tmp_path / "text").chmod(0o600)
    with pytest.raises(ConfigurationError, match="no private key in PEM"):
        signing_key(tmp_path / "text")


def test_other_kinds_of_public_keys_are_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="there is no public key here"):
        public_key(tmp_path / "none")
    (tmp_path / "text").write_text("no key")
    with pytest.raises(ConfigurationError, match="no public key in PEM"):
        public_key(tmp_path / "text")
    make_key(tmp_path / "own.key")
    with pytest.raises(ConfigurationError, match=r"this is a private key.* Name .*own\.key\.pub\."):
        public_key(tmp_path / "own.key")
    public_path(tmp_path / "own.key").unlink()
    with pytest.raises(ConfigurationError, match=r"`openssl pkey -in .*own\.key -pubout -out .*own\.key\.pub`"):
        public_key(tmp_path / "own.key")
    curve = generate_private_key(SECP256R1()).public_key()
    pem = curve.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "curve").write_bytes(pem)
    with pytest.raises(ConfigurationError, match="not an Ed25519 one"):
        public_key(tmp_path / "curve")


def test_a_public_key_survives_its_file(key: SigningKey, tmp_path: Path):
    (tmp_path / "key.pub").write_bytes(key.public.to_pem())
    assert public_key(tmp_path / "key.pub").fingerprint == PublicKey(key.key.public_key()).fingerprint


def test_checking_needs_no_torch():
    code = "import sys, isthmus.signing; print([n for n in ('torch', 'mlflow', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
