"""Verbs that ask a server: pictures, videos and cameras through it, and a live view of it."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from isthmus.cli.option_names import option_of
from isthmus.errors import ConfigurationError, ServingError

if TYPE_CHECKING:
    import grpc

    from isthmus.serving.reel import SegmentedVideo


def segment(
    inputs: tyro.conf.Positional[tuple[Path, ...]],
    *,
    server: str,
    out: Path,
    camera: int | None = None,
    only: Literal["masks", "overlays"] | None = None,
    every: int | None = None,
    max_fps: float | None = None,
    frames: int | None = None,
    max_age_s: float | None = None,
    jpeg_quality: int | None = None,
    timeout_s: float | None = None,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
) -> None:
    """Segment pictures, videos or a camera through a server: id masks and colour overlays.

    $ isthmus segment frames/ --server 127.0.0.1:50051 --out segmented
    $ isthmus segment drive.mp4 --server 127.0.0.1:50051 --out segmented --every 5
    $ isthmus segment --camera 0 --server 127.0.0.1:50051 --out segmented --max-age-s 0.2

    Pictures give OUT/masks/NAME.png (8-bit ids, 255 unlabelled) and OUT/overlays/NAME.png; a video or a camera gives
    OUT/masks/NAME/NUMBER.png and OUT/overlays/NAME.mp4. Of a video each frame is segmented, of a camera the newest:
    at the end stands how many frames got which verdict; in the overlay video, those without a mask are grey. Ctrl-C
    ends a camera.

    The exit code is 0 if each picture got a mask, and at least one frame of each video or camera. A picture that fails
    does not keep the others from it; a server that goes away ends the verb.

    Args:
        inputs: JPEG and PNG files, folders of them (without what lies deeper), and video files.
        server: HOST:PORT.
        out: Folder for what is made.
        camera: Number of a camera of this machine instead; 0 is /dev/video0.
        only: Of a video or camera, write masks or overlays alone.
        every: Of a video or camera, take each how many-th frame.
        max_fps: Send no more frames of it a second than this.
        frames: End after so many frames of it.
        max_age_s: Of a video or camera, seconds after which a frame's mask is of no use; the server then drops it.
        jpeg_quality: Of a video or camera, send frames as JPEG of this quality (1 to 100) instead of raw pixels: for
            thin links.
        timeout_s: Seconds that one picture or frame may take; 30 by default.
        ca: PEM file of the authority that signed the server's certificate; turns TLS on.
        cert: PEM file of this client's own certificate.
        key: PEM file of its private key.
    """
    if not inputs and camera is None:
        raise ConfigurationError("no pictures named", remedy="Name JPEG or PNG files, folders of them, or videos.")
    if inputs and camera is not None:
        raise ConfigurationError("--camera and files were given", remedy="Run the verb once for each.")
    from isthmus.serving.addresses import check_address
    from isthmus.serving.client import DEFAULT_TIMEOUT_S
    from isthmus.serving.reel import Product
    from isthmus.serving.segment_video import VideoOptions, segment_camera, segment_videos
    from isthmus.serving.transport import client_credentials
    from isthmus.serving.video import SUFFIXES

    check_address(server, "--server")
    credentials = client_credentials(ca, cert, key)
    videos = [path for path in inputs if path.suffix.lower() in SUFFIXES and not path.is_dir()]
    pictures = [path for path in inputs if path not in videos]
    given: dict[str, Any] = {
        "products": only and frozenset({Product(only)}),
        "every": every,
        "max_fps": max_fps,
        "max_frames": frames,
        "max_age_s": max_age_s,
        "jpeg_quality": jpeg_quality,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if given and not videos and camera is None:
        named = [option_of("VideoOptions", name) for name in given]
        raise ConfigurationError(f"{' and '.join(named)} {'is' if len(named) == 1 else 'are'} for videos and cameras")
    options = VideoOptions(timeout_s=DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s, **given)
    without: list[str] = []
    if pictures:
        without += _segment_pictures(pictures, server, out, options.timeout_s, credentials)
    without += _told(segment_videos(videos, server, out, options, credentials))
    if camera is not None:
        without += _told([segment_camera(camera, server, out, options, credentials)])
    if without:
        several = len(without) > 1
        raise ServingError("\n  ".join([f"{len(without)} inputs got no mask:", *without]) if several else without[0])


def _segment_pictures(
    paths: Sequence[Path], server: str, out: Path, timeout_s: float, credentials: "grpc.ChannelCredentials | None"
) -> list[str]:
    """Segment pictures and tell what was made; why some got no mask."""
    from rich.console import Console

    from isthmus.serving.segment_files import left_out, segment_paths

    done = segment_paths(paths, server, out, timeout_s=timeout_s, credentials=credentials)
    if others := left_out(paths):
        note = f"left out in folders: {others}. Name videos and inner folders themselves."
        Console(stderr=True).print(note, soft_wrap=True)
    if done.made:
        masks = "1 mask" if len(done.made) == 1 else f"{len(done.made)} masks"
        told = f"{masks} in {out / 'masks'}, {'overlay' if len(done.made) == 1 else 'overlays'} in {out / 'overlays'}"
        Console().print(told, markup=False, soft_wrap=True)
    return [str(failure) for failure in done.failures]


def _told(reels: "Iterable[SegmentedVideo]") -> list[str]:
    """Tell what was made of each; why no frame of some got a mask."""
    from rich.console import Console

    without = []
    for reel in reels:
        Console().print(str(reel), markup=False, soft_wrap=True)
        if reel.num_segmented == 0:
            reason = f" ({reel.reason})" if reel.reason else ""
            without.append(f"{reel.name}: no frame got a mask{reason}")
    return without


def watch(
    address: tyro.conf.Positional[str],
    *,
    metrics: str | None = None,
    interval_s: float = 1.0,
    once: bool = False,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
) -> None:
    """Watch a server: its model and each change of it, its health, its frames by verdict.

    $ isthmus watch 127.0.0.1:50051
    $ isthmus watch 127.0.0.1:50051 --metrics http://127.0.0.1:9464/metrics --once

    Ctrl-C ends it. Without a terminal, as in a service's log, it writes a line whenever one of these changes. With
    --once the exit code is 0 only if the server serves a model.

    Args:
        address: HOST:PORT.
        metrics: Address of its metrics page; without it frames are not counted.
        interval_s: Seconds between two looks.
        once: Look once, print what is found, and end.
        ca: PEM file of the authority that signed the server's certificate; turns TLS on.
        cert: PEM file of this client's own certificate.
        key: PEM file of its private key.
    """
    if interval_s <= 0:
        raise ConfigurationError(f"{interval_s:g} is no positive number of seconds", where="--interval-s")
    from isthmus.serving.addresses import check_address
    from isthmus.serving.transport import client_credentials
    from isthmus.serving.watch import watch as watch_server

    check_address(address, "ADDRESS")
    serving = watch_server(
        address, metrics_url=metrics, credentials=client_credentials(ca, cert, key), interval_s=interval_s, once=once
    )
    if once and not serving:
        sys.exit(1)
