"""What the weights of an untrained model are."""

from __future__ import annotations

import math

from torch import nn

WRITES_TO_STREAM = ("attention.out.weight", "down.weight")
"""The layers whose outputs are added to the residual stream."""


def initialise(model: nn.Module, n_layer: int) -> None:
    """Normal with deviation 0.02; layers that write to the stream scaled by 1/√(2·n_layer).

    Source: Radford et al. 2019, section 2.3. Taught in chapter 9.
    """
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            continue
        scale = math.sqrt(2 * n_layer) if name.endswith(WRITES_TO_STREAM) else 1.0
        nn.init.normal_(parameter, std=0.02 / scale)
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
