"""A tiny model that keeps the contract, and real servers on free ports.

The model labels a pixel 0 where red is above 127, else 1, and 255 where red is exactly 0; it answers a confidence of
200 everywhere, at half the frame's resolution. It is made with onnx alone.
"""

import asyncio
import base64
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from isthmus.artifact import (
    METADATA_KEY,
    CardClass,
    CardLabelSpace,
    CardNormalisation,
    GoldenFrame,
    Manifest,
    ModelCard,
)
from isthmus.serving.config import ServerConfig
from isthmus.serving.server import Server

TIMEOUT_S = 30.0
"""No test waits longer for a server."""

Image = NDArray[np.uint8]


def expected_labels(image: Image) -> Image:
    """What the tiny model answers, by NumPy."""
    red = image[..., 0]
    return np.where(red == 0, 255, np.where(red > 127, 0, 1)).astype(np.uint8)


def street(height: int = 48, width: int = 64, seed: int = 0) -> Image:
    """A frame of random colours with a black block."""
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    image[:4, :4] = 0
    return image


def png(image: Image) -> bytes:
    """A picture [H, W, 3] RGB or [H, W] grey as a PNG file."""
    ordered = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    return cv2.imencode(".png", ordered)[1].tobytes()


def jpeg(image: Image) -> bytes:
    """A picture as a JPEG file."""
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def make_card(golden: Image | None = None, labels: Image | None = None) -> ModelCard:
    """A card whose golden frame the tiny model gets right, unless other labels are given."""
    image = street(seed=7) if golden is None else golden
    truth = expected_labels(image) if labels is None else labels
    classes = (CardClass(name="red", color=(255, 0, 0)), CardClass(name="other", color=(0, 128, 255)))
    return ModelCard(
        name="tiny",
        method="source_only",
        decoder="none",
        encoder="none",
        label_space=CardLabelSpace(name="two", id_hash="0123456789ab", classes=classes),
        network_size_hw=(48, 64),
        normalisation=CardNormalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        datasets=(),
        evaluations=(),
        step=1,
        git_commit="0" * 40,
        config_hash="c",
        lock_hash="l",
        weights_sha256="w",
        created_at="2026-11-24T12:00:00+00:00",
        golden=GoldenFrame(
            image_png=base64.b64encode(png(image)).decode(), labels_png=base64.b64encode(png(truth)).decode()
        ),
    )


