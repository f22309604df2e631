"""Versions of the tiny model that differ in one thing, verdicts on them, servers that follow them, and fakes."""

import asyncio
import json
import math
import threading
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from isthmus.configuration import to_tree
from isthmus.gate_report import Forced, GateReport, Outcome, RuleResult
from isthmus.serving.config import ServerConfig
from isthmus.serving.engine import Prediction
from isthmus.serving.events import BatchDone, FrameDone
from isthmus.serving.model import LoadedModel
from isthmus.signing import make_key, signing_key
from isthmus.verdict import TAG, VerdictTag, folder_of, gate_fact

TIMEOUT_S = 60.0
"""No test waits longer for anything."""


def write_version(folder, tiny, *, step=1, threshold=127, space="0123456789ab", golden_right=True, slow=False):
    """The tiny model with another threshold for red, another card, or a detour that takes time; and its manifest."""
    image = tiny.street(seed=7)
    red = image[..., 0]
    labels = np.where(red == 0, 255, np.where(red > threshold, 0, 1)).astype(np.uint8)
    card = tiny.make_card(image, labels if golden_right else 1 - np.minimum(labels, 1))
    space = card.label_space.model_copy(update={"id_hash": space})
    card = card.model_copy(update={"step": step, "label_space": space})
    folder.mkdir()
    path = tiny.write_onnx(folder / "model.onnx", card)
    model = onnx.load(path)
    for item in model.graph.initializer:
        if item.name == "half":
            item.CopyFrom(numpy_helper.from_array(np.array(threshold, np.uint8), "half"))
    if slow:
        _add_detour(model.graph)
    onnx.save(model, path)
    tiny.write_manifest(path, card)
    return folder


