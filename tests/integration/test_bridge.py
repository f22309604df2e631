"""From rendered streets to a served mask, through the command line, as a person would go."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from PIL import Image

from isthmus import cli
from isthmus.cli.demonstration.plan import (
    MADAN,
    MODEL,
    RANDOMIZATION,
    SOURCE_ONLY,
    TRAINING_CONFIGS,
    WORLDS,
    Places,
)
from isthmus.cli.demonstration.server import running_server
from isthmus.cli.demonstration.steps import FinishedStep
from isthmus.errors import GateRefusedError

SIZE = ("64", "128")
SHORT = (
    "loop.steps=6",
    "schedule.warmup_steps=2",
    "loop.evaluate_every=6",
    "loop.checkpoint_every=3",
    "loop.batch_size=2",
    "loop.cache_mb=16",
)
SMALL = (
    "augmentation.resize_hw=[64, 128]",
    "augmentation.crop_size_hw=[64, 128]",
    "evaluation.resolution_hw=[64, 128]",
)

TRITON_CLIENT = """
import sys
import numpy as np
import tritonclient.grpc as triton

address, image_file, labels_file = sys.argv[1:]
image = np.load(image_file)
tensor = triton.InferInput("image", list(image.shape), "UINT8")
tensor.set_data_from_numpy(image)
answer = triton.InferenceServerClient(address).infer("demo-segmenter", [tensor], client_timeout=60)
np.save(labels_file, answer.as_numpy("labels"))
"""


@contextlib.contextmanager
def environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@pytest.fixture(scope="module")
def bridge(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Worlds, a source-only run and two methods on top of it, reports, exports, and a champion in a registry."""
    home = tmp_path_factory.mktemp("bridge")
    places = Places(home)
    places.mlflow.mkdir()
    gate = lenient(repository / "configs/gate/demo.yaml", home)
    with environment(DEMO=str(home), MLFLOW_TRACKING_URI=places.store, XDG_CONFIG_HOME=str(home / "config")):
        for world, frames in zip(WORLDS, (10, 4, 4, 3, 2, 2), strict=True):
            kind = [
                "--world",
                world.name,
                "--layout",
                world.layout,
                "--split",
                world.split,
                "--num-frames",
                str(frames),
            ]
            place = ["--size-hw", *SIZE, "--seed", "5", "--out", str(places.world(world)), "--workers", "1"]
            cli.run(["worlds", "render", *kind, *place])
        cli.run(["data", "doctor", str(repository / TRAINING_CONFIGS[MADAN])])
        for method in (SOURCE_ONLY, MADAN):
            config, run, export = repository / TRAINING_CONFIGS[method], places.run(method), places.export(method)
            cli.run(["train", str(config), "--output", str(run), "--set", *SHORT, *SMALL])
            cli.run(["evaluate", str(run), "--out", str(places.report(method))])
            cli.run(["export", str(run), "--out", str(export)])
        config, run = repository / TRAINING_CONFIGS[RANDOMIZATION], places.run(RANDOMIZATION)
        cli.run(["train", str(config), "--output", str(run), "--set", *SHORT, *SMALL])
        run, export = places.run(SOURCE_ONLY), places.export(SOURCE_ONLY)
        cli.run(["register", str(export), "--name", MODEL, "--run", str(run)])
        cli.run(["promote", MODEL, "--gate", str(gate)])
        yield SimpleNamespace(home=home, places=places, gate=gate, run=run, export=export)


def lenient(gate: Path, home: Path) -> Path:
    """The demo's frames without its floors: six steps teach nothing."""
    tree = yaml.safe_load(gate.read_text())
    data = tree["targets"][0]["data"]
    target = {"data": data, "max_frames": 3, "min_miou": 0.0, "max_miou_drop": 1.0}
    path = home / "gate.yaml"
    path.write_text(yaml.safe_dump({"title": "lenient", "min_golden_agreement": 0.999, "targets": [target]}))
    return path


@pytest.fixture(scope="module")
def server(bridge: SimpleNamespace) -> Iterator[str]:
    """`isthmus serve` in a process of its own; gives its address."""
    with running_server(MODEL, bridge.home, trust=bridge.home / "config" / "isthmus" / "gate.key.pub") as address:
        yield address


@pytest.fixture(scope="module")
def frames(bridge: SimpleNamespace) -> list[Path]:
    return sorted(bridge.places.street_frames.glob("*.png"))


