"""How far two models with the same weights are apart: logits, states and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


@dataclass
class Parity:
    """Largest absolute differences from the reference, and the largest values they stand beside.

    ``logits`` is None for a model without an output layer; ``hidden_relative`` is the largest
    difference of a state as a share of that layer's largest state; ``gradient`` is the largest
    over all parameters. ``scale`` and ``gradient_scale`` are the reference's largest state and
    gradient.
    """

    model: str
    parameters: int
    logits: float | None
    hidden: float
    hidden_relative: float
    gradient: float
    scale: float
    gradient_scale: float


def randomise(model: nn.Module) -> Any:
    """Weights so large that every part matters: matrices of deviation 1/√width, norms near 1."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        with torch.no_grad():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                parameter.copy_(noise * parameter.shape[-1] ** -0.5)
            else:
                parameter.add_(0.1 * noise)
    return model.eval()


def compare(
    name: str,
    models: tuple[nn.Module, Any],
    logits: tuple[Tensor | None, Tensor | None],
    hidden: Iterable[tuple[Tensor, Tensor]],
    labels: Tensor | None,
    to_their_names: Callable[[dict[str, Tensor]], dict[str, Tensor]],
) -> Parity:
    """Differences of logits and states, and of all gradients of a loss made from them."""
    model, theirs = models
    pairs = list(hidden)
    for values, side in zip((0, 1), models, strict=True):
        output = logits[values]
        if output is None or labels is None:  # a loss that touches every number of the last states
            loss = torch.stack([pair[values].square().mean() for pair in pairs[-2:]]).sum()
        else:
            loss = cross_entropy(output.flatten(0, -2), labels.flatten())
        inputs = list(side.values()) if isinstance(side, dict) else list(side.parameters())
        loss.backward(inputs=[p for p in inputs if p.requires_grad], retain_graph=True)
    named = theirs.items() if isinstance(theirs, dict) else theirs.named_parameters()
    expected = {k: p.grad for k, p in named if p.grad is not None}
    found = to_their_names({k: _grad(p) for k, p in model.named_parameters()})
    wrong = {k for k in expected if k not in found}
    if wrong:
        raise KeyError(f"{name}: no gradient of ours for {sorted(wrong)}")
    return Parity(
        model=name,
        parameters=sum(p.numel() for p in model.parameters()),
        logits=None if logits[0] is None else _distance(logits),
        hidden=max(_distance(pair) for pair in pairs),
        hidden_relative=max(_distance(pair) / _size(pair[1]) for pair in pairs),
        gradient=max(_distance((found[k], expected[k])) for k in expected),
        scale=max(_size(b) for _, b in pairs),
        gradient_scale=max(_size(g) for g in expected.values()),
    )


def _grad(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _distance(pair: tuple[Any, Any]) -> float:
    return float((pair[0].detach() - pair[1].detach()).abs().max())


def _size(tensor: Tensor) -> float:
    return float(tensor.detach().abs().max())


def random_ids(vocab_size: int, *shape: int, seed: int = 0) -> Tensor:
    """Ids but 0, which the reference pads with and gives no gradient."""
    return torch.randint(1, vocab_size, shape, generator=torch.Generator().manual_seed(seed))


def quietly(load: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """Call without progress bars and notices."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return load(*arguments, **more).eval()
