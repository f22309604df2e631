"""The demo's page: one HTML file and its pictures, readable without a network."""

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isthmus.cli.demo.plan import MODEL, WORLDS, World
from isthmus.cli.demo.steps import FinishedStep
from isthmus.datasets.catalogue import DatasetConfig, build_dataset
from isthmus.datasets.cityscapes import Cityscapes
from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.training.checkpoint import read_info, resolve

_OVERLAY_SHARE = 0.5
Pixels = NDArray[np.uint8]


def write_page(output: Path, steps: Sequence[FinishedStep], served: Sequence[Path]) -> Path:
    """Write `OUTPUT/index.html` and `OUTPUT/page/*.jpg`.

    Args:
        output: The demo's folder, all steps done.
        steps: What was run.
        served: Frames of the street that were sent to the server.
    """
    import jinja2

    pictures = output / "page"
    pictures.mkdir(exist_ok=True)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    text = environment.get_template("page.html.j2").render(
        **_scores(output),
        **_model(),
        worlds=[_world(output, world) for world in WORLDS],
        served=[_served(output, frame) for frame in served],
        steps=steps,
        minutes=f"{sum(step.seconds for step in steps) / 60:.1f}",
        machine=f"{len(os.sched_getaffinity(0))} cores of {platform.machine()}",
        curves=_relative(output, output / "runs" / "source_only" / "curves.png"),
        next_commands=_next_commands(output),
    )
    page = output / "index.html"
    page.write_text(text, encoding="utf-8")
    return page


def _scores(output: Path) -> dict[str, Any]:
    (result,) = json.loads((output / "report" / "evaluation.json").read_text())["results"]
    info = read_info(resolve(output / "runs" / "source_only"))
    shared = {CITYSCAPES19.names[i] for i in info.source_train_ids}
    classes = [
        {"name": name, "color": color, "iou": result["iou_per_class"][name], "shared": name in shared}
        for name, color in zip(CITYSCAPES19.names, CITYSCAPES19.colors, strict=True)
    ]
    confusion = output / "report" / f"0-{result['dataset']}-{result['split']}-confusion.png"
    return {
        "evaluation": result,
        "target": "the street world",
        "classes": classes,
        "confusion": _relative(output, confusion),
    }


def _model() -> dict[str, Any]:
    from isthmus.training.registry import list_versions

    champion = next(version for version in list_versions(MODEL) if "champion" in version.aliases)
    return {"model": MODEL, "version": champion.version, "digest": champion.sha256}


def _world(output: Path, world: World) -> dict[str, Any]:
    """Two frames of a world beside their labels."""
    dataset = build_dataset(DatasetConfig(dataset=world.layout, root=output / "data" / world.name, split=world.split))
    rows = []
    for index in (0, len(dataset) // 2):
        sample = dataset[index]
        rows.append(np.concatenate([sample["image"], CITYSCAPES19.colorize(sample["mask"])], axis=1))
    return {"world": world, "picture": _save(output, f"world-{world.name}", np.concatenate(rows, axis=0))}


def _served(output: Path, frame: Path) -> dict[str, str]:
    """Frame, the server's answer and the truth, side by side."""
    street = Cityscapes(output / "data" / "street", "val")
    index = next(i for i, paths in enumerate(street.frames) if paths.image == frame)
    sample = street[index]
    answer = np.asarray(Image.open(output / "served" / "masks" / f"{frame.stem}.png"))
    panels = [sample["image"], _overlaid(sample["image"], answer), _overlaid(sample["image"], sample["mask"])]
    return {"name": frame.stem, "picture": _save(output, frame.stem, np.concatenate(panels, axis=1))}


def _overlaid(image: Pixels, train_ids: Pixels) -> Pixels:
    mixed = (1 - _OVERLAY_SHARE) * image + _OVERLAY_SHARE * CITYSCAPES19.colorize(train_ids)
    return mixed.round().astype(np.uint8)


def _save(output: Path, name: str, pixels: Pixels) -> str:
    path = output / "page" / f"{name}.jpg"
    Image.fromarray(pixels).resize((2 * pixels.shape[1], 2 * pixels.shape[0]), Image.Resampling.LANCZOS).save(
        path, quality=88
    )
    return _relative(output, path)


def _relative(output: Path, path: Path) -> str:
    return path.relative_to(output).as_posix()


def _next_commands(output: Path) -> list[str]:
    store = os.environ["MLFLOW_TRACKING_URI"]
    return [
        f"mlflow ui --backend-store-uri {store}",
        f"export MLFLOW_TRACKING_URI={store}",
        f"isthmus registry list {MODEL}",
        f"isthmus serve --model {MODEL} --port 50051 &",
        f"isthmus segment {output}/data/street/leftImg8bit/val --server 127.0.0.1:50051 --out masks",
    ]
