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

from isthmus.cli.demonstration.plan import (
    MADAN,
    METHODS,
    MODEL,
    RANDOMIZATION,
    SHUFFLED,
    SOURCE_ONLY,
    WORLDS,
    Places,
    World,
)
from isthmus.cli.demonstration.steps import FinishedStep
from isthmus.datasets.catalogue import DatasetConfig, build_dataset
from isthmus.datasets.cityscapes import Cityscapes
from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.training.checkpoint import read_info, resolve
from isthmus.training.figures import file_stem

_OVERLAY_SHARE = 0.5
Pixels = NDArray[np.uint8]


def write_page(places: Places, steps: Sequence[FinishedStep], served: Sequence[Path]) -> Path:
    """Write `OUTPUT/index.html` and `OUTPUT/page/*.jpg`.

    Args:
        places: The demo's folders, all steps done.
        steps: What was run.
        served: Frames of the street that were sent to the server.
    """
    import jinja2

    (places.output / "page").mkdir(exist_ok=True)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    text = environment.get_template("page.html.j2").render(
        **_scores(places),
        **_model(),
        adaptation=_adaptation(places),
        styles=_styles(places),
        unseen=_unseen(places),
        refusals=_refusals(steps),
        worlds=[_world(places, world) for world in WORLDS],
        served=[_served(places, frame) for frame in served],
        steps=steps,
        minutes=f"{sum(step.seconds for step in steps) / 60:.1f}",
        machine=f"{len(os.sched_getaffinity(0))} cores of {platform.machine()}",
        curves=[(method, _relative(places, places.run(method) / "curves.png")) for method in METHODS],
        next_commands=places.next_commands(),
    )
    page = places.output / "index.html"
    page.write_text(text, encoding="utf-8")
    return page


def _refusals(steps: Sequence[FinishedStep]) -> list[dict[str, Any]]:
    """What the gate refused, and whether that was bad on purpose; the step's name ends with the model's."""
    return [{"on_purpose": SHUFFLED in step.name.split(), "text": step.refusal} for step in steps if step.refusal]


def _scores(places: Places) -> dict[str, Any]:
    before, after = (_result(places, method) for method in (SOURCE_ONLY, MADAN))
    info = read_info(resolve(places.run(SOURCE_ONLY)))
    shared = {CITYSCAPES19.names[i] for i in info.source_train_ids}
    classes = [
        {
            "name": name,
            "color": color,
            "before": before["iou_per_class"][name],
            "after": after["iou_per_class"][name],
            "shared": name in shared,
        }
        for name, color in zip(CITYSCAPES19.names, CITYSCAPES19.colors, strict=True)
    ]
    confusion = places.report(MADAN) / f"0-{file_stem(after['title'])}-confusion.png"
    return {
        "before": before,
        "after": after,
        "target": "the street world",
        "classes": classes,
        "confusion": _relative(places, confusion),
    }


def _result(places: Places, method: str) -> dict[str, Any]:
    """What `isthmus evaluate` wrote of a run on the street, which is the first set that it is judged on."""
    results = json.loads((places.report(method) / "evaluation.json").read_text())["results"]
    return dict(results[0])


def _adaptation(places: Places) -> str:
    """The last picture of source frames on their way to the target's look."""
    picture = max((places.run(MADAN) / "pictures").glob("step-*/adaptation.png"))
    return _save(places, "adaptation", np.asarray(Image.open(picture).convert("RGB")))


def _styles(places: Places) -> str:
    """The last picture of frames in several styles."""
    picture = max((places.run(RANDOMIZATION) / "pictures").glob("step-*/styles.png"))
    return _save(places, "styles", np.asarray(Image.open(picture).convert("RGB")))


def _unseen(places: Places) -> dict[str, Any]:
    """Percent mIoU of each run on each street, at the step that its own rule chose, and the mean of the streets."""
    from isthmus.training.generalisation import mean_over_targets, report_on

    report = report_on([places.run(method) for method in METHODS])
    rows = [
        (run.method, *(100 * run.miou[target.title] for target in report.targets), 100 * mean_over_targets(run.miou))
        for run in report.runs
    ]
    return {"targets": [target.heading for target in report.targets], "rows": rows}


def _model() -> dict[str, Any]:
    from isthmus.training.registry_versions import list_versions

    champion = next(version for version in list_versions(MODEL) if "champion" in version.aliases)
    return {"model": MODEL, "version": champion.version, "digest": champion.sha256}


def _world(places: Places, world: World) -> dict[str, Any]:
    """Two frames of a world beside their labels."""
    dataset = build_dataset(DatasetConfig(dataset=world.layout, root=places.world(world), split=world.split))
    rows = []
    for index in (0, len(dataset) // 2):
        sample = dataset[index]
        rows.append(np.concatenate([sample["image"], CITYSCAPES19.colorize(sample["mask"])], axis=1))
    return {"world": world, "picture": _save(places, f"world-{world.folder}", np.concatenate(rows, axis=0))}


def _served(places: Places, frame: Path) -> dict[str, str]:
    """Frame, the server's answer and the truth, side by side."""
    street = Cityscapes(places.output / "data" / "street", "val")
    index = next(i for i, paths in enumerate(street.frames) if paths.image == frame)
    sample = street[index]
    answer = np.asarray(Image.open(places.served / "masks" / f"{frame.stem}.png"))
    panels = [sample["image"], _overlaid(sample["image"], answer), _overlaid(sample["image"], sample["mask"])]
    return {"name": frame.stem, "picture": _save(places, frame.stem, np.concatenate(panels, axis=1))}


def _overlaid(image: Pixels, train_ids: Pixels) -> Pixels:
    mixed = (1 - _OVERLAY_SHARE) * image + _OVERLAY_SHARE * CITYSCAPES19.colorize(train_ids)
    return mixed.round().astype(np.uint8)


def _save(places: Places, name: str, pixels: Pixels) -> str:
    path = places.output / "page" / f"{name}.jpg"
    Image.fromarray(pixels).resize((2 * pixels.shape[1], 2 * pixels.shape[0]), Image.Resampling.LANCZOS).save(
        path, quality=88
    )
    return _relative(places, path)


def _relative(places: Places, path: Path) -> str:
    return path.relative_to(places.output).as_posix()
