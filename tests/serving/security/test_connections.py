"""Who gets in: real servers with certificates, a policy, and callers of every kind."""

import contextlib
import pickle
from datetime import timedelta

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from isthmus.errors import ConfigurationError, QuotaExceededError
from isthmus.protos.inference import open_inference_pb2 as oip
from isthmus.protos.inference import open_inference_pb2_grpc
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving.config import ServerConfig
from isthmus.serving.errors import error_of
from isthmus.serving.security.config import SecurityConfig
from isthmus.serving.transport import client_credentials

TIMEOUT_S = 30.0
VEHICLE = "spiffe://fleet.example/vehicle/17"


@pytest.fixture
def start(start_server, model_file, server_ca, vehicle_ca, tmp_path):
    """Starts a server with certificates, and the policy that is given."""

    def start(policy=None, *, tls=True, client_ca=True, **more):
        cert, key = server_ca.issue("server") if tls else (None, None)
        path = None
        if policy is not None:
            path = tmp_path / "policy.yaml"
            path.write_text(policy)
        security = SecurityConfig(
            tls_cert=cert, tls_key=key, client_ca=vehicle_ca.file if tls and client_ca else None, policy=path
        )
        config = ServerConfig(model_file=model_file, port=0, num_threads=1, security=security, **more)
        return start_server(config).server

    return start


@contextlib.contextmanager
def connected(server, ca=None, cert=None, key=None):
    credentials = client_credentials(ca, cert, key)
    opened = (
        grpc.insecure_channel(server.address)
        if credentials is None
        else grpc.secure_channel(server.address, credentials)
    )
    with opened as channel:
        yield channel


def segment(channel, image, service_class=pb.SERVICE_CLASS_LIVE):
    height, width, _ = image.shape
    frame = pb.Frame(width=width, height=height, encoding=pb.FRAME_ENCODING_RGB8, data=image.tobytes())
    frame.service_class = service_class
    stub = segmentation_pb2_grpc.SegmentationServiceStub(channel)
    return stub.Segment(pb.SegmentRequest(frame=frame), timeout=TIMEOUT_S).result.verdict


def model_info(channel):
    stub = segmentation_pb2_grpc.SegmentationServiceStub(channel)
    return stub.GetModelInfo(pb.GetModelInfoRequest(), timeout=TIMEOUT_S).model.name


def healthy(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    return stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S).status


def refused(call, *arguments):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    return caught.value


def test_a_vehicle_with_a_certificate_is_served(start, server_ca, vehicle, tiny):
    server = start()
    with connected(server, server_ca.file, *vehicle) as channel:
        assert segment(channel, tiny.street()) == pb.VERDICT_SEGMENTED
        assert model_info(channel) == "tiny"


def test_whoever_is_not_signed_stays_outside(start, server_ca, vehicle_ca, make_authority, vehicle):
    server = start()
    stranger = make_authority("strangers").issue("stranger", uris=[VEHICLE])
    expired = vehicle_ca.issue("expired", uris=[VEHICLE], begins=timedelta(days=-9), days=1)
    for given in (
        (server_ca.file, *stranger),
        (server_ca.file, *expired),
        (server_ca.file, *server_ca.issue("a-server")),  # the servers' authority is not the vehicles'
        (server_ca.file,),  # no certificate
        (),  # plaintext
        (vehicle_ca.file, *vehicle),  # a client that does not know the server
    ):
        with connected(server, *given) as channel:
            assert refused(healthy, channel).code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    "uris", [[], [VEHICLE, "urn:two"], ["ipv4:127.0.0.1:80"], ["IPV4:x"], ["a:" + "b" * 2048], ["a:b c"], ["a:b\nc"]]
)
def test_a_certificate_that_names_nobody(start, server_ca, vehicle_ca, uris):
    server = start()
    with connected(server, server_ca.file, *vehicle_ca.issue("nobody", uris=uris)) as channel:
        assert healthy(channel) == health_pb2.HealthCheckResponse.SERVING  # for probes any signed one will do
        error = refused(model_info, channel)
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert "one URI that names the caller" in error.details()


POLICY = """
rules:
  - identities: ["spiffe://fleet.example/vehicle/*"]
    grant: { allow: [frames], max_frames_per_s: 0.001, burst_frames: 2, service_classes: [live] }
  - identities: ["https://fleet.example/operators/anna"]
    grant: { allow: [model_info] }
"""


def test_identity_decides(start, server_ca, vehicle_ca, vehicle, tiny):
    server = start(POLICY)
    with connected(server, server_ca.file, *vehicle) as channel:
        error = refused(model_info, channel)
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        assert error.details() == f"{VEHICLE}: the policy does not allow calls of the group model_info"
        assert refused(segment, channel, tiny.street(), pb.SERVICE_CLASS_BULK).code() is error.code()
        assert {segment(channel, tiny.street()) for _ in range(2)} == {pb.VERDICT_SEGMENTED}
        error = refused(segment, channel, tiny.street())
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        details = rpc_status.from_call(error).details
        assert any(detail.Is(error_details_pb2.QuotaFailure.DESCRIPTOR) for detail in details)
        told = pickle.loads(pickle.dumps(error_of(error, server.address)))
        assert isinstance(told, QuotaExceededError)
        assert 0 < told.retry_after_s <= 1000  # a token comes every 1000 s
    anna = vehicle_ca.issue("anna", uris=["https://fleet.example/operators/anna"])
    with connected(server, server_ca.file, *anna) as channel:
        assert model_info(channel) == "tiny"
        assert refused(segment, channel, tiny.street()).code() is grpc.StatusCode.PERMISSION_DENIED
    other = vehicle_ca.issue("other", uris=["spiffe://fleet.example/vehicle/18"])
    with connected(server, server_ca.file, *other) as channel:
        assert segment(channel, tiny.street()) == pb.VERDICT_SEGMENTED  # its own share