def write_onnx(path: Path, card: ModelCard | None = None, *, rename_output: str = "labels") -> Path:
    """Write the tiny model; without a card its metadata is empty."""
    constants = {
        "first": np.array([0], np.int64),
        "one": np.array([1], np.int64),
        "channels": np.array([3], np.int64),
        "half": np.array(127, np.uint8),
        "zero": np.array(0, np.uint8),
        "other": np.array(1, np.uint8),
        "unlabelled": np.array(255, np.uint8),
        "sure": np.array([200], np.uint8),
        "two": np.array([1, 2, 2], np.int64),
    }
    nodes = [
        helper.make_node("Slice", ["image", "first", "one", "channels"], ["red4"]),
        helper.make_node("Squeeze", ["red4", "channels"], ["red"]),
        helper.make_node("Greater", ["red", "half"], ["is_red"]),
        helper.make_node("Where", ["is_red", "zero", "other"], ["class"]),
        helper.make_node("Equal", ["red", "zero"], ["is_black"]),
        helper.make_node("Where", ["is_black", "unlabelled", "class"], [rename_output]),
        helper.make_node("Shape", ["red"], ["shape"]),
        helper.make_node("Div", ["shape", "two"], ["small"]),
        helper.make_node("Expand", ["sure", "small"], ["confidence"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", "height", "width", 3])],
        [
            helper.make_tensor_value_info(rename_output, TensorProto.UINT8, ["batch", "height", "width"]),
            helper.make_tensor_value_info("confidence", TensorProto.UINT8, ["batch", "h", "w"]),
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if card is not None:
        helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.save(model, path)
    return path


def write_manifest(onnx_file: Path, card: ModelCard) -> Path:
    """`manifest.json` beside a model."""
    path = onnx_file.with_name("manifest.json")
    path.write_text(Manifest.of(onnx_file, card).model_dump_json())
    return path


class ServerThread:
    """A server on an event loop in a thread of its own, so that sync clients can be tested against it."""

    def __init__(self, config: ServerConfig) -> None:
        self.server = Server(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test-server", daemon=True)

    def call(self, coroutine: object) -> object:
        """Run a coroutine on the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(TIMEOUT_S)  # type: ignore[arg-type]

    def start(self) -> None:
        self._thread.start()
        self.call(self.server.start())

    def close(self) -> None:
        self.call(self.server.stop())
        self.stop_loop()

    def stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_S)
        self._loop.close()


@pytest.fixture(scope="session")
def tiny() -> SimpleNamespace:
    """The functions above: test modules cannot import a conftest."""
    return SimpleNamespace(
        expected_labels=expected_labels,
        street=street,
        png=png,
        jpeg=jpeg,
        make_card=make_card,
        write_onnx=write_onnx,
        write_manifest=write_manifest,
    )


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, with its card."""
    return write_onnx(tmp_path_factory.mktemp("model") / "model.onnx", make_card())


@pytest.fixture
def start_server() -> Iterator[Callable[[ServerConfig], ServerThread]]:
    """Starts servers; stops them after the test."""
    with contextlib.ExitStack() as stack:

        def start(config: ServerConfig) -> ServerThread:
            thread = ServerThread(config)
            try:
                thread.start()
            except BaseException:
                thread.stop_loop()
                raise
            stack.callback(thread.close)
            return thread

        yield start


@pytest.fixture(scope="session")
def address(model_file: Path) -> Iterator[str]:
    """Address of a running server with the tiny model, for tests that change nothing in it."""
    thread = ServerThread(ServerConfig(model_file=model_file, port=0, num_threads=1))
    thread.start()
    yield thread.server.address
    thread.close()


class Registry:
    """An MLflow registry on sqlite, filled the way `isthmus register` fills it."""

    def __init__(self, home: Path) -> None:
        import mlflow

        self.uri = f"sqlite:///{home / 'mlflow.db'}"
        self._client = mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        self._experiment = self._client.create_experiment("isthmus", artifact_location=(home / "artifacts").as_uri())

    def register(self, folder: Path, name: str, *, promote: bool = True) -> str:
        """Make the files of `folder` the next version of `name`, and its champion."""
        import mlflow

        mlflow.set_tracking_uri(self.uri)  # resolves the version's source
        logged = self._client.create_logged_model(self._experiment, name=name)
        self._client.log_model_artifacts(logged.model_id, str(folder))
        self._client.finalize_logged_model(logged.model_id, "READY")
        with contextlib.suppress(mlflow.MlflowException):  # it is there already
            self._client.create_registered_model(name)
        source = f"models:/{logged.model_id}"
        version = str(self._client.create_model_version(name, source, model_id=logged.model_id).version)
        if promote:
            self.promote(name, version)
        return version

    def promote(self, name: str, version: str, alias: str = "champion") -> None:
        self._client.set_registered_model_alias(name, alias, version)


def forget_registry() -> None:
    """Take back the process-wide addresses that MLflow keeps, in itself and in the environment."""
    mlflow = sys.modules.get("mlflow")
    if mlflow is not None:
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri("")
        os.environ.pop("MLFLOW_REGISTRY_URI", None)


@pytest.fixture(autouse=True)
def _registry_left_behind() -> Iterator[None]:
    yield
    forget_registry()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """One database for all tests; each uses a model name of its own."""
    return Registry(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="session")
def wait_until():
    """Waits for a condition, for a bounded time, and gives what it was."""

    def wait(condition):
        for _ in range(int(TIMEOUT_S / 0.005)):
            if found := condition():
                return found
            threading.Event().wait(0.005)
        pytest.fail("never came true")

    return wait
