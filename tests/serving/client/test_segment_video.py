"""Videos and cameras through a scripted server, and the verb that people use for it."""

import cv2
import grpc
import numpy as np
import pytest

from isthmus import cli
from isthmus.errors import (
    ConfigurationError,
    DataMissingError,
    EnvironmentMissingError,
    InvalidFrameError,
    ServingError,
    UnreadableFileError,
)
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.client import RetryConfig, Verdict
from isthmus.serving.reel import Product
from isthmus.serving.segment_video import VideoOptions, segment_camera, segment_videos
from isthmus.serving.video import VideoWriter, open_video

FRAMES = 10


def red_of(number):
    """Even frames are red, odd ones are not; video codecs keep such large areas."""
    return 230 if number % 2 == 0 else 40


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    writer = VideoWriter(path, 10.0)
    for number in range(FRAMES):
        writer.write(np.full((48, 64, 3), (red_of(number), 90, 90), np.uint8))
    writer.close()
    return path


def segment(paths, server, out, **fields):
    return list(segment_videos(paths, server.address, out, VideoOptions(**fields), show_progress=False))


def masks_in(folder):
    return {int(path.stem): cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(folder.iterdir())}


def test_each_frame_of_a_video_gets_its_mask(clip, scripted_thread, tmp_path):
    server = scripted_thread().server
    (made,) = segment([clip], server, tmp_path / "out")
    assert made.verdicts == {Verdict.SEGMENTED: FRAMES}
    masks = masks_in(made.masks)
    assert made.masks == tmp_path / "out" / "masks" / "clip"
    assert [int(np.median(masks[number])) for number in range(FRAMES)] == [0, 1] * (FRAMES // 2)
    assert {frame.service_class for frame in server.frames} == {pb.SERVICE_CLASS_BULK}
    drawn = list(open_video(made.overlay))
    assert len(drawn) == FRAMES
    np.testing.assert_allclose(drawn[0].mean((0, 1)), [(230 + 255) / 2, 45, 45], atol=12)
    np.testing.assert_allclose(drawn[1].mean((0, 1)), [20, (90 + 128) / 2, (90 + 255) / 2], atol=12)
    assert str(made) == f"{FRAMES} frames: {FRAMES} segmented; {made.masks} and {made.overlay}"


def test_every_frames_and_only(clip, scripted_thread, tmp_path):
    server = scripted_thread().server
    fields = {"every": 3, "max_frames": 2, "max_fps": 100.0, "jpeg_quality": 90}
    (made,) = segment([clip], server, tmp_path / "out", products=frozenset({Product.MASKS}), **fields)
    assert list(masks_in(made.masks)) == [0, 3]
    assert made.overlay is None
    assert not (tmp_path / "out" / "overlays").exists()
    assert {frame.encoding for frame in server.frames} == {pb.FRAME_ENCODING_JPEG}


def test_lost_frames_of_a_video_are_sent_again(clip, scripted_thread, tmp_path):
    server = scripted_thread().server
    answer = server.on_frame

    def break_once(frame, say):
        server.on_frame = answer
        say(grpc.StatusCode.UNAVAILABLE)

    server.on_frame = break_once
    (made,) = segment([clip], server, tmp_path / "out")
    assert made.verdicts == {Verdict.SEGMENTED: FRAMES}
    assert len(server.frames) == FRAMES + 1
    assert len(masks_in(made.masks)) == FRAMES


def test_frames_without_a_mask_are_grey_in_the_overlay_video(clip, scripted_thread, tmp_path, say):
    server = scripted_thread().server

    def refuse_even(frame, tell):
        result = say.segmented(frame)
        if frame.sequence_number % 2:
            result = pb.FrameResult(sequence_number=frame.sequence_number, verdict=pb.VERDICT_INVALID, reason="no")
        tell(say.event(result))

    server.on_frame = refuse_even
    (made,) = segment([clip], server, tmp_path / "out")
    assert made.verdicts == {Verdict.INVALID: 5, Verdict.SEGMENTED: 5}
    assert list(masks_in(made.masks)) == [1, 3, 5, 7, 9]
    assert (made.num_segmented, made.reason) == (5, "no")
    drawn = list(open_video(made.overlay))
    spread = [float(np.ptp(image.mean((0, 1)))) for image in drawn]
    assert max(spread[0::2]) < 8  # grey: all channels alike
    assert min(spread[1::2]) > 50


def test_odd_sizes_are_filled_up(tmp_path):
    writer = VideoWriter(tmp_path / "odd.mp4", 10.0)
    writer.write(np.full((47, 63, 3), 100, np.uint8))
    writer.close()
    assert [image.shape for image in open_video(tmp_path / "odd.mp4")] == [(48, 64, 3)]


@pytest.fixture
def camera(clip, monkeypatch):
    """Camera 0 shows the clip; there is no other."""
    real = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: real({0: str(clip)}.get(source, source)))


