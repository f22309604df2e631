"""Masks as ROS messages, without ROS: the same fields under the same names, to be copied into the real ones."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isthmus.serving.client.results import Segmentation
from isthmus.serving.codec import MaskFormat, encode_mask

_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class RosTime:
    """builtin_interfaces/Time.

    Args:
        sec: Whole seconds.
        nanosec: The rest, 0..999999999.
    """

    sec: int
    nanosec: int


@dataclass(frozen=True, slots=True)
class RosHeader:
    """std_msgs/Header.

    Args:
        stamp: When the picture was taken.
        frame_id: The camera's optical frame.
    """

    stamp: RosTime
    frame_id: str


@dataclass(frozen=True, slots=True)
class RosImage:
    """sensor_msgs/Image with a byte a pixel.

    Args:
        header: Of the picture, not of the moment when the mask came.
        height: Rows.
        width: Pixels a row.
        encoding: `mono8`.
        is_bigendian: 0; a byte has no order.
        step: Bytes a row.
        data: The rows from the top, step x height bytes.
    """

    header: RosHeader
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: bytes


@dataclass(frozen=True, slots=True)
class RosCompressedImage:
    """sensor_msgs/CompressedImage.

    Args:
        header: Of the picture, not of the moment when the mask came.
        format: As compressed_image_transport writes it.
        data: A PNG file.
    """

    header: RosHeader
    format: str
    data: bytes


def to_ros_image(
    segmentation: Segmentation | NDArray[np.uint8], *, stamp: RosTime | float, frame_id: str = ""
) -> RosImage:
    """A mask's ids as the fields of sensor_msgs/Image.

    Args:
        segmentation: An answer, or a mask or confidence map [H, W] uint8 alone.
        stamp: The picture's time: sec and nanosec, or Unix time in seconds (a float holds microseconds, no more).
        frame_id: The camera's optical frame.
    """
    mask = _mask(segmentation)
    height, width = mask.shape
    return RosImage(
        header=_header(stamp, frame_id),
        height=height,
        width=width,
        encoding="mono8",
        is_bigendian=0,
        step=width,
        data=mask.tobytes(),
    )


def to_ros_compressed_image(
    segmentation: Segmentation | NDArray[np.uint8], *, stamp: RosTime | float, frame_id: str = ""
) -> RosCompressedImage:
    """A mask's ids as the fields of sensor_msgs/CompressedImage: a PNG file, which loses nothing.

    Args:
        segmentation: An answer, or a mask or confidence map [H, W] uint8 alone.
        stamp: The picture's time: sec and nanosec, or Unix time in seconds.
        frame_id: The camera's optical frame.
    """
    data = encode_mask(_mask(segmentation), MaskFormat.PNG)
    return RosCompressedImage(header=_header(stamp, frame_id), format="mono8; png compressed ", data=data)


def _mask(segmentation: Segmentation | NDArray[np.uint8]) -> NDArray[np.uint8]:
    return segmentation.mask if isinstance(segmentation, Segmentation) else segmentation


def _header(stamp: RosTime | float, frame_id: str) -> RosHeader:
    if isinstance(stamp, RosTime):
        return RosHeader(stamp, frame_id)
    microseconds = round(stamp * 1_000_000)  # through integers: a float of today's seconds holds no nanoseconds
    sec, nanosec = divmod(microseconds * 1000, _NANOSECONDS)
    return RosHeader(RosTime(sec, nanosec), frame_id)