def test_both_protocols_count_as_one(start, server_ca, vehicle, tiny):
    server = start(POLICY)
    image = tiny.street()
    tensor = oip.ModelInferRequest.InferInputTensor(name="image", datatype="UINT8", shape=[1, *image.shape])
    request = oip.ModelInferRequest(model_name="tiny", inputs=[tensor], raw_input_contents=[image.tobytes()])
    with connected(server, server_ca.file, *vehicle) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        stub.ModelInfer(request, timeout=TIMEOUT_S)
        segment(channel, image)
        assert refused(stub.ModelInfer, request).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert stub.ServerReady(oip.ServerReadyRequest(), timeout=TIMEOUT_S).ready  # as health, open to all
        error = refused(stub.ServerMetadata, oip.ServerMetadataRequest())
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_changed_policy_counts_for_connections_that_are_open(wait_until, start, server_ca, vehicle, tiny, tmp_path):
    server = start("others: {allow: [frames, model_info]}")
    with connected(server, server_ca.file, *vehicle) as channel:
        assert segment(channel, tiny.street()) == pb.VERDICT_SEGMENTED
        (tmp_path / "policy.yaml").write_text("others: {allow: [model_info]}")
        wait_until(lambda: not server._guard.rules().grant_of(VEHICLE).allow.count("frames"))  # the watcher's thread
        assert refused(segment, channel, tiny.street()).code() is grpc.StatusCode.PERMISSION_DENIED
        assert model_info(channel) == "tiny"


def test_rotation_under_a_living_server(start, server_ca, vehicle_ca, make_authority, vehicle):
    server = start()
    before = server._guard.certificate.current.sha256
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(connected(server, server_ca.file, *vehicle))
        watch = health_pb2_grpc.HealthStub(old).Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        # Another certificate, of another authority; and other vehicles' authorities.
        new_server_ca, new_vehicle_ca = make_authority("server-ca-2"), make_authority("vehicle-ca-2")
        new_server_ca.issue("server")
        vehicle_ca.file.write_bytes(new_vehicle_ca.pem)
        new_vehicle = new_vehicle_ca.issue("vehicle-18", uris=["spiffe://fleet.example/vehicle/18"])
        # Channels of one process share connections that look alike, so each of these names other files.
        new = stack.enter_context(connected(server, new_server_ca.file, *new_vehicle))
        assert model_info(new) == "tiny"
        assert server._guard.certificate.current.sha256 != before
        # What was open goes on; whom only the old authority knows gets in no more.
        assert model_info(old) == "tiny"
        again = stack.enter_context(connected(server, new_server_ca.file, *vehicle))
        assert refused(model_info, again).code() is grpc.StatusCode.UNAVAILABLE
        assert watch.is_active()
        watch.cancel()


def test_a_bad_rotation_keeps_the_old_certificate(start, server_ca, vehicle_ca, vehicle):
    server = start()
    server._guard.certificate._cert.write_text("nothing")
    with connected(server, server_ca.file, *vehicle) as channel:
        assert model_info(channel) == "tiny"
    assert "holds no certificates" in server._guard.certificate.problem


def test_encrypted_but_anonymous_only_if_the_policy_says_so(start, server_ca, vehicle, tiny):
    with pytest.raises(ConfigurationError, match="which no policy allows"):
        start(client_ca=False)
    with pytest.raises(ConfigurationError, match="allows `anonymous` nothing"):
        start("others: {allow: [frames]}", client_ca=False)
    server = start("anonymous: {allow: [frames]}", client_ca=False)
    with connected(server, server_ca.file) as channel:
        assert segment(channel, tiny.street()) == pb.VERDICT_SEGMENTED
        assert refused(model_info, channel).code() is grpc.StatusCode.UNAUTHENTICATED
    # A certificate that nobody asked for names nobody.
    with connected(server, server_ca.file, *vehicle) as channel:
        assert refused(model_info, channel).code() is grpc.StatusCode.UNAUTHENTICATED


def test_plaintext(start, model_file, tiny):
    with pytest.raises(ConfigurationError, match="allows `anonymous` nothing"):
        start("others: {allow: [frames]}", tls=False)
    server = start("anonymous: {allow: [frames], max_frames_per_s: 0.001}", tls=False)
    with connected(server) as channel:
        assert segment(channel, tiny.street()) == pb.VERDICT_SEGMENTED
    with connected(server) as channel:  # another connection, the same host
        assert refused(segment, channel, tiny.street()).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(ConfigurationError, match="not encrypted"):
        ServerConfig(model_file=model_file, host="0.0.0.0")


def test_an_open_address_needs_no_insecure_with_certificates(model_file, server_ca, vehicle_ca):
    cert, key = server_ca.issue("server")
    security = SecurityConfig(tls_cert=cert, tls_key=key, client_ca=vehicle_ca.file)
    assert ServerConfig(model_file=model_file, host="0.0.0.0", security=security).security is security
    with pytest.raises(ConfigurationError, match="Leave out one of them"):
        ServerConfig(model_file=model_file, host="0.0.0.0", insecure=True, security=security)


def test_a_bad_certificate_stops_the_start(start, server_ca, start_server, model_file, vehicle_ca):
    cert, key = server_ca.issue("server", begins=timedelta(days=-9), days=1)
    security = SecurityConfig(tls_cert=cert, tls_key=key, client_ca=vehicle_ca.file)
    with pytest.raises(ConfigurationError, match="expired at"):
        start_server(ServerConfig(model_file=model_file, port=0, security=security))
