"""One tiny export and one MLflow store for all release tests: both cost seconds.

The segmenter is a nearest-colour classifier made by hand. `datasets.fakes` paints each class in its palette colour, so
its mIoU is high, and taking one class away from it lowers the mIoU by a known class.
"""

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from isthmus.artifact import CardDataset, CardEvaluation, Manifest, ModelCard
from isthmus.datasets.catalogue import DatasetConfig
from isthmus.datasets.fakes import write_fakes
from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.training import export as exporting
from isthmus.training.export import Export, ExportFacts, ExportResult, export_onnx
from isthmus.training.gate.config import GateConfig, TargetConfig
from isthmus.training.golden import decode_golden, encode_golden
from isthmus.training.mlflow_store import tracking_store
from isthmus.training.onnx_graph import attach_card
from isthmus.training.onnx_model import OnnxModel
from isthmus.training.pretrained import Normalisation
from isthmus.training.segmenters import Segmenter

SIZE_HW = (64, 96)


class NearestColour(nn.Module):
    """Scores −|x − colour|² up to |x|², which all classes share: linear in x. Half resolution, like a real head."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.AvgPool2d(2)
        self.classifier = nn.Conv2d(3, 19, 1)
        colors = torch.tensor(CITYSCAPES19.colors) / 255
        sharpness = 50  # so that the softmax is confident
        with torch.no_grad():
            self.classifier.weight.copy_(sharpness * 2 * colors[:, :, None, None])
            self.classifier.bias.copy_(sharpness * -colors.square().sum(1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(image)
        return features, self.classifier(features)


@pytest.fixture(scope="session")
def segmenter() -> Segmenter:
    return Segmenter(NearestColour(), Normalisation(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)))


@pytest.fixture(scope="session")
def facts() -> ExportFacts:
    scores = dict.fromkeys(CITYSCAPES19.names, 0.5) | {"train": None}
    return ExportFacts(
        name="nearest-colour",
        method="source_only",
        decoder="fpn",
        encoder="none",
        step=7,
        datasets=(CardDataset(role="source", dataset="gta5", split="train", num_frames=2, digest="0" * 64),),
        evaluations=(
            CardEvaluation(
                target="cityscapes",
                split="val",
                num_frames=3,
                resolution_hw=SIZE_HW,
                miou=0.5,
                miou_shared=0.5,
                pixel_accuracy=0.75,
                iou_per_class=scores,
            ),
        ),
        git_commit="abc123",
        config_hash="1" * 64,
        lock_hash="2" * 64,
    )


@pytest.fixture(scope="session")
def real_frame(data_root: Path) -> np.ndarray:
    from isthmus.datasets.images import read_image_rgb

    return read_image_rgb(next((data_root / "leftImg8bit" / "val").rglob("*.png")))


@pytest.fixture(scope="session")
def exported(
    segmenter: Segmenter, facts: ExportFacts, real_frame: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> ExportResult:
    out = tmp_path_factory.mktemp("export") / "street"
    return export_onnx(segmenter, facts, out, network_size_hw=SIZE_HW, frames=[real_frame])


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cityscapes")
    write_fakes("cityscapes", root, "val", num_frames=3, size_hw=SIZE_HW, seed=1)
    return root


@pytest.fixture(scope="session")
def store_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tracking_store(tmp_path_factory.mktemp("mlflow"))


@pytest.fixture(scope="session", autouse=True)
def user_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A configuration folder of the tests' own: signing keys are made there, not in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("config")
        patch.setenv("XDG_CONFIG_HOME", str(home))
        patch.delenv("ISTHMUS_GATE_KEY", raising=False)
        yield home


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A registered model of the test's own in the shared store."""
    return request.node.name.replace("[", "-").replace("]", "")


@pytest.fixture
def gate(data_root: Path) -> GateConfig:
    """A floor, no drop against the champion, none on people."""
    target = TargetConfig(
        data=DatasetConfig(dataset="cityscapes", root=data_root, split="val"),
        max_frames=2,
        min_frames=2,
        min_miou=0.2,
        max_miou_drop=0.0,
        max_class_iou_drop={"person": 0.0},
        resamples=100,
    )
    return GateConfig(title="tests", min_golden_agreement=0.999, targets=(target,))


@pytest.fixture(scope="session")
def servers() -> ModuleType:
    """The module servers.py."""
    return _beside("servers.py", "servers")


@pytest.fixture(scope="session")
def server_uri(servers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real `mlflow server` on sqlite."""
    home = tmp_path_factory.mktemp("server")
    with servers.running_mlflow(home, f"sqlite:///{home}/mlflow.db") as uri:
        yield uri


@pytest.fixture(scope="session")
def postgres_uri(servers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real `mlflow server` on PostgreSQL, where there is one."""
    missing = [program for program in ("initdb", "postgres") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"PostgreSQL is not installed here: no {' and no '.join(missing)} on the path")
    if importlib.util.find_spec("psycopg2") is None:
        pytest.skip("PostgreSQL's driver is not installed here: no Python package psycopg2")
    with (
        servers.running_postgres(tmp_path_factory.mktemp("postgres")) as database,
        servers.running_mlflow(tmp_path_factory.mktemp("server-postgres"), database) as uri,
    ):
        yield uri


@pytest.fixture(scope="session")
def gate_examples() -> ModuleType:
    """The module gate/examples.py, whose judgements need no model."""
    return _beside("gate/examples.py", "gate_examples")


Variant = Callable[..., Export]


@pytest.fixture
def variant(exported: ExportResult, tmp_path: Path) -> Variant:
    """Make another export of the first one: blind to some classes, with another card, or lying about its labels."""

    def make(*, blind_to: tuple[str, ...] = (), honest: bool = True, **changes: object) -> Export:
        model = onnx.load(exported.export.onnx_file)
        blind(model, blind_to)
        card = exported.export.card.model_copy(update=changes)
        out = tmp_path / f"variant-{len(list(tmp_path.iterdir()))}"
        out.mkdir()
        _write(out, model, card)
        if honest:
            image, _ = decode_golden(card.golden)
            labels, _ = OnnxModel(out / exporting.ONNX_FILE).predict(image[None])
            card = card.model_copy(update={"golden": encode_golden(image, labels[0])})
            _write(out, model, card)
        weights = exported.export.directory / exporting.WEIGHTS_FILE
        (out / exporting.WEIGHTS_FILE).write_bytes(weights.read_bytes())
        return exporting.load_export(out)

    return make


def blind(model: onnx.ModelProto, names: tuple[str, ...]) -> None:
    """Lower the bias of some classes so far that they are never predicted."""
    (bias,) = (item for item in model.graph.initializer if item.name.endswith("classifier.bias"))
    values = numpy_helper.to_array(bias).copy()
    for name in names:
        values[CITYSCAPES19.names.index(name)] -= 1e4
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))


def _write(out: Path, model: onnx.ModelProto, card: ModelCard) -> None:
    attach_card(model, card)
    onnx.save_model(model, out / exporting.ONNX_FILE)
    manifest = Manifest.of(out / exporting.ONNX_FILE, card)
    (out / exporting.CARD_FILE).write_text(card.to_json())
    (out / exporting.MANIFEST_FILE).write_text(manifest.model_dump_json())


def _beside(file: str, name: str) -> ModuleType:
    """A module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
