"""LoRA: a frozen model learns through small matrices beside its own."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float
from safetensors.torch import save
from torch import Tensor, nn

from llmbook.files import read_tensors, write_atomically

Model = TypeVar("Model", bound=nn.Module)


class LoRALinear(nn.Module):
    """A linear layer with an adapter beside it: base(x) + α/r · B A dropout(x).

    A (r, in) starts random and B (out, r) at zero, so that the layer starts as its base.

    Args:
        base: any layer with ``in_features`` and ``out_features``: `torch.nn.Linear`, or a
            quantised one (Dettmers et al. 2023, QLoRA). It is left as it is.
        rank: r, the width of the adapter.
        alpha: α; the adapter's output is scaled by α / r.
        dropout: on the adapter's input, while training.

    Source: Hu et al. 2022, eq. 3 and section 4.1. Taught in chapter 20.
    """

    def __init__(self, base: nn.Module, rank: int, alpha: float, dropout: float = 0.0) -> None:
        super().__init__()
        self.base, self.scale, self.merged = base, alpha / rank, False
        self.in_features, self.out_features = _sizes(base)
        device = next(iter([*base.parameters(), *base.buffers()])).device
        self.lora_a = nn.Parameter(torch.empty(rank, self.in_features, device=device))
        self.lora_b = nn.Parameter(torch.zeros(self.out_features, rank, device=device))
        self.dropout = nn.Dropout(dropout)
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    def forward(self, x: Float[Tensor, "... n_in"]) -> Float[Tensor, "... n_out"]:
        """The base's answer and the adapter's."""
        y = self.base(x)
        if self.merged:
            return y
        small = self.dropout(x).to(self.lora_a.dtype) @ self.lora_a.T  # (..., r)
        return y + (small @ self.lora_b.T * self.scale).to(y.dtype)

    @property
    def weight(self) -> Tensor:
        """What the layer multiplies by, adapter included, for code that reads it."""
        weight = self.base.get_parameter("weight")
        return weight if self.merged else weight + self.update().to(weight.dtype)

    @property
    def bias(self) -> Tensor | None:
        """The base's bias."""
        return getattr(self.base, "bias", None)

    def update(self) -> Float[Tensor, "n_out n_in"]:
        """α/r · B A, which merging adds to the base's weight."""
        return self.lora_b @ self.lora_a * self.scale


def apply_lora(
    model: Model,
    rank: int = 8,
    alpha: float = 16.0,
    targets: Sequence[str] = ("query", "value"),
    dropout: float = 0.0,
) -> Model:
    """Freeze a model and put an adapter beside each linear layer that is named.

    Args:
        rank, alpha, dropout: see `LoRALinear`.
        targets: last parts of names (``query``, ``down``) or whole names
            (``blocks.0.attention.query``). Hu et al. adapt queries and values; all of
            query, key, value, out, up, gate, down learn more per step.

    Returns:
        The same model, changed in place.

    Raises:
        ValueError: rank below 1, no layer of these names, or adapters already there.
    """
    if rank < 1:
        raise ValueError(f"rank={rank}: give at least 1")
    if any(True for _ in adapters(model)):
        raise ValueError("the model has adapters already: merge them with keep=False first")
    linear = {name for name, m in model.named_modules() if _sizes(m) != (0, 0)}
    chosen = [n for n in sorted(linear) if n in targets or n.rsplit(".", 1)[-1] in targets]
    if not chosen:
        there = sorted({name.rsplit(".", 1)[-1] for name in linear})
        raise ValueError(f"no linear layer is called {list(targets)}: there are {there}")
    model.requires_grad_(False)
    for name in chosen:
        base = model.get_submodule(name)
        model.set_submodule(name, LoRALinear(base, rank, alpha, dropout).train(base.training))
    return model


def adapters(model: nn.Module) -> Iterator[tuple[str, LoRALinear]]:
    """The adapted layers and their names."""
    return ((n, m) for n, m in model.named_modules() if isinstance(m, LoRALinear))


def lora_parameters(model: nn.Module) -> list[nn.Parameter]:
    """A and B of every adapter: all that is trained."""
    return [p for _, layer in adapters(model) for p in (layer.lora_a, layer.lora_b)]


