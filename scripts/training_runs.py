"""One small training run, sound or broken on purpose: what scripts/record_training.py repeats.

A GPT of about 115,000 parameters reads Jane Austen's novels character by character. Everything
that a run may get wrong is a field of `Run`, so that a broken run differs from the sound one in
that field alone.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from llmbook.config import GPTConfig
from llmbook.config.base import Position
from llmbook.datasets import TokenBatches, load_corpus
from llmbook.models import GPT
from llmbook.nn import Attention
from llmbook.nn.initial import WRITES_TO_STREAM
from llmbook.objectives import next_token_loss
from llmbook.tokenizers import CharTokenizer
from llmbook.train import Muon, TrainConfig, learning_rate_at

CONTEXT = 64
SIZES = {"context_length": CONTEXT, "n_layer": 4, "n_head": 4, "d_model": 48}
NO_CLIPPING = 1e30
SPLITS = ("train", "heldout")


@dataclass(frozen=True)
class Run:
    """What is trained, how, and with which fault.

    Args:
        train: steps, batch, rate, schedule, clipping and decay of the run.
        optimizer: sgd, momentum, adam, adam_l2 (decay added to the gradient), adamw or muon.
        init: gpt2 (the package's), unscaled (residual branches not scaled down) or pytorch (the
            defaults of its layers).
        fault: see scripts/record_training.py; the empty string is none.
        dropout: probability of zeroing an activation while training.
        decay_norms: weight decay on the norms' gains too.
        n_layer: blocks of the model.
    """

    train: TrainConfig = field(default_factory=TrainConfig)
    optimizer: str = "adamw"
    init: str = "gpt2"
    fault: str = ""
    dropout: float = 0.0
    decay_norms: bool = False
    n_layer: int = SIZES["n_layer"]


@lru_cache
def texts() -> tuple[CharTokenizer, np.ndarray, str]:
    """The tokenizer, the ids of the training text, and the held-out text."""
    train, heldout = ("\n".join(d.text for d in load_corpus(s, "austen")) for s in SPLITS)
    tokenizer = CharTokenizer.train(train)
    return tokenizer, np.array(tokenizer.encode(train), dtype=np.int16), heldout


def heldout_tokenizer(fault: str) -> CharTokenizer:
    """Of the held-out text and of samples; the mismatched one was trained on the held-out text."""
    tokenizer, _, heldout = texts()
    return CharTokenizer.train(heldout) if fault == "vocabulary" else tokenizer


@lru_cache
def heldout_ids(fault: str = "") -> np.ndarray:
    """Ids of the held-out text."""
    return np.array(heldout_tokenizer(fault).encode(texts()[2]), dtype=np.int16)


def new_model(run: Run) -> GPT:
    """A fresh model, its weights drawn with the run's seed, its fault built in."""
    torch.manual_seed(run.train.seed)
    position: Position = "none" if run.fault == "no_positions" else "rope"
    size = texts()[0].vocab_size
    sizes: dict[str, Any] = {**SIZES, "n_layer": run.n_layer}
    config = GPTConfig(size, **sizes, position=position, dropout=run.dropout)
    model = GPT(config)
    if run.init == "pytorch":
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                module.reset_parameters()
    if run.init == "unscaled":
        for name, parameter in model.named_parameters():
            if name.endswith(WRITES_TO_STREAM):
                parameter.data.mul_(math.sqrt(2 * model.config.n_layer))
    if run.fault in ATTENTION_FAULTS:
        for layer in model.modules():
            if isinstance(layer, Attention):
                vars(layer)["_mix"] = types.MethodType(faulty_mix(run.fault), layer)
    return model


ATTENTION_FAULTS = ("no_mask", "mask_off_by_one", "softmax_axis", "no_scale")


