"""Several processes, one run: started by `torchrun`, gloo between CPUs, NCCL between GPUs."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class World:
    """This process among all processes of the run.

    Rank 0 alone writes files, tracks and prints; all ranks train on their own share of the batches.
    """

    rank: int = 0
    """Index of this process in the run."""
    size: int = 1
    """Number of processes."""
    local_rank: int = 0
    """Index of this process on its machine, and of its GPU."""

    @property
    def is_main(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            dist.barrier()

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over all processes, in a new tensor."""
        total = tensor.clone()
        if self.size > 1:
            dist.all_reduce(total)
        return total

    def share(self, tensor: Tensor) -> None:
        """Overwrite a tensor with rank 0's."""
        if self.size > 1:
            dist.broadcast(tensor, 0)

    def share_buffers(self, network: nn.Module) -> None:
        """Overwrite a network's buffers, such as running means of normalisation layers, with rank 0's.

        Rank 0's rather than their mean: DistributedDataParallel hands them out at each forward pass, and checkpoints
        hold them, so that a resumed run goes on with what the other processes would have had. One message a type.
        """
        if self.size == 1:
            return
        by_type: dict[torch.dtype, list[Tensor]] = {}
        for buffer in network.buffers():
            by_type.setdefault(buffer.dtype, []).append(buffer)
        for buffers in by_type.values():
            message = torch.cat([buffer.reshape(-1) for buffer in buffers])
            dist.broadcast(message, 0)
            for buffer, theirs in zip(buffers, torch.split(message, [one.numel() for one in buffers]), strict=True):
                buffer.copy_(theirs.view_as(buffer))

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each parameter's gradient by its mean over all processes, in one message.

        For networks that take part in several forward passes before one update, which DistributedDataParallel does
        not follow. A parameter without a gradient on this process counts as zero, so that all send alike.
        """
        if self.size == 1:
            return
        ours = [parameter for parameter in parameters if parameter.requires_grad]
        for parameter in ours:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [cast(Tensor, parameter.grad) for parameter in ours]
        message = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(message)
        message /= self.size
        for gradient, mean in zip(gradients, torch.split(message, [one.numel() for one in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def gather(self, value: Any) -> list[Any]:
        """One value of each process, in order of rank; on every process."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values


@contextmanager
def joined_world(device_kind: str) -> Iterator[World]:
    """Join the run that `torchrun` describes in the environment, or be a world of one.

    Args:
        device_kind: `cuda` talks through NCCL, everything else through gloo.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    world = World(rank=int(os.environ["RANK"]), size=size, local_rank=int(os.environ.get("LOCAL_RANK", "0")))
    if device_kind == "cuda":
        torch.cuda.set_device(world.local_rank)
    dist.init_process_group("nccl" if device_kind == "cuda" else "gloo")
    try:
        yield world
    finally:
        dist.destroy_process_group()