@pytest.mark.usefixtures("camera")
def test_a_camera_is_newest_first_and_all_is_counted(scripted_thread, tmp_path):
    server = scripted_thread().server
    made = segment_camera(0, server.address, tmp_path / "out", VideoOptions(), show_progress=False)
    assert sum(made.verdicts.values()) == FRAMES
    assert set(made.verdicts) <= {Verdict.SEGMENTED, Verdict.SUPERSEDED_HERE, Verdict.NOT_SENT}
    assert len(masks_in(made.masks)) == made.verdicts.get(Verdict.SEGMENTED, 0)
    assert made.num_segmented > 0  # the last frame is waited for
    assert len(list(open_video(made.overlay))) == FRAMES  # those without a mask too
    assert {frame.service_class for frame in server.frames} <= {pb.SERVICE_CLASS_LIVE}


@pytest.mark.usefixtures("camera")
def test_the_verb_segments_videos_and_cameras(clip, scripted_thread, tmp_path, capsys):
    server = scripted_thread().server
    cli.main(["segment", str(clip), "--server", server.address, "--out", str(tmp_path / "a"), "--only", "masks"])
    assert f"{FRAMES} frames: {FRAMES} segmented" in capsys.readouterr().out
    cli.main(["segment", "--camera", "0", "--server", server.address, "--out", str(tmp_path / "b"), "--frames", "2"])
    assert "2 frames:" in capsys.readouterr().out
    assert (tmp_path / "b" / "overlays" / "camera0.mp4").is_file()


def test_wrong_inputs_are_named(clip, scripted_thread, nobody, tmp_path):
    server, out = scripted_thread().server, tmp_path / "out"
    with pytest.raises(DataMissingError, match=r"none\.mp4: no such video"):
        segment([tmp_path / "none.mp4"], server, out)
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(UnreadableFileError, match=r"text\.mp4: is no video"):
        segment([clip, tmp_path / "text.mp4"], server, out)
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "clip.mp4"
    twin.write_bytes(clip.read_bytes())
    with pytest.raises(InvalidFrameError, match="same masks"):
        segment([clip, twin], server, out)
    with pytest.raises(EnvironmentMissingError, match="camera 77: no camera answers"):
        segment_camera(77, server.address, out, VideoOptions(), show_progress=False)
    with pytest.raises(ServingError, match="no server answers"):
        list(segment_videos([clip], nobody, out, VideoOptions(), show_progress=False))
    assert not out.exists()


def test_a_server_that_goes_for_good_ends_a_video(clip, scripted_thread, tmp_path, monkeypatch):
    thread = scripted_thread()
    monkeypatch.setattr("isthmus.serving.segment_video.RETRY", RetryConfig(first_pause_s=0.01, failures_to_open=2))
    thread.server.on_frame = lambda frame, say: thread.loop.create_task(thread.server.kill())
    with pytest.raises(ServingError, match=r"frame 0 could not be sent: .*circuit is open"):
        segment([clip], thread.server, tmp_path / "out")


@pytest.mark.parametrize(
    ("said", "verdict"), [(grpc.StatusCode.UNAVAILABLE, "lost"), (pb.VERDICT_FAILED, "failed")], ids=["lost", "failed"]
)
def test_a_server_that_answers_no_frame_any_more_ends_a_video(clip, scripted_thread, tmp_path, say, said, verdict):
    server = scripted_thread().server
    answer = server.on_frame

    def refuse_from_the_third(frame, tell):
        if len(masks_in(tmp_path / "out" / "masks" / "clip") if (tmp_path / "out" / "masks").exists() else ()) < 2:
            answer(frame, tell)
        elif isinstance(said, grpc.StatusCode):
            tell(said)
        else:
            tell(say.event(pb.FrameResult(sequence_number=frame.sequence_number, verdict=said, reason="it drains")))

    server.on_frame = refuse_from_the_third
    with pytest.raises(ServingError, match=rf"frame 2 got no mask in 3 attempts, the last one {verdict}: .+ run the"):
        segment([clip], server, tmp_path / "out")
    assert len(masks_in(tmp_path / "out" / "masks" / "clip")) == 2


