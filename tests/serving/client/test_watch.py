"""The live view of a server."""

import datetime as dt
import http.client
import http.server
import io
import threading

import pytest
from rich.console import Console

from isthmus import cli
from isthmus.errors import ConfigurationError, ServingError
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.serving.client import Change, ModelChange
from isthmus.serving.client.messages import model_info_of
from isthmus.serving.watch import watch
from isthmus.serving.watch.metrics_page import MetricsPage, parse_metrics, read_metrics
from isthmus.serving.watch.run import _follow, _Lines
from isthmus.serving.watch.state import WatchState
from isthmus.serving.watch.view import draw

NOW = dt.datetime.now(dt.UTC)
PAGE = """# HELP isthmus_frames_total Frames.
# TYPE isthmus_frames_total counter
isthmus_frames_total{rpc="Segment",service_class="live",verdict="segmented"} 40.0
isthmus_frames_total{rpc="StreamSegment",service_class="live",verdict="segmented"} 2.0
isthmus_frames_total{rpc="StreamSegment",service_class="live",verdict="superseded"} 3.0
# HELP isthmus_model_changes_total New versions.
# TYPE isthmus_model_changes_total counter
isthmus_model_changes_total{result="swapped"} 3.0
isthmus_model_changes_total{result="refused"} 1.0
isthmus_model_changes_total{result="rolled_back"} 0.0
# HELP isthmus_queue_depth Waiting.
# TYPE isthmus_queue_depth gauge
isthmus_queue_depth 5.0
# HELP other_total Not ours.
# TYPE other_total counter
other_total 9.0
"""


def shown(state):
    console = Console(file=io.StringIO(), width=100)
    console.print(draw(state))
    return console.file.getvalue()


@pytest.fixture
def metrics_url():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/metrics"
        server.shutdown()
        thread.join()


def test_one_look(scripted_thread, metrics_url):
    server = scripted_thread().server
    console = Console(file=io.StringIO(), width=100)
    assert watch(server.address, metrics_url=metrics_url, once=True, console=console)
    page = console.file.getvalue()
    for part in ("SERVING", "scripted version 1", "CPUExecutionProvider", "segmented", "42", "superseded", "5 waiting"):
        assert part in page
    assert "new versions so far: 1 refused, 3 swapped " in page


def test_one_look_at_a_real_server(address, capsys):
    cli.main(["watch", address, "--once"])
    page = capsys.readouterr().out
    assert "tiny version file" in page
    assert "SERVING" in page


def test_one_look_at_nobody_exits_with_1(nobody, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["watch", nobody, "--once"])
    assert caught.value.code == 1
    assert "no server answers" in capsys.readouterr().out


async def test_changes_are_shown_as_they_come(scripted, until_true, say):
    import asyncio

    server = await scripted()
    state = WatchState(server.address)
    following = asyncio.create_task(_follow(state, None, 0.01, lambda: None))
    await until_true(lambda: state.is_serving and state.changes)
    model = pb.ModelInfo()
    model.CopyFrom(say.MODEL)
    model.version = "2"
    server.changes.put_nowait(pb.WatchModelResponse(change=pb.MODEL_CHANGE_SWAPPED, model=model))
    refused = pb.WatchModelResponse(change=pb.MODEL_CHANGE_REFUSED, model=model, refused_version="3", reason="too slow")
    server.changes.put_nowait(refused)
    await until_true(lambda: len(state.changes) == 3)
    page = shown(state)
    assert "scripted version 2" in page
    assert "version 3 refused, version 2 goes on" in page
    assert "too slow" in page
    await server.kill()
    await until_true(lambda: not state.is_serving and state.changes_problem)
    assert "no server answers" in shown(state)
    await server.start()
    await until_true(lambda: state.is_serving)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


def test_rates_are_taken_between_two_readings():
    state = WatchState("a:1", metrics_url="http://a")
    state.read(10.0, MetricsPage({"segmented": 100.0, "expired": 7.0}))
    assert state.rates() is None
    state.read(12.0, MetricsPage({"segmented": 160.0, "expired": 4.0, "invalid": 1.0}))  # expired: a fresh server
    assert state.rates() == {"segmented": 30.0, "expired": 2.0, "invalid": 0.5}
    assert "30.0" in shown(state)