@pytest.fixture(scope="module")
def torch_masks(bridge: SimpleNamespace, frames: list[Path]) -> np.ndarray:
    """What the trained network itself says, by torch: [frames, H, W]."""
    import torch

    from isthmus.training.onnx_graph import ServingGraph
    from isthmus.training.trained import load_segmenter

    segmenter, _ = load_segmenter(bridge.run)
    pixels = np.stack([np.asarray(Image.open(frame)) for frame in frames])
    with torch.inference_mode():
        labels, _ = ServingGraph(segmenter, (64, 128))(torch.from_numpy(pixels))
    return labels.numpy()


def test_the_served_mask_is_torchs(
    bridge: SimpleNamespace, server: str, frames: list[Path], torch_masks: np.ndarray
) -> None:
    out = bridge.places.served
    cli.run(["segment", str(frames[0].parent), "--server", server, "--out", str(out)])
    masks = np.stack([np.asarray(Image.open(out / "masks" / f"{frame.stem}.png")) for frame in frames])
    assert (masks == torch_masks).mean() >= 0.999
    assert {path.name for path in (out / "overlays").iterdir()} == {f"{frame.stem}.png" for frame in frames}


def test_tritonclient_gets_torchs_mask(
    bridge: SimpleNamespace, server: str, frames: list[Path], torch_masks: np.ndarray
) -> None:
    # In a process of its own: its generated code and ours claim the same protobuf names.
    pixels = np.stack([np.asarray(Image.open(frame)) for frame in frames])
    np.save(bridge.home / "image.npy", pixels)
    command = [sys.executable, "-c", TRITON_CLIENT, server, bridge.home / "image.npy", bridge.home / "labels.npy"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (np.load(bridge.home / "labels.npy") == torch_masks).mean() >= 0.999


def test_the_model_card_tells_where_it_comes_from(bridge: SimpleNamespace) -> None:
    card = json.loads((bridge.export / "model_card.json").read_text())
    assert card["method"] == "source_only"
    assert card["step"] == 6
    assert {(row["role"], row["dataset"]) for row in card["datasets"]} >= {("source", "gta5"), ("source", "synthia")}
    assert [row["target"] for row in card["evaluations"]] == ["cityscapes"] or card["evaluations"]


def test_the_report_states_resolution_and_scores(bridge: SimpleNamespace) -> None:
    result, *others = json.loads((bridge.places.report(MADAN) / "evaluation.json").read_text())["results"]
    assert [other["title"] for other in others] == ["street-night", "street-rain"]
    assert result["num_frames"] == 3
    assert result["resolution_hw"] == [64, 128]
    assert len(result["iou_per_class"]) == 19
    assert (bridge.places.report(MADAN) / "0-cityscapes-val-confusion.png").is_file()


def test_a_gate_refuses_and_names_the_rule(bridge: SimpleNamespace, repository: Path) -> None:
    strict = bridge.home / "strict.yaml"
    strict.write_text(bridge.gate.read_text().replace("min_miou: 0.0", "min_miou: 0.99"))
    cli.run(["export", str(bridge.run), "--out", str(bridge.home / "export2"), "--name", "second"])
    cli.run(["register", str(bridge.home / "export2"), "--name", MODEL])
    with pytest.raises(GateRefusedError, match=r"(?i)miou"):
        cli.run(["promote", MODEL, "--gate", str(strict)])


def test_versions_are_listed(bridge: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["registry", "list", MODEL, "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert "champion" in next(row for row in rows if row["version"] == 1)["aliases"]


def test_the_demos_page_shows_what_was_made(bridge: SimpleNamespace, server: str, frames: list[Path]) -> None:
    from isthmus.cli.demonstration.page import write_page

    cli.run(["segment", *map(str, frames), "--server", server, "--out", str(bridge.places.served)])
    page = write_page(bridge.places, [FinishedStep("train", "isthmus train x.yaml", "", 1.5)], frames)
    text = page.read_text()
    pictures = re.findall(r'<img src="([^"]+)"', text)
    assert len(pictures) == len(frames) + len(WORLDS) + 6
    for picture in pictures:
        assert Image.open(page.parent / picture).size[0] > 100
    assert "isthmus train x.yaml" in text
    assert "vegetation" in text
    assert "http" not in text.replace("http://www.w3.org", "")
