"""Authorities and certificates, made for the test that needs them."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VEHICLE = "spiffe://fleet.example/vehicle/17"


def pem_of(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Authority:
    """Signs certificates.

    Args:
        folder: For its files.
        name: Its common name.
    """

    def __init__(self, folder: Path, name: str, *, begins: timedelta = timedelta(days=-1), days: float = 30) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        authority = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = self._sign(self.name, self.key, [(authority, True)], begins, days)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.pem)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name, *, uris=(), begins=timedelta(days=-1), days=2.0):
        """A certificate for loopback, or a vehicle's: (certificate file, key file)."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        names += [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        extensions = [(x509.SubjectAlternativeName(names), False)]
        certificate = self._sign(subject, key, extensions, begins, days)
        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(pem_of(key))
        files[1].chmod(0o600)
        return files

    def _sign(self, subject, key, extensions, begins, days):
        start = datetime.now(UTC) + begins
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())


@pytest.fixture
def make_authority(tmp_path):
    """Makes an `Authority` by name."""
    return lambda name, **dates: Authority(tmp_path, name, **dates)


@pytest.fixture
def server_ca(make_authority):
    """Signs servers' certificates."""
    return make_authority("server-ca")


@pytest.fixture
def vehicle_ca(make_authority):
    """Signs vehicles' certificates."""
    return make_authority("vehicle-ca")


@pytest.fixture
def vehicle(vehicle_ca):
    """Certificate and key of vehicle 17."""
    return vehicle_ca.issue("vehicle-17", uris=[VEHICLE])
