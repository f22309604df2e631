"""Fixed buffers, on the CPU's IOBinding; the same on a GPU where there is one."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from isthmus.artifact import sha256_of
from isthmus.errors import ContractError, EngineLostError
from isthmus.serving.bound_session import BoundSession
from isthmus.serving.config import ProviderPolicy, ServerConfig
from isthmus.serving.engine import OrtEngine
from isthmus.serving.engine_config import EngineConfig
from isthmus.serving.model import load_model, make_engine
from isthmus.serving.session import CPU, CUDA, OpenSession, cuda_options, open_session


@pytest.fixture
def session(model_file):
    return open_session(model_file.read_bytes(), ProviderPolicy.CPU, num_threads=1, where=model_file).session


def batch(tiny, count, height=48, width=64):
    return np.stack([tiny.street(height, width, seed=seed) for seed in range(count)])


def test_bound_runs_say_what_plain_runs_say(session, tiny):
    bound = BoundSession({1: session}, "cpu", 4)
    for images in (batch(tiny, 1), batch(tiny, 2), batch(tiny, 1)[:, :, ::-1], batch(tiny, 2, 32, 40), batch(tiny, 2)):
        labels, confidence = bound.run(images)
        plain = session.run(["labels", "confidence"], {"image": np.ascontiguousarray(images)})
        np.testing.assert_array_equal(labels, plain[0])
        np.testing.assert_array_equal(confidence, plain[1])


def test_each_batch_size_has_its_own_session(model_file, session, tiny):
    other = open_session(model_file.read_bytes(), ProviderPolicy.CPU, num_threads=1, where=model_file).session
    bound = BoundSession({1: session, 4: other}, "cpu", 8)
    for images in (batch(tiny, 4), batch(tiny, 1), batch(tiny, 4, 32, 40), batch(tiny, 1), batch(tiny, 2)):
        np.testing.assert_array_equal(bound.run(images)[0], tiny.expected_labels(images))
    used = {shape[0]: buffers.session for shape, buffers in bound._bound.items()}
    assert (used[1], used[4], used[2]) == (session, other, other)


def test_an_answer_outlives_the_next_batch(session, tiny):
    bound = BoundSession({1: session}, "cpu", 4)
    first, second = tiny.street(seed=1)[None], tiny.street(seed=2)[None]
    bound.run(first)
    answer, _ = bound.run(first)
    bound.run(second)
    np.testing.assert_array_equal(answer, tiny.expected_labels(first))


def test_later_batches_use_the_same_memory(session, tiny):
    bound = BoundSession({1: session}, "cpu", 4)
    bound.run(batch(tiny, 2))
    buffers = bound._bound[2, 48, 64, 3]
    before = [buffers.image.data_ptr(), *(value.data_ptr() for value in buffers.binding.get_outputs())]
    for _ in range(3):
        bound.run(batch(tiny, 2))
    assert [buffers.image.data_ptr(), *(value.data_ptr() for value in buffers.binding.get_outputs())] == before


def test_the_shape_used_longest_ago_goes_first(session, tiny):
    bound = BoundSession({1: session}, "cpu", 2)
    for count in (1, 2, 1, 4):
        bound.run(batch(tiny, count))
    assert [shape[0] for shape in bound.shapes] == [1, 4]


def test_a_shape_that_fails_leaves_nothing_behind(session, tiny, monkeypatch):
    bound = BoundSession({1: session}, "cpu", 2)
    with monkeypatch.context() as patch:
        patch.setattr(session, "run_with_iobinding", lambda _: (_ for _ in ()).throw(RuntimeError("no memory")))
        with pytest.raises(RuntimeError, match="no memory"):
            bound.run(batch(tiny, 1))
    assert bound.shapes == ()
    np.testing.assert_array_equal(bound.run(batch(tiny, 1))[0], tiny.expected_labels(batch(tiny, 1)))


async def test_engine_with_buffers_and_its_lost_gpu(session, tiny, monkeypatch):
    engine = OrtEngine(session, BoundSession({1: session}, "cpu", 2))
    np.testing.assert_array_equal((await engine.infer(batch(tiny, 2))).labels, tiny.expected_labels(batch(tiny, 2)))

    def fail(_):
        raise RuntimeError("Error in execution: CUDA failure 700: an illegal memory access was encountered")

    monkeypatch.setattr(session, "run_with_iobinding", fail)
    with pytest.raises(EngineLostError, match="provider has failed"):
        await engine.infer(batch(tiny, 2))
    engine.close()


async def test_memory_that_is_short_ends_no_server(session, tiny, monkeypatch):
    engine = OrtEngine(session, BoundSession({1: session}, "cpu", 2))
    with monkeypatch.context() as patch:
        full = RuntimeError("CUDA failure 2: out of memory ; GPU=0")
        patch.setattr(session, "run_with_iobinding", lambda _: (_ for _ in ()).throw(full))
        with pytest.raises(RuntimeError, match="out of memory"):
            await engine.infer(batch(tiny, 1))
    np.testing.assert_array_equal((await engine.infer(batch(tiny, 1))).labels, tiny.expected_labels(batch(tiny, 1)))
    engine.close()


def test_only_a_gpu_gets_buffers(session):
    card = None
    assert make_engine(OpenSession(session, card, CPU, False), EngineConfig())._bound is None
    bound = make_engine(OpenSession(session, card, CUDA, False, {1: session}), EngineConfig(bound_shapes=3))._bound
    assert (bound._device, bound._max_shapes) == ("cuda", 3)


def test_cuda_options_share_the_limit_out():
    options = cuda_options(EngineConfig(gpu_mem_limit_mb=2048), 8)
    limits = {size: int(each.pop("gpu_mem_limit")) >> 20 for size, each in options.items()}
    assert limits == {1: 324, 2: 392, 4: 529, 8: 802}
    assert (
        list(options.values())
        == [{"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}] * 4
    )


@pytest.fixture
def quantised(model_file, tmp_path):
    """The tiny model with a round trip through INT8."""
    model = onnx.load(model_file)
    model.graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(np.array(1, np.float32), "scale"),
            onnx.numpy_helper.from_array(np.array(0, np.int8), "point"),
        ]
    )
    model.graph.node.extend(
        [
            helper.make_node("Cast", ["confidence"], ["wide_confidence"], to=TensorProto.FLOAT),
            helper.make_node("QuantizeLinear", ["wide_confidence", "scale", "point"], ["int8"]),
            helper.make_node("DequantizeLinear", ["int8", "scale", "point"], ["unused"]),
        ]
    )
    onnx.save(model, tmp_path / "int8.onnx")
    return (tmp_path / "int8.onnx").read_bytes()


def test_quantised_model_is_refused_on_a_gpu_only(quantised, caplog, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    with pytest.raises(ContractError, match=r"m: the model is quantised.*no INT8 convolution.*--precision fp16"):
        open_session(quantised, ProviderPolicy.REQUIRE_CUDA, num_threads=1, where="m")
    assert open_session(quantised, ProviderPolicy.PREFER_CUDA, num_threads=1, where="m").fallback
    assert "quantised" in caplog.text
    opened = open_session(quantised, ProviderPolicy.CPU, num_threads=1, where="m")
    assert (opened.provider, opened.fallback) == (CPU, False)


@pytest.mark.gpu
def test_gpu_says_what_the_cpu_says(model_file, tiny):
    config = ServerConfig(model_file=model_file, provider_policy=ProviderPolicy.REQUIRE_CUDA)
    model = load_model(model_file, config, name=None, version="file", sha256=sha256_of(model_file))
    assert model.provider == CUDA
    for images in (batch(tiny, 1), batch(tiny, 4), batch(tiny, 1), batch(tiny, 4, 32, 40)):
        np.testing.assert_array_equal(model.engine.infer_now(images).labels, tiny.expected_labels(images))
    assert len(model.engine._bound.shapes) == 3
    sessions = model.engine._bound._sessions
    assert sorted(sessions) == [1, 2, 4, 8]
    assert all(CUDA in session.get_providers() for session in sessions.values())
    model.engine.close()
