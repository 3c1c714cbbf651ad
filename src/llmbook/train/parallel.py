"""One run on several processes: who they are, how the model is spread, what they share.

``torchrun`` starts the processes and says to each which one it is. Every process draws the whole
batch and keeps its rows, so that N processes take the steps that one would take. Started
without ``torchrun``, everything here does nothing.

Source: Li et al. 2020 (DDP); Zhao et al. 2023 (FSDP). Taught in chapter 16.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor, nn

from llmbook.nn import Block

Parallel = Literal["ddp", "fsdp"]
"""``ddp``: a whole model on each process. ``fsdp``: each holds a share of every weight."""


@contextmanager
def process_group(device: torch.device | str = "cpu") -> Iterator[torch.device]:
    """Join the processes that ``torchrun`` started; leave them at the end.

    Yields:
        This process's device: its own card (``LOCAL_RANK``) where ``device`` is cuda.
    """
    device = torch.device(device)
    if not {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= os.environ.keys():
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    # When torchrun starts everybody anew, the addresses of the dead still stand in its store.
    store, number, n = next(dist.rendezvous("env://"))
    store = dist.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=number, world_size=n)
    before = signal.signal(signal.SIGTERM, _ended)
    try:
        yield device
    finally:
        signal.signal(signal.SIGTERM, before)
    dist.destroy_process_group()


def rank() -> int:
    """The number of this process; 0 is the one that writes and speaks."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def world_size() -> int:
    """How many processes take part."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@contextmanager
def rank_zero_first() -> Iterator[None]:
    """Let process 0 do something before the others, who then find it done (a cache)."""
    if world_size() > 1 and rank() > 0:
        dist.barrier()
    yield
    if world_size() > 1 and rank() == 0:
        dist.barrier()


def spread(model: nn.Module, parallel: Parallel | None) -> nn.Module:
    """What is called in the model's place, so that the processes' gradients are averaged.

    DDP wraps the model. FSDP changes it in place: its weights become `DTensor`, of which each
    process holds some rows, gathered for one block at a time.

    Raises:
        ValueError: an unknown way, or no processes to spread over.
    """
    if parallel is None:
        return model
    if parallel not in ("ddp", "fsdp"):
        raise ValueError(f"parallel={parallel!r}: choose ddp or fsdp")
    if not dist.is_initialized():
        raise ValueError(
            f"parallel={parallel!r} needs several processes: start the program with torchrun, as "
            "in torchrun --nproc-per-node 2 -m llmbook train --out runs/mine"
        )
    if parallel == "ddp":
        unused = bool(getattr(getattr(model, "config", None), "pooler", False))
        return nn.parallel.DistributedDataParallel(model, find_unused_parameters=unused)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    kind = next(model.parameters()).device.type
    mesh = init_device_mesh(kind, (world_size(),))
    for tensor in [*model.parameters(), *model.buffers()]:
        dist.broadcast(tensor.detach(), 0)  # one model, whatever each process began with
    for block in [m for m in model.modules() if isinstance(m, Block)]:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def gradients_stay_here(forward: nn.Module) -> AbstractContextManager[None]:
    """Inside, backward passes add up gradients without averaging over the processes."""
    if isinstance(forward, nn.parallel.DistributedDataParallel):
        return forward.no_sync()
    sharded = hasattr(forward, "set_requires_gradient_sync")
    return _unsynchronised(forward) if sharded else nullcontext()


@contextmanager
def _unsynchronised(model: Any) -> Iterator[None]:
    model.set_requires_gradient_sync(False)
    yield
    model.set_requires_gradient_sync(True)


def my_share(batch: Any) -> Any:
    """The rows of a batch that this process works on.

    Raises:
        ValueError: a batch that cannot be divided evenly.
    """
    n = world_size()
    if n == 1:
        return batch
    if isinstance(batch, dict):
        return {name: my_share(part) for name, part in batch.items()}
    if isinstance(batch, (tuple, list)):
        return tuple(my_share(part) for part in batch)
    if len(batch) % n:
        raise ValueError(
            f"a batch of {len(batch)} cannot be shared evenly by {n} processes: make batch_size a "
            f"multiple of {n}"
        )
    return batch[rank() * (len(batch) // n) :][: len(batch) // n]


def total(value: float, device: torch.device) -> float:
    """The sum of a number over the processes."""
    if world_size() == 1:
        return value
    summed = torch.tensor(value, dtype=torch.float64, device=device)
    dist.all_reduce(summed)
    return float(summed)


def whole(tensor: Tensor) -> Tensor:
    """A tensor of which each process may hold a part, gathered; every process must ask."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def placed_like(tensor: Tensor, other: Any) -> Tensor:
    """A whole tensor cut up as ``other`` is, if it is."""
    if not hasattr(other, "full_tensor"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    tensor = tensor.to(other.device)  # every process has the whole: nothing is sent
    return distribute_tensor(tensor, other.device_mesh, other.placements, src_data_rank=None)


def gathered_state(model: nn.Module) -> dict[str, Tensor]:
    """The model's ``state_dict`` with whole tensors on the CPU; every process must ask."""
    return {name: whole(t).detach().cpu() for name, t in model.state_dict().items()}


def _ended(*_: Any) -> NoReturn:
    raise RuntimeError("ended from outside (SIGTERM), as torchrun does when another process fails")
