"""What every peer computes; imported by its file's name, in environments that hold no isthmus."""

import argparse
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray


class Segmenter:
    """An onnxruntime session with the same options as ours.

    Args:
        model_file: An ONNX file of ours.
        num_threads: Threads inside an operator.
    """

    def __init__(self, model_file: str, num_threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = onnxruntime.InferenceSession(model_file, options, providers=["CPUExecutionProvider"])

    def of_file(self, data: bytes) -> NDArray[np.uint8]:
        """Labels [H, W] uint8 of a JPEG file."""
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError("the bytes are no picture")
        return self.of_image(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8))

    def of_image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Labels [H, W] uint8 of an RGB picture [H, W, 3]."""
        labels, _ = self._session.run(["labels", "confidence"], {"image": image[None]})
        return np.asarray(labels[0], np.uint8)


def options() -> argparse.Namespace:
    """What the bench tells a peer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-file", type=Path, required=True)
    parser.add_argument("--num-threads", type=int, default=1)
    parser.add_argument("--port", type=int, default=0)
    return parser.parse_args()


def say_when_ready(url: str, address: str) -> None:
    """Print the line that the bench waits for, as soon as `url` answers 200."""
    threading.Thread(target=_poll, args=(url, address), daemon=True).start()


def _poll(url: str, address: str) -> None:
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - a loopback address
                if answer.status == 200:
                    print(f"listens on {address}", flush=True)  # noqa: T201 - what the bench waits for
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
