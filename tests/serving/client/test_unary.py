"""Unary calls and the watch, for asyncio and without it, in plaintext and in TLS."""

import asyncio
import datetime as dt

import numpy as np
import pytest
from google.protobuf import timestamp_pb2

from isthmus import cli
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

VEHICLE = {"ca": "ca.pem", "cert": "vehicle.pem", "key": "vehicle.key"}


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


def test_the_verbs_speak_tls(secure, tiny, tmp_path, capsys):
    address, folder = secure
    files = [f"--{name}={folder / file}" for name, file in VEHICLE.items()]
    (tmp_path / "street.png").write_bytes(tiny.png(tiny.street()))
    out = tmp_path / "out"
    cli.main(["segment", str(tmp_path / "street.png"), f"--server={address}", f"--out={out}", *files])
    assert (out / "masks" / "street.png").is_file()
    cli.main(["watch", address, "--once", *files])
    assert "SERVING" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["watch", address, "--once"])
    assert "closed the connection" in " ".join(capsys.readouterr().out.replace("│", "").split())


def test_a_server_of_another_authority_is_named(secure, tmp_path, certificates):
    address, folder = secure
    other = tmp_path / "other.pem"
    other.write_bytes(certificates.pem(*certificates.make("another authority"))[0])
    credentials = client_credentials(other, folder / "vehicle.pem", folder / "vehicle.key")
    with SegmentationClient(address, credentials=credentials) as client, pytest.raises(ServingError) as caught:
        client.model_info()
    assert "TLS" in str(caught.value)
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value)


def test_a_key_of_another_certificate_is_refused_before_it_is_shown(secure, certificates):
    _, folder = secure
    (folder / "other.key").write_bytes(certificates.pem(*certificates.make("another"))[1])
    with pytest.raises(ConfigurationError, match=r"other\.key: the key belongs to another certificate"):
        client_credentials(folder / "ca.pem", folder / "vehicle.pem", folder / "other.key")


def test_credentials_that_cannot_work_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="certificate and its key together"):
        client_credentials(tmp_path / "ca.pem", tmp_path / "a.pem", None)
    assert client_credentials() is None
    with pytest.raises(ConfigurationError, match=r"ca\.pem: cannot be read"):
        client_credentials(tmp_path / "ca.pem", None, None)
    (tmp_path / "ca.pem").write_bytes(b"\x30\x82")
    with pytest.raises(ConfigurationError, match="is no PEM file"):
        client_credentials(tmp_path / "ca.pem", None, None)
