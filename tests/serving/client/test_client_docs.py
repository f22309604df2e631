"""The Python blocks of docs/client.md run as they stand, one after the other."""

import dataclasses
import re
import subprocess
import sys

import pytest

from isthmus.serving.client import FrameReport, ModelInfo, Segmentation, Verdict

GIVEN = """
import time
from pathlib import Path
import cv2
frame = cv2.imread("frame.png", cv2.IMREAD_COLOR_RGB)


class Camera:
    # three frames, each as soon as the one before has its report

    def __init__(self, index):
        self.count = 0

    def read(self):
        while self.count and stream.statistics().unreported:
            time.sleep(0.001)
        self.count += 1
        return self.count <= 3, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)


cv2.VideoCapture = Camera
"""
ROS = """
import sys, threading, types

class Node:
    def __init__(self, name): self.published = []
    def create_publisher(self, kind, topic, depth): return self
    def create_subscription(self, kind, topic, callback, depth): self.callback = callback
    def publish(self, message): self.published.append(message); done.set()

class Image(types.SimpleNamespace):
    pass

done = threading.Event()
for name in ("rclpy", "rclpy.node", "sensor_msgs", "sensor_msgs.msg"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["rclpy.node"].Node, sys.modules["sensor_msgs.msg"].Image = Node, Image

def spin(node):
    header = types.SimpleNamespace(stamp=types.SimpleNamespace(sec=5, nanosec=7), frame_id="front_optical")
    height, width, _ = frame.shape
    padded = b"".join(row.tobytes() + b"??" for row in frame)
    while not done.wait(0.05):
        node.callback(Image(header=header, height=height, width=width, step=3 * width + 2, data=padded))

sys.modules["rclpy"].init = lambda: None
sys.modules["rclpy"].spin = spin
"""
ROS_END = """
created = []
class Kept(Segmenter):
    def __init__(self): super().__init__(); created.append(self)
Segmenter = Kept
main()
message = created[0].published[0]
assert (message.height, message.width, message.step, message.encoding) == (48, 64, 64, "mono8"), message
assert message.header.frame_id == "front_optical"
assert len(message.data) == 48 * 64
print("a mask was published")
"""
STARTS = {
    "import cv2": "Verdict.SEGMENTED: 'segmented'>: 3",
    "import asyncio": "what belongs to the frame (48, 64) 1",
    "from isthmus.errors": "'red'",  # and the overlay, see below
    "from isthmus.serving.client import CameraStream, Circuit": "masks a second",
    "from pathlib import Path": "scripted",
    "import array": "a mask was published",
}


def blocks(repository):
    text = (repository / "docs" / "client.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_all_blocks_are_known(repository):
    found = blocks(repository)
    assert len(found) == len(STARTS)
    assert all(block.startswith(start) for block, start in zip(found, STARTS, strict=True))


def test_the_quick_start_is_ten_lines(repository):
    assert len([line for line in blocks(repository)[0].splitlines() if line.strip()]) <= 10


def test_all_blocks_run(repository, scripted_thread, secure, tiny):
    address, folder = secure
    plain = scripted_thread().server.address
    (folder / "frame.png").write_bytes(tiny.png(tiny.street()))
    code = [GIVEN]
    for block in blocks(repository):
        assert "127.0.0.1:50051" in block
        here = block.replace("127.0.0.1:50051", address if "credentials" in block else plain)
        code.append(f"{ROS}{here}{ROS_END}" if "rclpy" in here else here)
    command = [sys.executable, "-W", "default::ResourceWarning", "-c", "\n".join(code)]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert [part for part in STARTS.values() if part not in run.stdout] == [], run.stdout
    assert "(48, 64, 3)\n" in run.stdout
    assert "ResourceWarning" not in run.stderr
    assert "Task was destroyed" not in run.stderr


def test_every_verdict_is_explained(repository):
    text = (repository / "docs" / "client.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([A-Z_]+)` \| (?:server|client) \|", text, re.MULTILINE)
    assert set(re.findall(r"^\| `([A-Z_]+)` \| (?:server|client) \|", text, re.MULTILINE)) == set(Verdict.__members__)


@pytest.mark.parametrize("kind", [Segmentation, FrameReport, ModelInfo])
def test_every_field_of_an_answer_is_explained(kind, repository):
    text = (repository / "docs" / "client.md").read_text(encoding="utf-8")
    table = text[text.index(f"| `{kind.__name__}` | what |") :].partition("\n\n")[0]
    first = " ".join(line.split("|")[1] for line in table.splitlines())
    assert {field.name for field in dataclasses.fields(kind)} <= set(re.findall(r"`(\w+)`", first))
