"""Which files a server takes for its certificate, and what it does when they change."""

import contextlib
import logging
import os
from datetime import UTC, datetime, timedelta

import pytest

from isthmus.errors import ConfigurationError
from isthmus.serving.security import certificates
from isthmus.serving.security.certificates import ServerCertificate
from isthmus.serving.security.config import SecurityConfig


@pytest.fixture
def files(server_ca, vehicle_ca):
    cert, key = server_ca.issue("server")
    return SecurityConfig(tls_cert=cert, tls_key=key, client_ca=vehicle_ca.file)


def test_what_is_read(files):
    certificate = ServerCertificate(files).current
    assert certificate.subject == "CN=server"
    assert len(certificate.sha256) == 64
    left = certificate.expires_at - datetime.now(UTC)
    assert timedelta(hours=23) < left < timedelta(hours=25)
    assert certificate.client_ca_expires_at > certificate.expires_at
    assert "PRIVATE" not in repr(certificate)


def test_expired_or_not_yet_valid(server_ca, vehicle_ca):
    for begins, said in ((timedelta(days=-3), "expired at"), (timedelta(days=1), "begins at")):
        cert, key = server_ca.issue("server", begins=begins)
        with pytest.raises(ConfigurationError, match=said):
            ServerCertificate(SecurityConfig(tls_cert=cert, tls_key=key, client_ca=vehicle_ca.file))


def test_expired_authority(files, make_authority):
    old = make_authority("old-ca", begins=timedelta(days=-9), days=1)
    config = SecurityConfig(tls_cert=files.tls_cert, tls_key=files.tls_key, client_ca=old.file)
    with pytest.raises(ConfigurationError, match="all authorities have expired"):
        ServerCertificate(config)
    old.file.write_bytes(old.pem + files.client_ca.read_bytes())  # one is enough
    assert ServerCertificate(config).current.client_ca_expires_at > datetime.now(UTC)


def test_a_vehicles_certificate_is_no_authority(files, vehicle):
    config = SecurityConfig(tls_cert=files.tls_cert, tls_key=files.tls_key, client_ca=vehicle[0])
    with pytest.raises(ConfigurationError, match="CN=vehicle-17 is no authority"):
        ServerCertificate(config)


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o644, 0o777])
def test_key_that_others_can_read(files, mode):
    files.tls_key.chmod(mode)
    with pytest.raises(ConfigurationError, match=r"other users may read or change the key.*chmod 600"):
        ServerCertificate(files)


@pytest.mark.parametrize(
    ("owner", "user", "mode", "said"),
    [
        (7, 7, 0o600, None),
        (7, 7, 0o400, None),
        (7, 7, 0o640, "mode 0640"),  # its user can close it
        (7, 7, 0o610, "mode 0610"),
        (7, 7, 0o604, "mode 0604"),
        (0, 7, 0o640, None),  # as Kubernetes mounts secrets: root's, readable by the server's group
        (0, 7, 0o660, "mode 0660"),
        (0, 7, 0o644, "mode 0644"),
        (0, 0, 0o640, None),
        (0, 0, 0o604, "mode 0604"),
        (8, 7, 0o600, "belongs to another user"),
        (8, 0, 0o600, "belongs to another user"),
    ],
)
def test_whose_key_may_be_how_open(monkeypatch, tmp_path, owner, user, mode, said):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    status = os.stat_result((mode, 1, 1, 1, owner, 1, 1, 0, 0, 0))
    expected = contextlib.nullcontext() if said is None else pytest.raises(ConfigurationError, match=said)
    with expected:
        certificates._check_closed(status, tmp_path / "key")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tls_cert", b"nothing", "holds no certificates"),
        ("tls_key", b"nothing", "holds no private key"),
        ("client_ca", b"nothing", "holds no certificates"),
        ("client_ca", b"x" * (1 << 21), "no PEM file"),
        ("tls_cert", None, "cannot be read"),
        ("tls_key", None, "cannot be read"),
        ("client_ca", None, "cannot be read"),
    ],
)
def test_broken_files(files, name, content, said):
    path = getattr(files, name)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"{path.name}: .*{said}"):
        ServerCertificate(files)


def test_key_of_another_certificate(files, server_ca):
    _, other = server_ca.issue("other")
    config = SecurityConfig(tls_cert=files.tls_cert, tls_key=other, client_ca=files.client_ca)
    with pytest.raises(ConfigurationError, match="belongs to another certificate"):
        ServerCertificate(config)


def test_a_change_is_given_to_grpc_once(files, server_ca):
    certificate = ServerCertificate(files)
    assert certificate._newer() is None
    server_ca.issue("server")  # writes over the same files
    assert certificate._newer() is not None
    assert certificate._newer() is None


def test_a_bad_change_keeps_the_old_one_and_is_said_once(files, server_ca, caplog):
    certificate = ServerCertificate(files)
    before, key = certificate.current, files.tls_key.read_bytes()
    server_ca.issue("server")
    new_key = files.tls_key.read_bytes()
    files.tls_key.write_bytes(key)  # as while a renewal has written only the first of both
    for _ in range(3):
        certificate.refresh()
        assert certificate._newer() is None
    assert certificate.current is before
    assert "belongs to another certificate" in certificate.problem
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    files.tls_key.write_bytes(new_key)
    assert certificate._newer() is not None
    assert (certificate.problem, certificate.current.subject) == ("", "CN=server")
    files.tls_cert.unlink()
    certificate.refresh()
    assert "cannot be read" in certificate.problem


def test_expiry_is_said_once_each(files, caplog):
    clock = [datetime.now(UTC)]
    certificate = ServerCertificate(files, clock=lambda: clock[0])
    end, whole = certificate.current.expires_at, timedelta(days=2)
    for clock[0] in (end - 0.21 * whole, end - 0.19 * whole, end - 0.1 * whole, end, end + whole):
        certificate.refresh()
    assert [(r.levelname, r.getMessage().split(" ", 2)[2][:12]) for r in caplog.records] == [
        ("WARNING", "expires soon"),
        ("ERROR", "expired: " + end.isoformat()[:3]),
    ]


def test_what_belongs_together(files, tmp_path):
    cert, key, ca = files.tls_cert, files.tls_key, files.client_ca
    for given in ({"tls_cert": cert}, {"tls_key": key}, {"client_ca": ca}, {"tls_cert": cert, "tls_key": key}):
        with pytest.raises(ConfigurationError):
            SecurityConfig(**given)
    assert SecurityConfig(tls_cert=cert, tls_key=key, policy=tmp_path / "p").is_encrypted
    assert not SecurityConfig().is_encrypted


@pytest.fixture(autouse=True)
def _log_level(caplog):
    caplog.set_level(logging.WARNING, "isthmus")
