"""`Segment` and `GetModelInfo` on a real server, through raw stubs."""

import math
from types import SimpleNamespace

import cv2
import grpc
import numpy as np
import pytest
import zstandard
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving.config import LimitsConfig, ServerConfig

TIMEOUT_S = 30.0


@pytest.fixture
def stub(address):
    with grpc.insecure_channel(address) as channel:
        yield segmentation_pb2_grpc.SegmentationServiceStub(channel)


def raw_frame(image, **fields):
    height, width, _ = image.shape
    return pb.Frame(width=width, height=height, encoding=pb.FRAME_ENCODING_RGB8, data=image.tobytes(), **fields)


def segment(stub, frame, **fields):
    return stub.Segment(pb.SegmentRequest(frame=frame, **fields), timeout=TIMEOUT_S).result


def refusal(stub, frame, **fields):
    """Code and unpacked details of a refused frame."""
    with pytest.raises(grpc.RpcError) as caught:
        segment(stub, frame, **fields)
    details = {}
    for packed in rpc_status.from_call(caught.value).details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
            detail = kind()
            if packed.Unpack(detail):
                details[kind.__name__] = detail
    return caught.value.code(), details


def test_raw_frame_gives_raw_mask(stub, tiny):
    image = tiny.street()
    answer = segment(stub, raw_frame(image, camera_id="front", sequence_number=7))
    expected = tiny.expected_labels(image)
    assert (answer.camera_id, answer.sequence_number) == ("front", 7)
    assert answer.verdict == pb.VERDICT_SEGMENTED
    assert (answer.model_version, answer.label_space_id) == ("file", "0123456789ab")
    assert (answer.mask_encoding, answer.mask_height, answer.mask_width) == (pb.MASK_ENCODING_RAW8, 48, 64)
    assert answer.mask == expected.tobytes()
    assert answer.confidence == b""
    assert answer.class_fractions == pytest.approx([np.mean(expected == 0), np.mean(expected == 1)])
    assert answer.timings.infer_us > 0


def test_confidence_comes_when_asked_for(stub, tiny):
    answer = segment(stub, raw_frame(tiny.street()), include_confidence=True)
    assert (answer.confidence_height, answer.confidence_width) == (24, 32)
    assert answer.confidence == bytes([200]) * (24 * 32)


@pytest.mark.parametrize(
    ("encoding", "decode"),
    [
        (pb.MASK_ENCODING_ZSTD, lambda data: zstandard.ZstdDecompressor().decompress(data)),
        (pb.MASK_ENCODING_PNG, lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), -1).tobytes()),
    ],
)
def test_mask_encodings_hold_the_same_mask(stub, tiny, encoding, decode):
    image = tiny.street()
    answer = segment(stub, raw_frame(image), mask_encoding=encoding)
    assert answer.mask_encoding == encoding
    assert decode(answer.mask) == tiny.expected_labels(image).tobytes()


def test_png_frame(stub, tiny):
    image = tiny.street()
    answer = segment(stub, pb.Frame(encoding=pb.FRAME_ENCODING_PNG, data=tiny.png(image)))
    assert answer.mask == tiny.expected_labels(image).tobytes()


def test_jpeg_frame(stub, tiny):
    image = np.full((48, 64, 3), (250, 60, 60), np.uint8)
    image[:, 32:] = (60, 60, 250)
    frame = pb.Frame(encoding=pb.FRAME_ENCODING_JPEG, data=tiny.jpeg(image), width=64, height=48)
    mask = np.frombuffer(segment(stub, frame).mask, np.uint8).reshape(48, 64)
    assert (mask[:, :24] == 0).all()
    assert (mask[:, 40:] == 1).all()


def test_model_info(stub, model_file):
    answer = stub.GetModelInfo(pb.GetModelInfoRequest(), timeout=TIMEOUT_S)
    info = answer.model
    assert (info.name, info.version, info.method) == ("tiny", "file", "source_only")
    assert [(item.name, item.color_rgb) for item in info.label_space.classes] == [
        ("red", 0xFF0000),
        ("other", 0x0080FF),
    ]
    assert (info.network_height, info.network_width) == (48, 64)
    assert (info.provider, info.provider_fallback, info.from_cache) == ("CPUExecutionProvider", False, False)
    assert info.exported_at.ToJsonString() == "2026-11-24T12:00:00Z"
    assert answer.max_frame_pixels == LimitsConfig().max_frame_pixels


