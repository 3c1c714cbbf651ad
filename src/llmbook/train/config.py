"""What a training run does, and the learning rate at each of its steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from llmbook.device import Precision


@dataclass(frozen=True)
class TrainConfig:
    """Choices of one training run.

    Args:
        steps: optimizer steps.
        batch_size: sequences per step, over all processes, before accumulation.
        learning_rate: the highest one, reached after warm-up.
        warmup_steps: steps over which it rises from zero in a straight line.
        decay: its shape afterwards: ``cosine``, ``linear`` or ``none``.
        min_lr_ratio: where it ends, as a share of ``learning_rate``.
        optimizer: ``adamw`` (Loshchilov and Hutter 2019) or ``muon`` (Jordan et al. 2024) for
            the matrices inside the blocks, with AdamW for everything else.
        weight_decay: decoupled, on matrices only; vectors (norms, biases) are left alone.
        betas: AdamW's two averaging rates.
        clip_norm: gradients longer than this are shortened to it (Pascanu et al. 2013).
        grad_accumulation: batches whose gradients are averaged into one step.
        balance_weight: factor of the experts' balance loss, in a model that has experts
            (Fedus et al. 2022, section 2.2).
        precision: number format of matrix products; ``auto`` takes what is faster here.
        compile: run the model through ``torch.compile``.
        eval_every: steps between validations (0: only after the last).
        eval_windows: validation windows, spread evenly over the held-out tokens.
        checkpoint_every: steps between checkpoints (0: only after the last), with ``out_dir``.
        seed: of the batches and of dropout.

    Raises:
        ValueError: a value that cannot work, with the remedy.
    """

    steps: int = 1000
    batch_size: int = 16
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    decay: Literal["cosine", "linear", "none"] = "cosine"
    min_lr_ratio: float = 0.1
    optimizer: Literal["adamw", "muon"] = "adamw"
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip_norm: float = 1.0
    grad_accumulation: int = 1
    balance_weight: float = 0.01
    precision: Precision = "float32"
    compile: bool = False
    eval_every: int = 0
    eval_windows: int = 32
    checkpoint_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "grad_accumulation", "eval_windows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give at least 1")
        for name in ("warmup_steps", "eval_every", "checkpoint_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: give 0 or more")
        if not (math.isfinite(self.balance_weight) and self.balance_weight >= 0):
            raise ValueError(f"balance_weight={self.balance_weight}: give 0 or more")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name}={value}: give a positive number")
        if self.optimizer not in ("adamw", "muon"):
            raise ValueError(f"optimizer={self.optimizer!r}: choose adamw or muon")
        if self.decay not in ("cosine", "linear", "none"):
            raise ValueError(f"decay={self.decay!r}: choose cosine, linear or none")


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """Warm up in a straight line, then decay to ``min_lr_ratio`` of the highest rate.

    Args:
        step: counted from 0, the first step.

    Source: Vaswani et al. 2017, section 5.3 (warm-up); Loshchilov and Hutter 2017, eq. 5
    (cosine).
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    remaining = max(1, config.steps - config.warmup_steps)
    progress = min(1.0, (step - config.warmup_steps) / remaining)
    shape = {
        "cosine": 0.5 * (1 + math.cos(math.pi * progress)),
        "linear": 1 - progress,
        "none": 1.0,
    }[config.decay]
    floor = config.min_lr_ratio if config.decay != "none" else 0.0
    return config.learning_rate * (floor + (1 - floor) * shape)
