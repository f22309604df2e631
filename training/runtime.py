"""Where and how a run computes: device, precision, memory layout, processes."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from isthmus.datasets.sample import Batch
from isthmus.errors import ConfigurationError
from isthmus.training.distributed import World

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Device, precision, layout and processes of a run; methods build and call their networks through it."""

    world: World
    """This process among all of the run."""
    device: torch.device
    """What this process computes on."""
    precision: Precision
    """`bf16` runs forward passes in autocast; weights and optimisers stay fp32."""
    channels_last: bool
    """Whether images and convolutions lie in memory as NHWC."""
    compile: bool
    """Whether training forward passes go through torch.compile."""

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of a method's forward passes."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def place(self, network: nn.Module) -> None:
        """Move a network to the device, in the run's memory layout, once before its optimiser is built."""
        network.to(self.device)
        if self.channels_last:
            network.to(memory_format=torch.channels_last)
        if self.precision == "bf16" and self.device.type == "cpu":
            _keep_depthwise_in_fp32(network)

    def compile_calls(self, network: nn.Module) -> None:
        """Send a network's own calls through torch.compile where the run wants that; not for what `parallel` wraps.

        It stays the same object, with the same names of weights.
        """
        if self.compile:
            network.compile()

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network to call in training: the same weights, averaged gradients over all processes."""
        wrapped: nn.Module = network
        if self.world.size > 1:
            ids = [self.world.local_rank] if self.device.type == "cuda" else None
            # Some encoders keep last layers that no decoder reads (EfficientNet's conv_head): they get no gradient.
            wrapped = DistributedDataParallel(network, device_ids=ids, find_unused_parameters=True)
        # torch.compile is typed as returning a callable; given a module it returns one.
        return torch.compile(wrapped) if self.compile else wrapped  # type: ignore[return-value]

    def image(self, batch: Batch) -> Tensor:
        """A batch's images on the device, in the run's memory layout."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return batch["image"].to(self.device, non_blocking=True, memory_format=layout)

    def to_device(self, batch: Batch) -> Batch:
        """The whole batch on the device."""
        moved: Batch = {"image": self.image(batch), "names": batch["names"]}
        if "mask" in batch:
            moved["mask"] = batch["mask"].to(self.device, non_blocking=True)
        return moved


def choose_device(name: str, world_local_rank: int = 0) -> torch.device:
    """`auto`, `cpu` or `cuda` as a device.

    Raises:
        ConfigurationError: `cuda` is asked for and there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("no CUDA device is visible", where="--device", remedy="Use --device cpu or auto.")
    return torch.device("cuda", world_local_rank) if name == "cuda" else torch.device(name)


def _keep_depthwise_in_fp32(network: nn.Module) -> None:
    """Take depthwise convolutions out of CPU autocast.

    Their bf16 backward pass is several times slower than the fp32 one: a third of a whole step with
    EfficientNet-Lite0 at 192x256 (0.66 s against 0.42 s on two cores).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            module.forward = partial(_forward_fp32, module.forward)  # type: ignore[method-assign]


def _forward_fp32(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return forward(x.float())
