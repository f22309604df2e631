"""onnxruntime sessions: which provider, how many threads, and never a silent fall-back from GPU to CPU.

onnxruntime-gpu imports without a GPU and then runs on the CPU without a word (onnxruntime#23372), so a session's
providers are compared with the policy after it has been made.
"""

import functools
import logging
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import onnxruntime

from isthmus.artifact import INPUT_NAME, METADATA_KEY, OUTPUT_CONFIDENCE, OUTPUT_LABELS, ModelCard
from isthmus.errors import ContractError, ProviderError
from isthmus.serving.config import ProviderPolicy
from isthmus.serving.engine_config import EngineConfig
from isthmus.serving.scheduling.batching import batch_sizes

logger = logging.getLogger(__name__)

CUDA: Final = "CUDAExecutionProvider"
CPU: Final = "CPUExecutionProvider"
_CUDA_OPTIONS: Final = {
    "cudnn_conv_algo_search": "HEURISTIC",  # an exhaustive search stalls the first frame of each shape
    "arena_extend_strategy": "kSameAsRequested",  # two models must fit side by side
}
_UINT8: Final = "tensor(uint8)"
# A node's op_type as protobuf writes it: field 4, its length, the name. This image has no onnx package to ask.
_QUANTISED: Final = re.compile(
    rb"\x22(?:\x0eQuantizeLinear|\x10DequantizeLinear|\x0bQLinearConv|\x0bConvInteger|\x0cQLinearMatMul)"
)
_NO_CUDA_REMEDY: Final = (
    "Install isthmus[serve,gpu] on a machine with an NVIDIA driver, or choose the policy prefer_cuda or cpu."
)


@dataclass(frozen=True)
class OpenSession:
    """A session that keeps the contract.

    Args:
        session: onnxruntime's session.
        card: The model's card.
        provider: The execution provider that runs the graph.
        fallback: Whether a GPU was preferred but is not used.
        of_size: On a GPU a session for each batch size, `session` among them; empty on a CPU, which needs one alone.
    """

    session: Any
    card: ModelCard
    provider: str
    fallback: bool
    of_size: Mapping[int, Any] = field(default_factory=dict)


def check_policy(policy: ProviderPolicy) -> None:
    """Refuse a policy that this installation can never satisfy, before any model is there.

    Raises:
        ProviderError: The policy demands CUDA and this onnxruntime was built without it.
    """
    if policy is not ProviderPolicy.CPU and CUDA in onnxruntime.get_available_providers():
        _preload()
    elif policy is ProviderPolicy.REQUIRE_CUDA:
        raise ProviderError("the installed onnxruntime has no CUDA provider", remedy=_NO_CUDA_REMEDY)


@functools.cache
def _preload() -> None:
    """Find CUDA and cuDNN, which come as wheels, outside the loader's path."""
    onnxruntime.preload_dlls()


def open_session(
    model: bytes,
    policy: ProviderPolicy,
    *,
    num_threads: int,
    where: str | Path,
    engine: EngineConfig = EngineConfig(),  # noqa: B008 - frozen
    max_batch_size: int = 1,
) -> OpenSession:
    """Make a session for an ONNX file and check it against policy and contract; on a GPU one for each batch size.

    Args:
        model: The file's bytes: what was checked is what is run; a model with weights in other files is refused.
        policy: Where it may run.
        num_threads: Threads inside an operator, on the CPU.
        where: The file's path or address, for errors.
        engine: How much GPU memory it may take.
        max_batch_size: Most frames in a batch.

    Raises:
        ContractError: The file is no ONNX model with our card, inputs and outputs, or it is quantised and the policy
            demands CUDA.
        ProviderError: The policy demands CUDA and the session has none.
    """
    sessions, cause = _create(model, policy, num_threads, where, cuda_options(engine, max_batch_size))
    provider = CUDA if all(CUDA in session.get_providers() for session in sessions.values()) else CPU
    session = next(each for each in sessions.values() if (CUDA in each.get_providers()) == (provider == CUDA))
    fallback = provider != CUDA and policy is not ProviderPolicy.CPU
    if fallback and policy is ProviderPolicy.REQUIRE_CUDA:
        if isinstance(cause, ContractError):
            raise cause
        raise ProviderError(
            f"the model would run on the CPU{_because(cause)}", where=where, remedy=_NO_CUDA_REMEDY
        ) from cause
    if fallback:
        remedy = "" if isinstance(cause, ContractError) else f". {_NO_CUDA_REMEDY}"
        logger.warning("%s RUNS ON THE CPU although a GPU is preferred%s%s", where, _because(cause), remedy)
    card = _card(session, where)
    if card.precision == "fp16" and provider == CPU:
        logger.warning("%s computes in fp16, which a CPU imitates slowly; export it as fp32 for this machine", where)
    return OpenSession(session, card, provider, fallback, sessions if provider == CUDA else {})


