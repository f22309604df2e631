"""Frames that a model is checked with wherever it goes: the card's golden frame, and drawn streets of any size."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isthmus.artifact import GoldenFrame
from isthmus.errors import ContractError

GOLDEN_LONGEST_SIDE = 256
"""Pixels; keeps the frame below about 100 kB in a card."""


def golden_picture(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`frame` [H, W, 3], shrunk so that its longest side has at most `GOLDEN_LONGEST_SIDE` pixels."""
    scale = GOLDEN_LONGEST_SIDE / max(frame.shape[:2])
    if scale >= 1:
        return frame
    height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR))


def encode_golden(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], undecided: NDArray[np.bool_] | None = None
) -> GoldenFrame:
    """RGB [H, W, 3], labels [H, W] and the pixels [H, W] that are not compared, as they travel in a card."""
    mask = None if undecided is None else _encode_png(undecided.astype(np.uint8) * 255)
    return GoldenFrame(image_png=_encode_png(image), labels_png=_encode_png(labels), undecided_png=mask)


def decode_golden(golden: GoldenFrame) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Image [H, W, 3] and labels [H, W] of a card's golden frame.

    Raises:
        ContractError: One of them is no PNG of the right kind, or their sizes differ.
    """
    image, labels = _decode_png(golden.image_png, "RGB"), _decode_png(golden.labels_png, "L")
    if image.shape[:2] != labels.shape:
        raise ContractError(f"golden frame is {image.shape[:2]}, its labels {labels.shape}", remedy="Export it again.")
    return image, labels


def golden_agreement(golden: GoldenFrame, labels: NDArray[np.uint8]) -> float:
    """Share in [0, 1] of the golden frame's decided pixels that have the card's label in `labels` [H, W].

    Raises:
        ContractError: See `decode_golden`.
    """
    _, expected = decode_golden(golden)
    equal = labels == expected
    if golden.undecided_png is None:
        return float(np.mean(equal))
    undecided = _decode_png(golden.undecided_png, "L") > 0
    if undecided.shape != expected.shape or undecided.all():
        raise ContractError("golden frame leaves no pixel to compare", remedy="Export it again.")
    return float(np.mean(equal[~undecided]))


def drawn_streets(batch: int, size_hw: tuple[int, int], *, seed: int = 0) -> NDArray[np.uint8]:
    """Structured pictures [batch, H, W, 3]: sky, facades, a road with markings, thin poles, discs, slight noise.

    Noise alone would hide a wrong resize, since no prediction on it depends on where an edge lies.
    """
    rng = np.random.default_rng(seed)
    return np.stack([_drawn_street(rng, size_hw) for _ in range(batch)])


def _drawn_street(rng: np.random.Generator, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = size_hw
    y = ((np.arange(height) + 0.5) / height)[:, None]
    x = ((np.arange(width) + 0.5) / width)[None, :]
    picture = np.empty((height, width, 3), np.float64)
    picture[:] = np.asarray([90, 140, 200]) + 90 * y[..., None]
    for left in np.arange(0, 1, 0.12):
        roof = rng.uniform(0.1, 0.4)
        windows = (np.sin(x * rng.uniform(120, 200)) > 0.6) & (np.sin(y * rng.uniform(80, 140)) > 0.4)
        facade = (x >= left) & (x < left + 0.12) & (y > roof)
        picture[facade] = rng.uniform(60, 190, 3)
        picture[facade & windows] = rng.uniform(20, 80, 3)
    road = (y > 0.55) & (np.abs(x - 0.5) < (y - 0.5) * 1.1)
    picture[road] = rng.uniform(70, 110)
    picture[road & (np.abs(x - 0.5) < 0.01) & (np.sin(40 / (y + 0.1)) > 0)] = 230
    for _ in range(5):
        picture[(np.abs(x - rng.uniform()) < 0.004) & (y > 0.25) & (y < 0.7)] = rng.uniform(30, 70, 3)
        picture[(x - rng.uniform()) ** 2 * 4 + (y - rng.uniform(0.3, 0.8)) ** 2 < 0.004] = rng.uniform(0, 255, 3)
    picture += rng.normal(0, 4, picture.shape)
    return picture.clip(0, 255).astype(np.uint8)


def _encode_png(pixels: NDArray[np.uint8]) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def _decode_png(text: str, mode: str) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as image:
            if image.mode != mode:
                raise ContractError(f"golden frame has a PNG of mode {image.mode}, expected {mode}")
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise ContractError(f"golden frame is no readable PNG ({error})", remedy="Export the model again.") from error