def faulty_mix(fault: str) -> Any:
    """Attention with one line wrong, in place of `Attention._mix`."""

    def mix(self: Any, q: Tensor, k: Tensor, v: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
        n = q.shape[-2]
        scores = q @ k.transpose(-1, -2)
        if fault != "no_scale":
            scores = scores / math.sqrt(q.shape[-1])
        diagonal = {"no_mask": n, "mask_off_by_one": 1}.get(fault, 0)
        allowed = torch.ones(n, n, dtype=torch.bool).tril(diagonal)
        axis = -2 if fault == "softmax_axis" else -1
        weights = scores.masked_fill(~allowed, -math.inf).softmax(dim=axis)
        return weights @ v, weights

    return mix


def optimizers_of(model: GPT, run: Run) -> list[torch.optim.Optimizer]:
    """The optimizers of a run; decay acts on matrices only, unless the run says otherwise."""
    config, rate = run.train, run.train.learning_rate
    groups: list[dict[str, Any]]
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    if run.optimizer in ("sgd", "momentum"):
        mu = 0.9 if run.optimizer == "momentum" else 0.0
        return [torch.optim.SGD(model.parameters(), lr=rate, momentum=mu)]
    if run.optimizer in ("adam", "adam_l2"):
        decay = config.weight_decay if run.optimizer == "adam_l2" else 0.0
        groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors}]
        return [torch.optim.Adam(groups, lr=rate, betas=config.betas)]
    inner = [p for p in model.blocks.parameters() if p.dim() == 2]
    chosen = {id(p) for p in inner} if run.optimizer == "muon" else set()
    groups = [
        {"params": [p for p in matrices if id(p) not in chosen]},
        {"params": vectors, "weight_decay": config.weight_decay * run.decay_norms},
    ]
    adamw = torch.optim.AdamW(
        groups, lr=rate, betas=config.betas, weight_decay=config.weight_decay, fused=True
    )
    if run.optimizer == "adamw":
        return [adamw]
    return [adamw, Muon(inner, lr=rate, weight_decay=config.weight_decay)]


def train_steps(
    model: GPT, run: Run, steps: int, after: Callable[[int], None] | None = None
) -> list[dict[str, float]]:
    """The first steps of a run; its log, which ends early where a number is none any more."""
    config, log = run.train, []
    optimizers = optimizers_of(model, run)
    batches = TokenBatches(texts()[1], CONTEXT, config.batch_size, config.seed)
    torch.manual_seed(config.seed)  # of dropout, as `llmbook.train` seeds it
    for step in range(steps):
        model.train()
        inputs, targets = next(batches)
        loss = next_token_loss(model(inputs), inputs if run.fault == "no_shift" else targets)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        log.append({"loss": loss.item(), "grad_norm": float(norm)})
        if not math.isfinite(log[-1]["loss"] + log[-1]["grad_norm"]):
            break
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(step, config)
            optimizer.step()
            optimizer.zero_grad()
        if after is not None:
            after(step + 1)
    return log


def execute(run: Run, every: int = 0) -> dict[str, Any]:
    """Train; give the log of every step, now and then the held-out loss, and the model.

    A run whose loss is no number any more ends there, with ``val_loss`` None.
    """
    model = new_model(run)
    checks = [[0, heldout_loss(model, run)]] if every else []

    def check(step: int) -> None:
        if every and step % every == 0 and step < run.train.steps:
            checks.append([step, heldout_loss(model, run)])

    log = train_steps(model, run, run.train.steps, check)
    whole = math.isfinite(log[-1]["loss"] + log[-1]["grad_norm"])
    last = heldout_loss(model, run, 256) if whole else None
    if last is not None:
        checks.append([run.train.steps, last])
    return {"log": log, "checks": checks, "val_loss": last, "model": model}


@torch.no_grad()
def heldout_loss(model: GPT, run: Run, n_windows: int = 64) -> float:
    """Mean loss over windows spread over the held-out text, in nats per character."""
    model.train(run.fault == "train_mode")
    ids = heldout_ids(run.fault)
    starts = np.linspace(0, len(ids) - CONTEXT - 1, n_windows).astype(int)
    windows = torch.from_numpy(ids[starts[:, None] + np.arange(CONTEXT + 1)].astype(np.int64))
    targets = windows[:, :-1] if run.fault == "no_shift" else windows[:, 1:]
    return float(next_token_loss(model(windows[:, :-1]), targets))


@torch.no_grad()
def sample(model: GPT, run: Run, prompt: str = "She was ", n: int = 160) -> str:
    """What the model writes after a prompt, at temperature 0.7."""
    model.train(run.fault == "train_mode")
    tokenizer = heldout_tokenizer(run.fault)
    ids = torch.tensor([tokenizer.encode(prompt)])
    draw = torch.Generator().manual_seed(3)
    for _ in range(n):
        logits = model(ids[:, -CONTEXT:])[0, -1, : tokenizer.vocab_size]
        chosen = torch.multinomial((logits / 0.7).softmax(dim=-1), 1, generator=draw)
        ids = torch.cat([ids, chosen[None]], dim=1)
    return tokenizer.decode(ids[0].tolist())