def _add_detour(graph):
    """Products of large matrices before the labels, which depend on the image and change nothing."""
    (last,) = (node for node in graph.node if "labels" in node.output)
    last.output[0] = "labels_early"
    values = {
        "matrix": np.random.default_rng(0).standard_normal((512, 512)).astype(np.float32),
        "never": np.array(-12345, np.float32),
        "no_label": np.array(7, np.uint8),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items())
    nodes = [
        helper.make_node("Cast", ["red"], ["red_float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["red_float"], ["brightest"], keepdims=0),
        helper.make_node("Add", ["matrix", "brightest"], ["product0"]),
    ]
    nodes += [helper.make_node("MatMul", [f"product{i}", "matrix"], [f"product{i + 1}"]) for i in range(8)]
    nodes += [
        helper.make_node("ReduceMax", ["product8"], ["largest"], keepdims=0),
        helper.make_node("Equal", ["largest", "never"], ["is_never"]),
        helper.make_node("Where", ["is_never", "no_label", "labels_early"], ["labels"]),
    ]
    graph.node.extend(nodes)


def make_report(**changes):
    """A report that lets version 1 of `street` be champion, or with changes another one."""
    rule = RuleResult(rule="mIoU floor", outcome=Outcome.PASSED, measured="80 %", required="60 %")
    report = GateReport(
        name="street",
        challenger=1,
        alias="champion",
        champion=None,
        challenger_sha256="a" * 64,
        champion_sha256=None,
        label_space="0123456789ab",
        gate="tests",
        gate_sha256="b" * 64,
        created_at="2026-01-02T03:04:05+00:00",
        isthmus_version="0",
        targets=(),
        results=(rule,),
    )
    return replace(report, **changes)


def make_tag(report, key, **changes):
    """The tag that names a report."""
    import hashlib

    digest = hashlib.sha256(report.to_bytes()).hexdigest()
    outcome = "passed" if report.passed else "refused" if report.forced is None else "forced"
    tag = VerdictTag(
        folder=folder_of(digest),
        report_sha256=digest,
        outcome=outcome,
        champion=None,
        gate="tests",
        created_at=report.created_at,
        key=key.public.fingerprint,
        forced=report.forced,
    )
    return json.dumps(to_tree(replace(tag, **changes)))


class Versions:
    """Makes versions of one registered model, and moves its aliases, as a person and the gate do."""

    def __init__(self, registry, name, tiny, home):
        self.registry, self.name, self.uri = registry, name, registry.uri
        self._tiny, self._home = tiny, home

    @property
    def client(self):
        return self.registry._client

    def add(self, *, alias=None, damage=None, **changes):
        folder = self._home / f"version-{len(list(self._home.glob('version-*')))}"
        write_version(folder, self._tiny, **{"step": len(folder.name) + int(folder.name[-1]), **changes})
        if damage is not None:
            damage(folder)
        version = self.registry.register(folder, self.name, promote=False)
        if alias is not None:
            self.point(alias, version)
        return version

    def point(self, alias, version):
        self.client.set_registered_model_alias(self.name, alias, version)

    def tags(self, version):
        return self.client.get_model_version(self.name, version).tags

    def state(self, version):
        return self.tags(version).get("isthmus.serving_state", "")

    def judge(self, version, key, *, alias="champion", sign=None, **changes):
        """Store a verdict that accepts the version, or with changes another one."""
        import mlflow

        mlflow.set_tracking_uri(self.uri)
        model_id = self.client.get_model_version(self.name, version).source.removeprefix("models:/")
        sha256 = self.sha256(version)
        facts = {"name": self.name, "challenger": int(version), "alias": alias, "challenger_sha256": sha256}
        report = make_report(**{**facts, **changes})
        tag = make_tag(report, key)
        own = self._home / f"verdict-{version}-{len(list(self._home.iterdir()))}" / json.loads(tag)["folder"]
        own.mkdir(parents=True)
        (own / "gate_report.json").write_bytes(report.to_bytes())
        (own / "gate_report.sig").write_text((sign or key).sign(report.to_bytes()) + "\n")
        self.client.log_model_artifacts(model_id, str(own.parent.parent))
        self.client.set_model_version_tag(self.name, version, TAG + gate_fact("champion"), tag)

    def sha256(self, version):
        folder = sorted(self._home.glob("version-*"))[int(version) - 1]
        return json.loads((folder / "manifest.json").read_text())["sha256"]


@pytest.fixture
def versions(registry, tiny, tmp_path, request):
    """Of a registered model of the test's own."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    return Versions(registry, name, tiny, tmp_path)


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """A trusted signing key, another one, and the file with the trusted one's public half."""
    home = tmp_path_factory.mktemp("keys")
    for name in ("ours", "theirs"):
        make_key(home / name)
    return SimpleNamespace(
        ours=signing_key(home / "ours"), theirs=signing_key(home / "theirs"), public=home / "ours.pub"
    )


@pytest.fixture
def config(versions, tmp_path):
    """The configuration of a server of `versions` that looks often."""

    def make(**fields):
        return ServerConfig(
            **{
                "model_name": versions.name,
                "tracking_uri": versions.uri,
                "cache_dir": tmp_path / "cache",
                "port": 0,
                "num_threads": 1,
                "poll_interval_s": 0.05,
                **fields,
            }
        )

    return make


class Heard:
    """All events of a server, to wait for."""

    def __init__(self):
        self._changed = threading.Condition()
        self._events = []

    def heard(self, event):
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def all(self, kind, **fields):
        with self._changed:
            return [
                event
                for event in self._events
                if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items())
            ]

    def wait_for(self, kind, count=1, **fields):
        """The first `count` events of a kind whose fields have these values."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.all(kind, **fields)) >= count, TIMEOUT_S), self._events[-3:]
            return self.all(kind, **fields)

    @classmethod
    def of(cls, server):
        heard = cls()
        server._events.subscribe(heard)
        return heard


@pytest.fixture
def follow(start_server):
    """Starts a server and listens to its events from the first on."""

    def start(config):
        thread = start_server(config)
        return thread, Heard.of(thread.server)

    return start


# Fakes, for what needs no server.


class FakeEngine:
    """Labels everything with one class; a batch takes `seconds` of a fake clock, or fails."""

    def __init__(self, label=0, *, seconds=0.0, clock=None, fails=None):
        self.label, self.seconds, self.clock, self.fails = label, seconds, clock, fails
        self.closed = False
        self.shapes = []

    async def infer(self, images, *, deadline=math.inf):
        assert not self.closed, "used after it was freed"
        self.shapes.append(images.shape)
        if self.fails is not None:
            raise self.fails
        if self.clock is not None:
            self.clock.now += self.seconds
        labels = np.full(images.shape[:3], self.label, np.uint8)
        return Prediction(labels, np.full((len(images), 1, 1), 200, np.uint8))

    def close(self):
        self.closed = True


class FakeSlots:
    """The pipeline's part in a swap, without a pipeline."""

    def __init__(self):
        self.current = None
        self.others = {}
        self.at_rest = asyncio.Event()
        self.at_rest.set()

    def serve(self, model):
        before, self.current = self.current, model
        self.others.pop(model.version, None)
        return before

    def also(self, model):
        self.others[model.version] = model

    def forget(self, model):
        self.others.pop(model.version, None)

    async def drained(self, model):
        await self.at_rest.wait()


@dataclass
class FakeClock:
    now: float = 0.0

    def __call__(self):
        return self.now


@dataclass
class Listener:
    events: list = field(default_factory=list)

    def heard(self, event):
        self.events.append(event)


@pytest.fixture
def fakes(tiny):
    """Everything that stands for something else."""
    card = tiny.make_card()

    def model(version, engine=None, **changes):
        facts = {
            "name": "street",
            "version": version,
            "sha256": version * 64,
            "card": card,
            "engine": engine or FakeEngine(),
            "provider": "CPUExecutionProvider",
            "provider_fallback": False,
            "from_cache": False,
        }
        return LoadedModel(**{**facts, **changes})

    def frame(version, **changes):
        facts = {
            "rpc": "Segment",
            "vehicle": "v",
            "verdict": "segmented",
            "reason_code": "",
            "service_class": "live",
            "model_version": version,
            "decode_s": 0.001,
            "queue_s": 0.001,
            "infer_s": 0.010,
            "encode_s": 0.001,
            "total_s": 0.02,
            "slack_s": 1.0,
            "confidence_mean": 0.8,
        }
        return FrameDone(**{**facts, **changes})

    def batch(version, label=0, size=1, *, hw=(8, 8), infer_s=0.010, **changes):
        facts = {
            "model_version": version,
            "sha256": version * 64,
            "provider": "CPUExecutionProvider",
            "num_frames": size,
            "padded_to": size,
            "infer_s": infer_s,
            "images": np.zeros((size, *hw, 3), np.uint8),
            "prediction": Prediction(np.full((size, *hw), label, np.uint8), np.zeros((size, 1, 1), np.uint8)),
        }
        return BatchDone(**{**facts, **changes})

    return SimpleNamespace(
        Engine=FakeEngine,
        Slots=FakeSlots,
        Clock=FakeClock,
        Listener=Listener,
        model=model,
        frame=frame,
        batch=batch,
        report=make_report,
        tag=make_tag,
        forced=Forced(by="Ada", reason="Closed track without people"),
    )