def test_a_frame_that_breaks_something_does_not_end_its_video(clip, scripted_thread, tmp_path, say):
    server = scripted_thread().server
    answer, seen = server.on_frame, []

    def break_at_the_second(frame, tell):
        seen.append(frame.sequence_number)
        if 2 <= len(seen) <= 4:  # the second frame, three times
            result = pb.FrameResult(sequence_number=frame.sequence_number, verdict=pb.VERDICT_FAILED, reason="oh")
            result.reason_code = "INTERNAL"
            tell(say.event(result))
        else:
            answer(frame, tell)

    server.on_frame = break_at_the_second
    (made,) = segment([clip], server, tmp_path / "out")
    assert made.verdicts == {Verdict.FAILED: 1, Verdict.SEGMENTED: FRAMES - 1}


def test_a_video_without_a_mask_is_a_failure(clip, scripted_thread, tmp_path, say, capsys):
    server = scripted_thread().server
    server.on_frame = lambda frame, tell: tell(
        say.event(pb.FrameResult(sequence_number=frame.sequence_number, verdict=pb.VERDICT_EXPIRED, reason="too late"))
    )
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as caught:
        cli.main(["segment", str(clip), "--server", server.address, "--out", str(out), "--frames", "2"])
    assert caught.value.code == 1
    told = capsys.readouterr()
    assert "error: clip: no frame got a mask (too late)" in told.err
    assert told.out.endswith(f"2 frames: 2 expired; {out / 'overlays' / 'clip.mp4'}\n")
    assert not (out / "masks").exists()


def test_masks_of_an_earlier_run_are_counted(clip, scripted_thread, tmp_path):
    server, out = scripted_thread().server, tmp_path / "out"
    (first,) = segment([clip], server, out)
    assert first.num_older == 0
    (second,) = segment([clip], server, out, every=3)
    assert second.num_older == FRAMES - 4
    assert str(second).endswith("; 6 masks of an earlier run lie there too")


@pytest.mark.usefixtures("camera")
def test_one_frame_of_a_camera_is_waited_for(scripted_thread, tmp_path):
    server = scripted_thread().server
    made = segment_camera(0, server.address, tmp_path / "out", VideoOptions(max_frames=1), show_progress=False)
    assert str(made) == f"1 frame: 1 segmented; {made.masks} and {made.overlay}"


def test_pictures_that_fail_do_not_keep_a_video_from_its_masks(clip, scripted_thread, tmp_path, capsys):
    server, bad = scripted_thread().server, tmp_path / "bad.png"
    bad.mkdir()
    (bad / "a.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(SystemExit) as caught:
        cli.main(["segment", str(bad), str(clip), "--server", server.address, "--out", str(tmp_path / "out")])
    assert caught.value.code == 1
    told = capsys.readouterr()
    assert f"error: {bad / 'a.png'}: cannot be read" in told.err
    assert f"{FRAMES} frames: {FRAMES} segmented" in told.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.mp4", "--camera", "0"], "--camera and files"),
        (["a.png", "--every", "2"], "^--every is for videos and cameras"),
        (["a.png", "--max-age-s", "2", "--jpeg-quality", "9"], "^--max-age-s and --jpeg-quality are for videos"),
        (["a.png", "--timeout-s", "0"], "--timeout-s"),
        (["a.mp4", "--every", "0"], "every"),
        (["a.mp4", "--jpeg-quality", "101"], "--jpeg-quality"),
        (["a.mp4", "--cert", "c.pem"], "key together"),
    ],
)
def test_options_that_do_not_fit(arguments, message, tmp_path):
    with pytest.raises(ConfigurationError, match=message):
        cli.run(["segment", *arguments, "--server", "127.0.0.1:1", "--out", str(tmp_path / "out")])
