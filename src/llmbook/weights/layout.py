"""What reading and writing folders in the hub's layout have in common, whatever the family."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import save
from torch import Tensor

from llmbook.config import TransformerConfig
from llmbook.files import write_atomically

MAX_CONTEXT = 1 << 22
"""Longer contexts are refused."""
MAX_ROTATIONS = 1 << 27
"""Most numbers in RoPE's tables, positions times head width: more would fill the memory."""

Config = TypeVar("Config", bound=TransformerConfig)

ACTIVATIONS = {"gelu": "gelu_erf", "gelu_new": "gelu", "relu": "relu", "silu": "silu"}
"""The hub's name of an activation → ours. It also writes ``swish`` for ``silu``."""


def read_config(document: dict[str, Any], family: str, make: Callable[[], Config]) -> Config:
    """What ``make`` gives, with every way in which a config.json can be wrong as one error.

    Raises:
        ValueError: another family, a missing field, or one of the wrong kind.
    """
    if document.get("model_type") != family:
        raise ValueError(
            f"config.json: model_type {document.get('model_type')!r} is not {family!r}"
        )
    try:
        config = make()
    except KeyError as error:
        raise ValueError(f"config.json lacks {error.args[0]!r}") from None
    except (TypeError, AttributeError) as error:
        raise ValueError(f"config.json has a value of the wrong kind: {error}") from None
    try:
        refuse_long_context(config)
    except ValueError as error:
        raise ValueError(f"config.json: {error}") from None
    return config


def refuse_long_context(config: TransformerConfig) -> None:
    """Raise ValueError where tables of positions alone would fill the memory."""
    turned = config.d_head if config.position == "rope" else 0
    if config.context_length > MAX_CONTEXT or config.context_length * turned > MAX_ROTATIONS:
        raise ValueError(
            f"a context of {config.context_length:,} is over {MAX_CONTEXT:,}, or over "
            f"{MAX_ROTATIONS:,} with heads of width {turned:,}"
        )


def our_activation(name: str) -> Any:
    """Our name of the hub's activation.

    Raises:
        ValueError: one that the models here do not have.
    """
    known = ACTIVATIONS | {"swish": "silu"}
    if name not in known:
        raise ValueError(f"config.json: activation {name!r} is none of {[*known]}")
    return known[name]


def hub_activation(config: TransformerConfig, **needed: Any) -> str:
    """The hub's name of our activation, where the configuration is one that the hub knows.

    Raises:
        ValueError: one of the ``needed`` choices is made otherwise.
    """
    needed |= {"n_kv_head": config.n_head, "norm": "layernorm", "bias": True, "n_expert": 0}
    needed |= {"norm_first": False, "window": None, "tie_embeddings": True}
    wrong = [f"{k}={getattr(config, k)!r}" for k, v in needed.items() if getattr(config, k) != v]
    names = {ours: theirs for theirs, ours in ACTIVATIONS.items()}
    if config.mlp not in names:
        wrong.append(f"mlp={config.mlp!r}")
    if wrong:
        raise ValueError(f"the hub's layout has no such model: {', '.join(wrong)}")
    return names[config.mlp]


def rename(tensors: Mapping[str, Tensor], modules: Mapping[str, str]) -> dict[str, Tensor]:
    """The same tensors; of each name the part before the last dot is looked up."""
    renamed = {}
    for key, tensor in tensors.items():
        module, _, kind = key.rpartition(".")
        renamed[f"{modules.get(module, module)}.{kind}"] = tensor
    return renamed


def write_folder(folder: str | Path, document: dict[str, Any], tensors: dict[str, Tensor]) -> Path:
    """Write config.json and model.safetensors."""
    folder = Path(folder)
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(folder / "model.safetensors", save(ready, metadata={"format": "pt"}))
    write_atomically(folder / "config.json", (json.dumps(document, indent=2) + "\n").encode())
    return folder
