"""A model in whose outputs a mistake shows."""

from __future__ import annotations

import torch

from llmbook.config import GPTConfig
from llmbook.models import GPT


def build(config: GPTConfig) -> GPT:
    """A GPT with weights far larger than those that training begins with."""
    torch.manual_seed(0)
    model = GPT(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model
