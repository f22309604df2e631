"""Unary calls and the watch, for asyncio and without it, in plaintext and in TLS."""

import asyncio
import datetime as dt
import ipaddress

import grpc
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf import timestamp_pb2

from isthmus.errors import ConfigurationError, FrameExpiredError, InvalidFrameError, ServingError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.client import (
    AsyncSegmentationClient,
    CameraStream,
    Change,
    MaskFormat,
    SegmentationClient,
    Verdict,
)
from isthmus.serving.transport import client_credentials


@pytest.mark.parametrize("mask_format", list(MaskFormat))
async def test_async_array_in_mask_out(address, tiny, mask_format):
    image = tiny.street()
    async with AsyncSegmentationClient(address) as client:
        result = await client.segment(image, mask_format=mask_format)
        assert (await client.model_info()).label_space_id == result.label_space_id
    np.testing.assert_array_equal(result.mask, tiny.expected_labels(image))


async def test_async_errors_keep_their_class(address, nobody, tiny):
    async with AsyncSegmentationClient(address) as client:
        with pytest.raises(InvalidFrameError, match="truncated"):
            await client.segment(tiny.png(tiny.street())[:-1])
        with pytest.raises(FrameExpiredError, match="frame 9 expired"):
            await client.segment(tiny.street(), sequence_number=9, max_age_s=1e-9)
    async with AsyncSegmentationClient(nobody) as client:
        for call in (client.segment(tiny.street()), client.model_info(), anext(client.watch_model())):
            with pytest.raises(ServingError, match="no server answers"):
                await call


def swapped(say, version):
    model = pb.ModelInfo()
    model.CopyFrom(say.MODEL)
    model.version = version
    at = timestamp_pb2.Timestamp(seconds=1_700_000_000)
    return pb.WatchModelResponse(change=pb.MODEL_CHANGE_SWAPPED, model=model, reason="promoted", changed_at=at)


async def test_async_watch(scripted, say):
    server = await scripted()
    async with AsyncSegmentationClient(server.address) as client:
        changes = client.watch_model()
        first = await anext(changes)
        assert (first.change, first.model.version, first.changed_at) == (Change.CURRENT, "1", None)
        server.changes.put_nowait(swapped(say, "2"))
        second = await anext(changes)
        assert (second.change, second.model.version, second.reason) == (Change.SWAPPED, "2", "promoted")
        assert second.changed_at == dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=dt.UTC)
        server.changes.put_nowait(
            pb.WatchModelResponse(change=pb.MODEL_CHANGE_REFUSED, model=say.MODEL, refused_version="3")
        )
        third = await anext(changes)
        assert (third.change, third.refused_version) == (Change.REFUSED, "3")
        server.changes.put_nowait(pb.WatchModelResponse(change=99, model=say.MODEL))
        assert (await anext(changes)).change is Change.UNKNOWN
        server.changes.put_nowait(None)
        with pytest.raises(StopAsyncIteration):
            await anext(changes)


def test_watch(scripted_thread, say):
    thread = scripted_thread()
    with SegmentationClient(thread.server.address) as client:
        changes = client.watch_model()
        assert next(changes).model.version == "1"
        thread.loop.call_soon_threadsafe(thread.server.changes.put_nowait, swapped(say, "2"))
        assert next(changes).model.version == "2"
        thread.call(thread.server.kill())
        with pytest.raises(ServingError):
            next(changes)


def make_certificate(subject, issuer=None, issuer_key=None):
    """A certificate for 127.0.0.1 and its key, in PEM; without an issuer its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(issuer_key or key, hashes.SHA256())
    )
    return certificate, key


def pem(certificate, key):
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture
def secure(tmp_path, scripted_thread):
    """A server that asks for certificates, and a folder with ca.pem, vehicle.pem, vehicle.key."""
    authority, authority_key = make_certificate("authority")
    server, vehicle = (pem(*make_certificate(name, authority, authority_key)) for name in ("server", "vehicle"))
    ca, _ = pem(authority, authority_key)
    for name, data in {"ca.pem": ca, "vehicle.pem": vehicle[0], "vehicle.key": vehicle[1]}.items():
        (tmp_path / name).write_bytes(data)
    credentials = grpc.ssl_server_credentials([(server[1], server[0])], ca, require_client_auth=True)
    return scripted_thread(credentials=credentials).server.address, tmp_path


def test_tls_with_a_certificate(secure, tiny):
    address, folder = secure
    credentials = client_credentials(folder / "ca.pem", folder / "vehicle.pem", folder / "vehicle.key")
    image = tiny.street()
    with SegmentationClient(address, credentials=credentials) as client:
        np.testing.assert_array_equal(client.segment(image).mask, tiny.expected_labels(image))
    with CameraStream(address, credentials=credentials) as stream:
        stream.send(image)
        assert stream.next_report(30).verdict is Verdict.SEGMENTED

    async def ask():
        async with AsyncSegmentationClient(address, credentials=credentials) as client:
            return await client.model_info()

    assert asyncio.run(ask()).name == "scripted"


def test_a_server_of_another_authority_is_named(secure, tmp_path):
    address, folder = secure
    other = tmp_path / "other.pem"
    other.write_bytes(pem(*make_certificate("another authority"))[0])
    credentials = client_credentials(other, folder / "vehicle.pem", folder / "vehicle.key")
    with SegmentationClient(address, credentials=credentials) as client, pytest.raises(ServingError) as caught:
        client.model_info()
    assert "TLS" in str(caught.value)
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value)


def test_credentials_that_cannot_work_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="go together"):
        client_credentials(None, tmp_path / "a.pem", None)
    with pytest.raises(ConfigurationError, match=r"ca\.pem: cannot be read"):
        client_credentials(tmp_path / "ca.pem", None, None)
    (tmp_path / "ca.pem").write_bytes(b"\x30\x82")
    with pytest.raises(ConfigurationError, match="is no PEM file"):
        client_credentials(tmp_path / "ca.pem", None, None)