def test_pages_that_are_none_are_named(nobody):
    with pytest.raises(ServingError, match="is no metrics page"):
        parse_metrics("<html>not found</html>", where="http://a")
    with pytest.raises(ServingError, match="no metrics to be had"):
        read_metrics(f"http://{nobody}/metrics")
    with pytest.raises(ConfigurationError, match="no http"):
        read_metrics("file:///etc/passwd")
    foreign = "# HELP node_load1 Load.\n# TYPE node_load1 gauge\nnode_load1 0.5\n"
    for page in ("", foreign):
        with pytest.raises(ServingError, match=r"is no metrics page of isthmus.*--metrics-port"):
            parse_metrics(page, where="http://a")
    assert parse_metrics("# TYPE isthmus_frames_total counter\n", where="http://a") == MetricsPage()


def test_the_port_for_frames_has_no_metrics(address):
    with pytest.raises(ServingError, match=r"does not speak HTTP .*--metrics-port"):
        read_metrics(f"http://{address}/metrics")


def test_a_page_that_breaks_off(metrics_url, monkeypatch):
    def broken(self, *args):
        raise http.client.IncompleteRead(b"isthmus")

    monkeypatch.setattr(http.client.HTTPResponse, "read", broken)
    with pytest.raises(ServingError, match="IncompleteRead"):
        read_metrics(metrics_url)


def test_without_a_terminal_each_change_is_a_line(say):
    state, console = WatchState("a:1", metrics_url="http://a"), Console(file=io.StringIO(), width=20)
    lines = _Lines(state, console)

    def told():
        lines.show()
        text = console.file.getvalue()
        console.file.seek(0)
        console.file.truncate()
        return [line.partition(" ")[2] for line in text.splitlines()]

    assert told() == []  # before the first look
    state.health, state.problem = "NOT_SERVING", "no model yet"
    assert told() == ["NOT_SERVING; no model yet"]
    state.health, state.model = "SERVING", model_info_of(say.MODEL)
    state.read(1.0, MetricsPage({"segmented": 2.0, "expired": 1.0}))
    assert told() == ["SERVING; scripted version 1; 1 expired, 2 segmented"]
    assert told() == []
    state.changes.append((NOW, ModelChange(Change.CURRENT, state.model, "", "", None)))
    assert told() == []
    state.changes.append((NOW, ModelChange(Change.REFUSED, state.model, "too slow", "3", None)))
    assert told() == ["refused: version 3 refused, version 1 goes on: too slow"]
    state.metrics_problem = "no metrics to be had"
    assert told() == ["SERVING; scripted version 1; no metrics to be had"]


def test_watching_without_a_terminal(scripted_thread, monkeypatch):
    server, console = scripted_thread().server, Console(file=io.StringIO())

    def stop_when_told(self):
        show(self)
        if "SERVING; scripted version 1" in console.file.getvalue():
            raise KeyboardInterrupt

    show = _Lines.show
    monkeypatch.setattr(_Lines, "show", stop_when_told)
    assert watch(server.address, console=console, interval_s=0.01)
    assert len(console.file.getvalue().splitlines()) == 1


def test_one_of_a_kind_is_singular():
    state = WatchState("a:1", metrics_url="http://a")
    state.read(1.0, MetricsPage({}, {"streams": 1.0, "waiting": 1.0}))
    assert "1 stream, 1 waiting" in shown(state)


def test_what_is_unusual_is_said(scripted_thread):
    server = scripted_thread().server
    server.model = pb.ModelInfo(name="m", version="1", provider="CPU", provider_fallback=True, from_cache=True)
    console = Console(file=io.StringIO(), width=100)
    watch(server.address, metrics_url="http://127.0.0.1:1/metrics", once=True, console=console)
    page = console.file.getvalue()
    for part in ("a GPU was wanted", "from the cache", "no metrics to be had"):
        assert part in page
