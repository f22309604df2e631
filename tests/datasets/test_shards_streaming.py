"""Batches from shards: the same whatever the workers, exact after a resume, and over HTTP as from a disk."""

import gzip
import io
import shutil
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from isthmus.datasets.base import SegmentationDataset
from isthmus.datasets.sampling import build_loader
from isthmus.datasets.shards import Shards, opening
from isthmus.datasets.shards.order import ShardDraws
from isthmus.datasets.shards.reading import FrameReader, walk
from isthmus.datasets.shards.streaming import _Lane
from isthmus.datasets.transforms import AugmentationConfig, build_training_transform
from isthmus.errors import ConfigurationError, DataError, DataMissingError, UnreadableFileError


@pytest.fixture(scope="module")
def transform():
    return build_training_transform(AugmentationConfig(resize_hw=(24, 32), crop_size_hw=(16, 24)))


def batches(dataset, transform, count, **options):
    settings = {"seed": 3, "stream": "source.0.camvid", "batch_size": 2, "num_workers": 0, **options}
    return list(islice(build_loader(dataset, transform=transform, **settings), count))


def assert_equal(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a["names"] == b["names"]
        assert torch.equal(a["image"], b["image"])
        assert torch.equal(a["mask"], b["mask"])


def as_packed(image, mask, *, seed):
    return image, mask


def small_buffer(shards: Shards) -> Shards:
    return Shards(shards.root, shards.split, shuffle_frames=24)


def test_batches_hold_the_frames_that_were_drawn(pack_fakes):
    files, shards = pack_fakes(num_frames=20)
    expected = {sample["name"]: sample for sample in (files[i] for i in range(20))}
    draws = ShardDraws(
        shards.frames_per_shard, seed=3, stream="source.0.camvid", batch_size=2, shuffle_frames=shards.shuffle_frames
    )
    for step, batch in enumerate(batches(shards, as_packed, 30)):
        for place, name in enumerate(batch["names"]):
            assert name == shards.read_unlabelled(draws[2 * step + place].frame)["name"]
            image = (batch["image"][place] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
            assert np.array_equal(image, expected[name]["image"])
            assert np.array_equal(batch["mask"][place].numpy(), expected[name]["mask"])


@pytest.mark.parametrize("frames_per_shard", [1, 3, 30])
def test_worker_processes_change_nothing(frames_per_shard, pack_fakes, transform):
    _, shards = pack_fakes(num_frames=20, frames_per_shard=frames_per_shard)
    alone = batches(shards, transform, 14)
    for num_workers in (1, 2) if frames_per_shard == 3 else (2,):
        assert_equal(alone, batches(shards, transform, 14, num_workers=num_workers))


def test_more_workers_than_a_small_set_has_lanes(pack_fakes, transform):
    _, shards = pack_fakes(num_frames=3)
    assert_equal(batches(shards, transform, 5), batches(shards, transform, 5, num_workers=4))


def test_resumes_at_any_draw(pack_fakes, transform):
    _, shards = pack_fakes(num_frames=40, frames_per_shard=7)
    shards = small_buffer(shards)  # of 3 frames a lane, which has 5: a resume meets half-emptied buffers
    whole = batches(shards, transform, 50)
    for step in (1, 9, 16, 17, 30, 43):
        assert_equal(whole[step : step + 6], batches(shards, transform, 6, start_draw=2 * step))
    assert_equal(whole[17:23], batches(shards, transform, 6, start_draw=34, num_workers=2))


def test_resuming_opens_only_shards_with_frames_still_due(pack_fakes, monkeypatch):
    _, shards = pack_fakes(num_frames=64, frames_per_shard=2)
    draws = ShardDraws(shards.frames_per_shard, seed=0, stream="a", batch_size=1, shuffle_frames=8)
    opened = []
    original = FrameReader._open
    monkeypatch.setattr(FrameReader, "_open", lambda self, shard: (opened.append(shard), original(self, shard)))
    sixth = 5 * 8  # lane 0's sixth of eight frames, a buffer of one: in the order in which they are read
    _Lane(shards, draws).take(sixth)
    assert opened == [draws[sixth].frame // 2]


def test_ranks_share_no_frame_of_an_epoch(pack_fakes):
    _, shards = pack_fakes(num_frames=32)
    ranks = [batches(shards, as_packed, 16, batch_size=1, rank=rank, world_size=2) for rank in range(2)]
    seen = [{name for batch in rank for name in batch["names"]} for rank in ranks]
    assert [len(names) for names in seen] == [16, 16]
    assert seen[0].isdisjoint(seen[1])


def test_a_limit_takes_the_first_frames(pack_fakes):
    _, shards = pack_fakes(num_frames=20)
    limited = Shards(shards.root, shards.split, limit=7)
    assert (len(limited), limited.frames_per_shard) == (7, (3, 3, 1))
    expected = {limited.read_unlabelled(i)["name"] for i in range(7)}
    assert {name for batch in batches(limited, as_packed, 40) for name in batch["names"]} == expected
    assert limited.digest != shards.digest
    assert Shards(shards.root, shards.split, limit=99).digest == shards.digest
    assert limited.draw_key != shards.draw_key
    with pytest.raises(IndexError):
        limited[7]


def test_a_target_gives_images_alone(pack_fakes, transform):
    _, shards = pack_fakes("cityscapes", split="test", num_frames=5)
    (batch,) = batches(shards, transform, 1, labelled=False)
    assert set(batch) == {"image", "names"}
    with pytest.raises(DataMissingError, match="no labels in this packed split"):
        batches(shards, transform, 1)


def test_masks_of_a_target_are_left_alone(pack_fakes, transform):
    _, shards = pack_fakes(num_frames=5)
    (batch,) = batches(shards, transform, 1, labelled=False)
    assert set(batch) == {"image", "names"}


def test_workers_that_cannot_share_the_lanes_are_refused(pack_fakes, transform):
    _, shards = pack_fakes(num_frames=5)
    with pytest.raises(ConfigurationError, match="3 worker processes cannot share 8 lanes"):
        batches(shards, transform, 1, num_workers=3)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_missing_shard_is_one_error(num_workers, pack_fakes, transform):
    _, shards = pack_fakes(num_frames=20)
    (shards.root / "train-000003.tar").unlink()
    with pytest.raises(DataMissingError, match="no such shard") as caught:
        batches(shards, transform, 20, num_workers=num_workers)
    assert caught.value.where == str(shards.root / "train-000003.tar")


def test_a_truncated_shard_is_one_error(pack_fakes, transform):
    _, shards = pack_fakes(num_frames=20)
    path = shards.root / "train-000002.tar"
    path.write_bytes(path.read_bytes()[:-2048])
    with pytest.raises(UnreadableFileError, match=r"train-000002.tar: has \d+ bytes but \d+ according to the index"):
        batches(shards, transform, 20)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no tar file " * 1000, "damaged, no tar file of frames"), (bytes(12000), "ends after 0 of 3 frames")],
)
def test_a_shard_of_other_bytes_is_one_error(content, message, pack_fakes):
    _, shards = pack_fakes(num_frames=6)
    size = shards.index.shards[0].num_bytes
    (shards.root / "train-000000.tar").write_bytes((content * 10)[:size])
    with pytest.raises(UnreadableFileError, match=message):
        shards[0]
    assert shards[3]["name"]  # the next shard is whole


def tar_of(name: str, **headers: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size, member.pax_headers = 1, headers
        tar.addfile(member, io.BytesIO(b"x"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(tar_of("a.png")),
        tar_of("a.png", **{"GNU.sparse.map": "0,1", "GNU.sparse.size": "1000000"}),
    ],
    ids=["compressed", "sparse"],
)
def test_what_would_swell_in_memory_is_refused(content):
    with pytest.raises(UnreadableFileError, match=r"far\.tar: damaged, no tar file of frames"):
        list(walk(io.BytesIO(content), "far.tar"))


def test_no_name_of_a_folder_hides_its_frames():
    assert [frame.name for frame in walk(io.BytesIO(tar_of("__tour__/a.png")), "a.tar")] == ["__tour__/a.png"]


def test_a_damaged_picture_is_one_error(pack_fakes):
    _, shards = pack_fakes(num_frames=3)
    path = shards.root / "train-000000.tar"
    content = path.read_bytes()
    at = content.index(b"IDAT") + 40
    path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
    with pytest.raises(UnreadableFileError, match=r"train-000000\.tar: .*png: truncated or damaged"):
        [shards[i] for i in range(3)]


class ObjectStore:
    """Serves a folder on 127.0.0.1, as badly as it is told to."""

    def __init__(self, folder: Path, *, ranges: bool) -> None:
        self.folder, self.ranges = folder, ranges
        self.closes_after: list[int] = []
        """The next answers end after so many bytes."""
        self.answers: list[int] = []
        """The next answers are these errors."""
        self.requests: list[tuple[str, str | None]] = []
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                store.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range") if self.ranges else None
        self.requests.append((handler.path, handler.headers.get("Range")))
        path = self.folder / handler.path.lstrip("/")
        if self.answers or not path.is_file():
            handler.send_error(self.answers.pop(0) if self.answers else 404)
            return
        content = path.read_bytes()
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        handler.send_response(206 if wanted else 200)
        handler.send_header("Content-Length", str(len(content) - start))
        if wanted:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        end = start + self.closes_after.pop(0) if self.closes_after else len(content)
        handler.wfile.write(content[start:end])

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def _impatient(monkeypatch) -> None:
    """No pauses between tries, and no proxy in between."""
    monkeypatch.setattr(opening, "PAUSE_S", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(params=[True, False], ids=["ranges", "no ranges"])
def served(request, pack_fakes, _impatient) -> Iterator[tuple[SegmentationDataset, Shards, ObjectStore]]:
    """Shards on a server, their index here, and the same frames as files."""
    files, shards = pack_fakes(num_frames=12, frames_per_shard=4)
    store = ObjectStore(shards.root.parent / "store", ranges=request.param)
    try:
        files, shards = pack_fakes(num_frames=12, frames_per_shard=4, base_url=store.url)
        store.folder.mkdir()
        for path in shards.root.glob("*.tar"):
            shutil.move(path, store.folder)
        yield files, shards, store
    finally:
        store.close()


def test_streams_over_http_as_from_a_disk(served, transform):
    _, shards, store = served
    local = Shards(Path(shutil.copytree(shards.root, shards.root.parent / "local")), "train")
    for path in store.folder.iterdir():
        shutil.copy(path, local.root)
    local.index = replace(local.index, base_url=None)
    assert_equal(batches(shards, transform, 12), batches(local, transform, 12))
    assert_equal(batches(shards, transform, 6, num_workers=2), batches(local, transform, 6))


def test_a_broken_connection_goes_on_where_it_broke(served):
    files, shards, store = served
    expected = {sample["name"]: sample for sample in (files[i] for i in range(12))}
    store.closes_after = [5000, 3, 700]
    for index in range(12):
        sample = shards[index]
        assert np.array_equal(sample["image"], expected[sample["name"]]["image"])
        assert np.array_equal(sample["mask"], expected[sample["name"]]["mask"])
    again = [5000, 5003, 5703] if store.ranges else [5000] * 3  # where nothing new came, from the same byte
    assert [wanted for _, wanted in store.requests[:4]] == [None, *(f"bytes={byte}-" for byte in again)]
    assert len(store.requests) == 6  # and one for each other shard


def test_a_server_in_trouble_is_asked_again(served):
    _, shards, store = served
    store.answers = [503, 500, 429]
    assert shards[0]["name"]
    assert len(store.requests) == 4


def test_a_server_that_stays_in_trouble_is_one_error(served, transform):
    _, shards, store = served
    store.answers = [503] * 100
    with pytest.raises(
        DataError, match=r"train-\d+\.tar: cannot be fetched, tried 4 times: the server answers 503"
    ) as caught:
        batches(shards, transform, 1)
    assert caught.value.remedy == "Check the connection to the server, then resume."
    assert len(store.requests) == 4


def test_a_server_that_closes_each_time_is_one_error(served):
    _, shards, store = served
    store.closes_after = [0] * 100
    with pytest.raises(DataError, match=r"tried 4 times: closed after 0 of \d+ bytes"):
        shards[0]


def test_a_shard_that_the_server_lacks_is_one_error_at_once(served, transform):
    _, shards, store = served
    (store.folder / "train-000001.tar").unlink()
    with pytest.raises(DataMissingError, match=r"train-000001\.tar: the server answers 404") as caught:
        batches(shards, transform, 12)
    assert caught.value.remedy == "Check the index's base_url, and that the shard was uploaded."
    assert [path for path, _ in store.requests].count("/train-000001.tar") == 1


def test_another_file_of_that_name_is_one_error(served):
    _, shards, store = served
    (store.folder / "train-000000.tar").write_bytes(b"short")
    with pytest.raises(UnreadableFileError, match=r"has 5 bytes but \d+ according to the index"):
        shards[0]


def test_a_redirection_never_reaches_local_files(served, monkeypatch):
    _, shards, store = served

    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"file://{store.folder}/train-000000.tar")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    monkeypatch.setattr(store, "answer", redirect)
    with pytest.raises(DataError, match="cannot be fetched"):
        shards[0]


@pytest.mark.usefixtures("_impatient")
def test_a_server_that_is_not_there(pack_fakes):
    _, shards = pack_fakes(num_frames=2, base_url="http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"tried 4 times: .* refused"):
        shards[0]


def test_an_address_of_local_files(pack_fakes, tmp_path):
    _, shards = pack_fakes(num_frames=2, base_url=f"file://{tmp_path}/mounted")
    with pytest.raises(DataMissingError, match="no such shard"):
        shards[0]
    (tmp_path / "mounted").mkdir()
    shutil.move(shards.root / "train-000000.tar", tmp_path / "mounted")
    assert shards[0]["name"]
