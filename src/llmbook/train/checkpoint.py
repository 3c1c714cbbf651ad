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

FILE_NAME = "checkpoint.safetensors"


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    progress: dict[str, Any],
) -> None:
    """Write a checkpoint atomically.

    Args:
        path: the file; its folder is made if need be.
        model, optimizers: what is being trained.
        progress: whatever JSON can hold: the step, the batches' position, the settings.

    Raises:
        OSError: the disk is full or read-only; the checkpoint before is still there.
    """
    tensors = {f"model.{k}": v for k, v in _unshared(model.state_dict()).items()}
    numbers: list[Any] = []
    for i, optimizer in enumerate(optimizers):
        state = optimizer.state_dict()
        for parameter, values in state["state"].items():
            for name, value in values.items():
                tensors[f"optimizer.{i}.{parameter}.{name}"] = torch.as_tensor(value)
        numbers.append(state["param_groups"])
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    header = {"progress": json.dumps(progress), "param_groups": json.dumps(numbers)}
    contiguous = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    write_atomically(path, save(contiguous, metadata=header))


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


def _unshared(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tied weights are one tensor under two names; a file holds it once."""
    seen: set[int] = set()
    kept = {}
    for name, tensor in state.items():
        if tensor.data_ptr() not in seen or tensor.numel() == 0:
            kept[name] = tensor
            seen.add(tensor.data_ptr())
    return kept


def _restore_model(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    own = model.state_dict()
    wanted = _unshared(own)
    if wanted.keys() != tensors.keys():
        raise KeyError(f"weights differ: {sorted(wanted.keys() ^ tensors.keys())[:3]}")
    model.load_state_dict(tensors, strict=False)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, groups: list[Any], tensors: dict[str, Tensor]
) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        parameter, field = name.split(".", 1)
        state.setdefault(int(parameter), {})[field] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": groups})