@torch.no_grad()
def merge_lora(model: Model, keep: bool = True) -> Model:
    """Add every adapter to its base's weight: the same logits, at the base's speed.

    Args:
        keep: keep the adapters for `unmerge_lora`. Without, the model is a plain one again,
            with the names it had before, as an export needs it.

    Raises:
        ValueError: a base without a floating-point weight (a quantised one cannot take the
            update without rounding it away), or no adapters.
    """
    for name, layer in _some(model):
        weight = getattr(layer.base, "weight", None)
        if not isinstance(weight, Tensor) or not weight.is_floating_point():
            raise ValueError(
                f"{name} is a {type(layer.base).__name__} without a floating-point weight: keep "
                "its adapter apart, or apply it to the model before it was quantised"
            )
    for name, layer in _some(model):
        if not layer.merged:
            layer.base.get_parameter("weight").add_(layer.update())
            layer.merged = True
        if not keep:
            model.set_submodule(name, layer.base)
    return model


@torch.no_grad()
def unmerge_lora(model: Model) -> Model:
    """Take every merged adapter out of its base's weight again, up to rounding."""
    for _, layer in _some(model):
        if layer.merged:
            layer.base.get_parameter("weight").sub_(layer.update())
            layer.merged = False
    return model


def save_lora(model: nn.Module, path: str | Path) -> None:
    """Write the adapters alone to one safetensors file, settings in its header.

    Raises:
        ValueError: the model has none.
        OSError: the disk is full or read-only.
    """
    tensors, scales = {}, {}
    for name, layer in _some(model):
        tensors[f"{name}.lora_a"] = layer.lora_a.detach().cpu().contiguous()
        tensors[f"{name}.lora_b"] = layer.lora_b.detach().cpu().contiguous()
        scales[name] = {"scale": layer.scale, "dropout": layer.dropout.p}
    header = {"format": "llmbook.lora", "base": type(model).__name__, "layers": json.dumps(scales)}
    write_atomically(path, save(tensors, metadata=header))


def load_lora(model: Model, path: str | Path) -> Model:
    """Put saved adapters beside the layers that they were trained for.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, holds something else, or belongs to another base.
    """
    tensors, header = read_tensors(path)
    try:
        layers = json.loads(header["layers"])
        wanted = {f"{name}.lora_{x}" for name in layers for x in "ab"}
        if header.get("format") != "llmbook.lora" or wanted != tensors.keys() or not layers:
            raise KeyError("layers")
        settings = {n: (float(s["scale"]), float(s["dropout"])) for n, s in layers.items()}
        if not all(math.isfinite(scale) and 0.0 <= p < 1.0 for scale, p in settings.values()):
            raise ValueError("scale or dropout")
        if not all(t.is_floating_point() for t in tensors.values()):
            raise TypeError("whole numbers")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise ValueError(f"{path} holds no adapters: write them with save_lora") from None
    for name in layers:
        _check_fit(model, name, tensors, header.get("base"), path)
    apply_lora(model, rank=1, targets=list(layers))
    for name, layer in adapters(model):
        layer.scale, layer.dropout.p = settings[name]
        device = layer.lora_a.device
        layer.lora_a = nn.Parameter(tensors[f"{name}.lora_a"].to(device))
        layer.lora_b = nn.Parameter(tensors[f"{name}.lora_b"].to(device))
    return model


def _check_fit(
    model: nn.Module, name: str, tensors: dict[str, Tensor], base: str | None, path: str | Path
) -> None:
    a, b = tensors[f"{name}.lora_a"].shape, tensors[f"{name}.lora_b"].shape
    try:
        n_in, n_out = _sizes(model.get_submodule(name))
    except AttributeError:
        n_in = n_out = 0
    fits = (a[1:], b[:1], a[:1]) == ((n_in,), (n_out,), b[1:]) and base == type(model).__name__
    if not fits or not n_in:
        raise ValueError(
            f"{path} adapts {name} of a {base} with A {tuple(a)} and B {tuple(b)}, which does not "
            f"fit this {type(model).__name__}: load the model that it was trained on"
        )


def _some(model: nn.Module) -> list[tuple[str, LoRALinear]]:
    found = list(adapters(model))
    if not found:
        raise ValueError("the model has no adapters: call apply_lora first")
    return found


def _sizes(layer: nn.Module) -> tuple[int, int]:
    """(in_features, out_features), or (0, 0) for what is no linear layer."""
    n_in, n_out = getattr(layer, "in_features", 0), getattr(layer, "out_features", 0)
    return (n_in, n_out) if isinstance(n_in, int) and isinstance(n_out, int) else (0, 0)
