"""The committed generated code is what the .proto files say, and they say what the public protocol says."""

import json
import subprocess
import sys

from isthmus.protos.inference import open_inference_pb2


def test_generated_code_is_fresh(repository, tmp_path):
    command = [sys.executable, str(repository / "tools" / "generate_protos.py"), "--out", str(tmp_path)]
    subprocess.run(command, check=True, timeout=120)
    fresh = {path.relative_to(tmp_path / "isthmus" / "protos"): path for path in tmp_path.rglob("*_pb2*")}
    committed = {path.relative_to(repository / "protos"): path for path in (repository / "protos").rglob("*_pb2*.py*")}
    committed = {name: path for name, path in committed.items() if "__pycache__" not in name.parts}
    assert len(fresh) == 9
    assert fresh.keys() == committed.keys()
    stale = [str(name) for name, path in fresh.items() if path.read_bytes() != committed[name].read_bytes()]
    assert stale == [], "run `make protos`"


DESCRIBE = """
def name_of(descriptor, kind="name"):
    return getattr(descriptor, kind) if descriptor else ""

def describe(messages, prefix=""):
    found = {}
    for message in messages:
        name = prefix + message.name
        found[name] = sorted(
            [f.number, f.name, f.type, f.is_repeated, name_of(f.message_type, "full_name"), name_of(f.containing_oneof)]
            for f in message.fields
        )
        found |= describe(message.nested_types, name + ".")
    return found
"""


def test_wire_format_is_that_of_a_published_client():
    # In a process of its own: its generated code and ours claim the same protobuf names.
    code = f"{DESCRIBE}\nimport json\nfrom tritonclient.grpc import model_config_pb2, service_pb2 as pb\n" + (
        "print(json.dumps([describe(pb.DESCRIPTOR.message_types_by_name.values()),"
        "describe(model_config_pb2.DESCRIPTOR.message_types_by_name.values()),"
        "dict(model_config_pb2.DataType.items()),"
        "[m.name for m in pb.DESCRIPTOR.services_by_name['GRPCInferenceService'].methods]]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    published, config, datatypes, methods = json.loads(run.stdout)
    scope = {}
    exec(DESCRIBE, scope)
    ours = json.loads(json.dumps(scope["describe"](open_inference_pb2.DESCRIPTOR.message_types_by_name.values())))
    assert len(ours) == 44
    whole = {name: fields for name, fields in ours.items() if name in published}
    assert {name: published[name] for name in whole} == whole
    for name in sorted(ours.keys() - whole.keys()):  # of a model's configuration we have what means something here
        assert all(field in config[name] for field in ours[name]), name
    assert dict(open_inference_pb2.DataType.items()) == datatypes
    service = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert {method.name for method in service.methods} <= set(methods)
