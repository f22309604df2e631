"""Clients for one server: frames in, masks out. They need neither torch nor onnxruntime.

with SegmentationClient("127.0.0.1:50051") as client:
    result = client.segment(Path("street.jpg").read_bytes())
    result.mask          # [H, W] uint8 ids of client.model_info().label_space

`SegmentationClient` and `AsyncSegmentationClient` ask for one frame at a time. `CameraStream` and `AsyncCameraStream`
carry a camera's frames, newest first, and come back by themselves when the connection breaks.
"""

from isthmus.serving.client.asyncio_unary import AsyncSegmentationClient
from isthmus.serving.client.breaker import Circuit, RetryConfig
from isthmus.serving.client.camera_stream import CameraStream
from isthmus.serving.client.drawing import color_mask, overlay
from isthmus.serving.client.reports import FrameReport, LatestMask, Verdict
from isthmus.serving.client.results import Change, LabelClass, ModelChange, ModelInfo, Segmentation, Timings
from isthmus.serving.client.ros import RosTime, to_ros_compressed_image, to_ros_image
from isthmus.serving.client.statistics import StreamStatistics
from isthmus.serving.client.stream import AsyncCameraStream
from isthmus.serving.client.stream_config import Purpose, StreamConfig
from isthmus.serving.client.unary import DEFAULT_TIMEOUT_S, SegmentationClient
from isthmus.serving.codec import MaskFormat

__all__ = [
    "DEFAULT_TIMEOUT_S",
    "AsyncCameraStream",
    "AsyncSegmentationClient",
    "CameraStream",
    "Change",
    "Circuit",
    "FrameReport",
    "LabelClass",
    "LatestMask",
    "MaskFormat",
    "ModelChange",
    "ModelInfo",
    "Purpose",
    "RetryConfig",
    "RosTime",
    "Segmentation",
    "SegmentationClient",
    "StreamConfig",
    "StreamStatistics",
    "Timings",
    "Verdict",
    "color_mask",
    "overlay",
    "to_ros_compressed_image",
    "to_ros_image",
]