def _create(
    model: bytes, policy: ProviderPolicy, num_threads: int, where: str | Path, options: Mapping[int, dict[str, str]]
) -> tuple[Mapping[int, Any], Exception | None]:
    """Sessions by batch size on the GPU if that is wanted and works, else one on the CPU and what is wrong there."""
    cause: Exception | None = None
    if policy is not ProviderPolicy.CPU and _QUANTISED.search(model):
        cause = ContractError(
            "the model is quantised, and onnxruntime's CUDA provider has no INT8 convolution: most of it would run on "
            "the CPU, with a copy before and after each layer",
            where=where,
            remedy="Export it with --precision fp16 for GPUs, or serve it with --provider cpu.",
        )
    elif policy is not ProviderPolicy.CPU and CUDA in onnxruntime.get_available_providers():
        try:
            _preload()
            on_gpu = {size: [(CUDA, each), CPU] for size, each in options.items()}
            return {size: _session(model, num_threads, wanted) for size, wanted in on_gpu.items()}, None
        except Exception as error:  # onnxruntime has a class for each of its status codes and no common base
            cause = error
    try:
        return {1: _session(model, num_threads, [CPU])}, cause
    except Exception as error:  # the model's fault: the CPU does not open it either
        raise ContractError(f"onnxruntime cannot open the model: {error}", where=where) from error


def cuda_options(engine: EngineConfig, max_batch_size: int) -> dict[int, dict[str, str]]:
    """Options of the CUDA provider by batch size, as onnxruntime reads them.

    The model's memory is shared out among its sessions: half of it alike, half by the frames in a batch.
    """
    sizes = batch_sizes(max_batch_size, CUDA)
    limit = engine.gpu_mem_limit_mb << 20
    shares = {size: (1 / len(sizes) + size / sum(sizes)) / 2 for size in sizes}
    return {size: {**_CUDA_OPTIONS, "gpu_mem_limit": str(int(limit * share))} for size, share in shares.items()}


def _session(model: bytes, num_threads: int, providers: list[Any]) -> Any:
    with tempfile.TemporaryDirectory() as nothing:  # else external weights are read from the working folder
        options = _options(num_threads)
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", nothing)
        session = onnxruntime.InferenceSession(model, options, providers=providers, enable_fallback=0)
    session.disable_fallback()  # else a CUDA error in run() quietly makes a new session, on the CPU
    return session


def _because(cause: Exception | None) -> str:
    return "" if cause is None else f": {cause}"


def available_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """How many CPUs this process may keep busy: its affinity, cut by the control group's quota (v2 or v1)."""
    allowed = len(os.sched_getaffinity(0))
    quota = _quota(cgroup)
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def _quota(cgroup: Path) -> float | None:
    try:
        if (cgroup / "cpu.max").is_file():
            quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    return None if quota in {"max", "-1"} else int(quota) / int(period)


def _options(num_threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # cores are shared
    return options


def _card(session: Any, where: str | Path) -> ModelCard:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ContractError("the ONNX file has no model card", where=where, remedy="Make it with `isthmus export`.")
    inputs = {node.name: (node.type, len(node.shape)) for node in session.get_inputs()}
    outputs = {node.name: (node.type, len(node.shape)) for node in session.get_outputs()}
    if inputs != {INPUT_NAME: (_UINT8, 4)}:
        raise ContractError(f"inputs are {inputs}, not one uint8 {INPUT_NAME} of rank 4", where=where)
    if outputs != {OUTPUT_LABELS: (_UINT8, 3), OUTPUT_CONFIDENCE: (_UINT8, 3)}:
        raise ContractError(
            f"outputs are {outputs}, not uint8 {OUTPUT_LABELS} and {OUTPUT_CONFIDENCE} of rank 3", where=where
        )
    return ModelCard.from_json(text, where=where)
