"""Events as the server tells them, with what a test does not care about filled in."""

from types import SimpleNamespace

import numpy as np
import pytest

from isthmus.serving.engine import Prediction
from isthmus.serving.events import BatchDone, FrameDone

TIMEOUT_S = 30.0

FRAME = {
    "rpc": "StreamSegment",
    "vehicle": "car-17",
    "verdict": "segmented",
    "reason_code": "",
    "service_class": "live",
    "model_version": "file",
    "decode_s": 0.004,
    "queue_s": 0.003,
    "infer_s": 0.02,
    "encode_s": 0.001,
    "total_s": 0.03,
    "slack_s": 0.07,
    "confidence_mean": 0.8,
    "class_fractions": (0.25, 0.5),
}
DROPPED = {"infer_s": None, "encode_s": None, "confidence_mean": None, "class_fractions": ()}
BATCH = {
    "model_version": "file",
    "sha256": "0" * 64,
    "provider": "CPUExecutionProvider",
    "num_frames": 3,
    "padded_to": 4,
    "infer_s": 0.02,
    "images": np.zeros((3, 2, 2, 3), np.uint8),
    "prediction": Prediction(np.zeros((3, 2, 2), np.uint8), np.zeros((3, 1, 1), np.uint8)),
}


@pytest.fixture(scope="session")
def told(wait_until):
    """Makers of events, and patience."""
    return SimpleNamespace(
        frame=lambda **changed: FrameDone(**{**FRAME, **changed}),
        dropped=lambda verdict, **changed: FrameDone(**{**FRAME, **DROPPED, "verdict": verdict, **changed}),
        batch=lambda **changed: BatchDone(**{**BATCH, **changed}),
        wait_until=wait_until,
    )