def broken_frames():
    """Frames that are refused, with the field that is to blame."""
    good = np.zeros((4, 6, 3), np.uint8)
    png = cv2.imencode(".png", good)[1].tobytes()
    jpeg = cv2.imencode(".jpg", good)[1].tobytes()
    middle = bytearray(jpeg)
    middle[2:4] = b"\x00\x00"
    return {
        "no encoding": (pb.Frame(data=b"abc", width=1, height=1), "frame.encoding"),
        "unknown encoding": (pb.Frame(encoding=77, data=b"abc", width=1, height=1), "frame.encoding"),
        "empty": (pb.Frame(encoding=pb.FRAME_ENCODING_RGB8), "frame.width"),
        "too few bytes": (pb.Frame(encoding=pb.FRAME_ENCODING_RGB8, width=2, height=2, data=b"12345"), "frame.data"),
        "PNG called JPEG": (pb.Frame(encoding=pb.FRAME_ENCODING_JPEG, data=png), "frame.data"),
        "truncated PNG": (pb.Frame(encoding=pb.FRAME_ENCODING_PNG, data=png[:-8]), "frame.data"),
        "truncated JPEG": (pb.Frame(encoding=pb.FRAME_ENCODING_JPEG, data=jpeg[: len(jpeg) // 2]), "frame.data"),
        "JPEG header alone": (pb.Frame(encoding=pb.FRAME_ENCODING_JPEG, data=jpeg[:4]), "frame.data"),
        "JPEG without markers": (pb.Frame(encoding=pb.FRAME_ENCODING_JPEG, data=b"\xff\xd8\xff" * 4), "frame.data"),
        "PNG without IHDR": (pb.Frame(encoding=pb.FRAME_ENCODING_PNG, data=png[:8] + png[20:]), "frame.data"),
        "other width": (pb.Frame(encoding=pb.FRAME_ENCODING_PNG, data=png, width=5, height=4), "frame.width"),
        "no time left": (
            pb.Frame(encoding=pb.FRAME_ENCODING_PNG, data=png, max_age=duration_pb2.Duration()),
            "frame.max_age",
        ),
    }


@pytest.mark.parametrize("case", list(broken_frames()))
def test_broken_frame_is_named(stub, case):
    frame, field = broken_frames()[case]
    code, details = refusal(stub, frame)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details["ErrorInfo"].reason == "INVALID_FRAME"
    assert details["ErrorInfo"].domain == "isthmus"
    assert [item.field for item in details["BadRequest"].field_violations] == [field]


def test_unknown_mask_encoding_is_refused(stub, tiny):
    code, details = refusal(stub, raw_frame(tiny.street()), mask_encoding=9)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details["BadRequest"].field_violations[0].field == "mask_encoding"


def test_huge_picture_in_a_small_file_is_refused_by_its_header(stub):
    bomb = cv2.imencode(".png", np.zeros((4000, 4000), np.uint8))[1].tobytes()
    assert len(bomb) < 100_000
    code, details = refusal(stub, pb.Frame(encoding=pb.FRAME_ENCODING_PNG, data=bomb))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details["ErrorInfo"].reason == "FRAME_TOO_LARGE"
    assert [item.field for item in details["BadRequest"].field_violations] == ["frame.data"]
    assert "RetryInfo" not in details  # the same frame will never fit


def test_frame_above_the_message_limit_is_refused_by_grpc(start_server, model_file, tiny):
    limits = LimitsConfig(max_frame_pixels=48 * 64)
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1, limits=limits)).server
    with grpc.insecure_channel(server.address) as channel:
        stub = segmentation_pb2_grpc.SegmentationServiceStub(channel)
        assert segment(stub, raw_frame(tiny.street(48, 64))).verdict == pb.VERDICT_SEGMENTED
        code, _ = refusal(stub, raw_frame(tiny.street(48, 65)))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        with pytest.raises(grpc.RpcError, match="larger than max"):
            segment(stub, raw_frame(tiny.street(480, 640)))


def test_expired_frame_has_a_verdict_and_no_mask(stub, tiny):
    frame = raw_frame(tiny.street(), sequence_number=3, max_age=duration_pb2.Duration(nanos=1))
    for data in (frame.data, b"not even decoded"):
        frame.data = data
        answer = segment(stub, frame)
        assert (answer.verdict, answer.sequence_number, answer.mask) == (pb.VERDICT_EXPIRED, 3, b"")
        assert "deadline passed" in answer.reason


def test_mask_that_is_written_too_late_is_not_sent(stub, tiny, monkeypatch):
    def encode_for_ages(labels, kind):
        monkeypatch.setattr("isthmus.serving.pipeline.time", SimpleNamespace(monotonic=lambda: math.inf))
        return labels.tobytes()

    monkeypatch.setattr("isthmus.serving.codec.encode_mask", encode_for_ages)
    answer = segment(stub, raw_frame(tiny.street(), max_age=duration_pb2.Duration(seconds=60)))
    assert (answer.verdict, answer.mask, answer.class_fractions) == (pb.VERDICT_EXPIRED, b"", [])
    assert answer.timings.infer_us > 0


def test_internal_errors_tell_the_client_nothing(start_server, model_file, tiny, monkeypatch, caplog):
    server = start_server(ServerConfig(model_file=model_file, port=0, num_threads=1)).server

    def explode(labels, kind):
        raise RuntimeError("the secret path /srv/models")

    monkeypatch.setattr("isthmus.serving.codec.encode_mask", explode)
    with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError) as caught:
        segment(segmentation_pb2_grpc.SegmentationServiceStub(channel), raw_frame(tiny.street()))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in caught.value.details()
    assert "the secret path" in caplog.text
