"""How many CPUs a process may use; sessions never change their provider on their own."""

import os
import re

import onnx
import onnxruntime
import pytest
from onnx.external_data_helper import set_external_data

from isthmus.errors import ContractError, EngineLostError, ProviderError
from isthmus.serving.config import ProviderPolicy
from isthmus.serving.engine import OrtEngine
from isthmus.serving.session import CUDA, available_cpus, open_session

AFFINITY = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, AFFINITY),
        ({"cpu.max": "max 100000\n"}, AFFINITY),
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "99900000 100000\n"}, AFFINITY),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, AFFINITY),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
    ],
)
def test_quota_cuts_the_affinity(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_cpus(tmp_path) == expected


class FailingSession:
    """onnxruntime's inner session, whose next run fails the way a GPU does."""

    def __init__(self, inner, failure):
        self._inner = inner
        self._failure = failure

    def run(self, *_):
        raise self._failure

    def __getattr__(self, name):
        return getattr(self._inner, name)


@pytest.mark.parametrize(
    ("kind", "message", "lost"),
    [
        ("EPFail", "node Conv failed", True),
        ("Fail", "Non-zero status code: CUDA failure 700: an illegal memory access was encountered", True),
        ("Fail", "CUDNN failure 4000: CUDNN_STATUS_INTERNAL_ERROR", True),
        ("RuntimeException", "Failed to allocate memory for requested buffer", False),
    ],
)
def test_failing_provider_never_becomes_the_cpu(model_file, tiny, kind, message, lost):
    from onnxruntime.capi import _pybind_state

    opened = open_session(model_file.read_bytes(), ProviderPolicy.CPU, num_threads=1, where=model_file)
    failure = getattr(_pybind_state, kind)
    opened.session._sess = FailingSession(opened.session._sess, failure(message))
    opened.session._fallback_providers = ["CPUExecutionProvider"]
    engine = OrtEngine(opened.session)
    with pytest.raises(
        EngineLostError if lost else failure, match="provider has failed" if lost else re.escape(message)
    ):
        engine.infer_now(tiny.street()[None])
    engine.close()


def test_weights_outside_the_file_are_not_followed(model_file, tmp_path, monkeypatch):
    model = onnx.load(model_file)
    half = next(item for item in model.graph.initializer if item.name == "half")
    (tmp_path / "half.bin").write_bytes(half.raw_data)
    set_external_data(half, "half.bin", offset=0, length=1)
    half.ClearField("raw_data")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ContractError, match=r"half\.bin"):
        open_session(model.SerializeToString(), ProviderPolicy.CPU, num_threads=1, where="model.onnx")


@pytest.fixture
def machine_with_cuda(monkeypatch):
    """Makes onnxruntime list CUDA; a session with it fails to be made, or silently has only the CPU."""

    def pretend(failure):
        real = onnxruntime.InferenceSession

        def session(model, options, providers, **keywords):
            if len(providers) == 2 and failure is not None:
                raise failure
            return real(model, options, providers=["CPUExecutionProvider"], **keywords)

        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"])
        monkeypatch.setattr(onnxruntime, "InferenceSession", session)

    return pretend


@pytest.mark.parametrize("failure", [None, RuntimeError("CUDA failure 2: out of memory")])
def test_gpu_that_does_not_work_is_never_hidden(machine_with_cuda, model_file, caplog, failure):
    machine_with_cuda(failure)
    data = model_file.read_bytes()
    named = "runs? on the cpu" + ("" if failure is None else ".*out of memory")
    with pytest.raises(ProviderError, match=f"(?i)would {named}"):
        open_session(data, ProviderPolicy.REQUIRE_CUDA, num_threads=1, where="m")
    opened = open_session(data, ProviderPolicy.PREFER_CUDA, num_threads=1, where="m")
    assert (opened.provider, opened.fallback) == ("CPUExecutionProvider", True)
    assert re.search(f"(?i){named}", caplog.text)


def test_one_session_on_the_cpu_makes_the_model_one_of_the_cpu(model_file, monkeypatch):
    class Session:
        def __init__(self, real, providers):
            self._real, self._providers = real, providers

        def get_providers(self):
            return self._providers

        def __getattr__(self, name):
            return getattr(self._real, name)

    real, cpu = onnxruntime.InferenceSession, "CPUExecutionProvider"
    found = iter([[CUDA, cpu], [CUDA, cpu], [cpu], [CUDA, cpu]])  # quietly, for batches of four

    def session(model, options, *, providers, **keywords):
        return Session(real(model, options, providers=[cpu], **keywords), next(found))

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, cpu])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    opened = open_session(
        model_file.read_bytes(), ProviderPolicy.PREFER_CUDA, num_threads=1, where="m", max_batch_size=8
    )
    assert (opened.provider, opened.fallback, opened.of_size) == (cpu, True, {})
    assert opened.session.get_providers() == [cpu]


def test_bad_model_is_not_blamed_on_the_gpu(machine_with_cuda):
    machine_with_cuda(RuntimeError("invalid protobuf"))
    with pytest.raises(ContractError, match="cannot open"):
        open_session(b"hello", ProviderPolicy.REQUIRE_CUDA, num_threads=1, where="m")
