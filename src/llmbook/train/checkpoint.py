"""Checkpoints: everything that a run needs to go on as if it had never stopped.

One safetensors file holds the tensors (weights, optimizer state, random state) and, in its
header, the numbers. It is written atomically: a reader finds the old checkpoint or the new one,
never half of either.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from llmbook.files import read_tensors, write_atomically
from llmbook.train.parallel import placed_like, rank, whole

FILE_NAME = "checkpoint.safetensors"


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    progress: dict[str, Any],
) -> None:
    """Write a checkpoint atomically. Every process must call this; process 0 writes.

    The file holds whole tensors, however many processes share them.

    Args:
        path: the file; its folder is made if need be.
        model, optimizers: what is being trained.
        progress: whatever JSON can hold: the step, the batches' position, the settings.

    Raises:
        OSError: the disk is full or read-only; the checkpoint before is still there.
    """
    tensors = {f"model.{k}": _saved(v) for k, v in _unshared(model).items()}
    numbers: list[Any] = []
    for i, optimizer in enumerate(optimizers):
        state = optimizer.state_dict()
        for parameter, values in state["state"].items():
            for name, value in values.items():
                tensors[f"optimizer.{i}.{parameter}.{name}"] = _saved(torch.as_tensor(value))
        numbers.append(state["param_groups"])
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    header = {"progress": json.dumps(progress), "param_groups": json.dumps(numbers)}
    if rank() == 0:
        write_atomically(path, save(tensors, metadata=header))


def load_checkpoint(
    path: str | Path, model: nn.Module, optimizers: list[torch.optim.Optimizer]
) -> dict[str, Any]:
    """Put a checkpoint back into a model and its optimizers, random state included.

    Returns:
        The ``progress`` that was saved.

    Raises:
        ValueError: the file is damaged, or belongs to another model or optimizer.
    """
    tensors, header = read_tensors(path)
    try:
        progress = json.loads(header["progress"])
        groups = json.loads(header["param_groups"])
        if not isinstance(progress, dict):
            raise TypeError("no progress")
        _restore_model(model, _part(tensors, "model."))
        for i, optimizer in enumerate(optimizers):
            _restore_optimizer(optimizer, groups[i], _part(tensors, f"optimizer.{i}."))
        torch.set_rng_state(tensors["random.cpu"])
        if torch.cuda.is_available() and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"])
    except (KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged or belongs to another run ({str(error)[:200]}): delete it to "
            "start anew, or give the settings it was made with"
        ) from None
    return progress


def _saved(tensor: Tensor) -> Tensor:
    gathered = whole(tensor.detach())
    return gathered.cpu().contiguous() if rank() == 0 else gathered.new_empty(0)


def _unshared(model: nn.Module) -> dict[str, Tensor]:
    """Tied weights are one tensor under two names; a file holds it once."""
    seen: set[int] = set()
    kept = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            kept[name] = tensor
            seen.add(id(tensor))
    return kept


def _restore_model(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    own = _unshared(model)
    if own.keys() != tensors.keys():
        raise KeyError(f"weights differ: {sorted(own.keys() ^ tensors.keys())[:3]}")
    placed = {name: placed_like(tensor, own[name]) for name, tensor in tensors.items()}
    model.load_state_dict(placed, strict=False)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, groups: list[Any], tensors: dict[str, Tensor]
) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        parameter, field = name.split(".", 1)
        like = parameters[int(parameter)]
        if tensor.shape == like.shape:  # a moment, not a count of steps
            tensor = placed_like(tensor, like)
        state.setdefault(int(parameter), {})[field] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": groups})
