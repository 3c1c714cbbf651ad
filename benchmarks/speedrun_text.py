"""The speed run's text, its validation loss, and the textbook recipe that sets the target."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.speedrun_recipe import CONTEXT
from llmbook.config import GPTConfig
from llmbook.datasets import TokenBatches, load_corpus
from llmbook.models import GPT
from llmbook.tokenizers import CharTokenizer

TEXTBOOK_STEPS, TEXTBOOK_BATCH, TEXTBOOK_LR, TEXTBOOK_WARMUP = 2000, 12, 1e-3, 100


@dataclass(frozen=True)
class Text:
    """Shakespeare as ids of characters; the held-out part as windows of 64 and their targets."""

    train: np.ndarray
    windows: Tensor
    vocab_size: int

    def batches(self, batch_size: int, seed: int) -> TokenBatches:
        """Random windows of the training text: the same for every recipe with this seed."""
        return TokenBatches(self.train, CONTEXT, batch_size, seed)


def load_text() -> Text:
    """The corpus's Shakespeare: 4.6 MB to train on, and all of its held-out scenes."""
    train, heldout = (
        "\n\n".join(document.text for document in load_corpus(split, "shakespeare"))
        for split in ("train", "heldout")
    )
    tokenizer = CharTokenizer.train(train)
    ids = torch.tensor(tokenizer.encode(heldout))
    windows = ids[: (len(ids) - 1) // CONTEXT * CONTEXT + 1].unfold(0, CONTEXT + 1, CONTEXT)
    return Text(np.array(tokenizer.encode(train), np.uint16), windows, tokenizer.vocab_size)


@torch.no_grad()
def validation_loss(model: Callable[[Tensor], Tensor], text: Text) -> float:
    """Nats per character over every held-out window, none overlapping another."""
    total = 0.0
    for chunk in text.windows.split(256):
        logits = model(chunk[:, :-1])
        total += float(F.cross_entropy(logits.flatten(0, 1), chunk[:, 1:].flatten())) * len(chunk)
    return total / len(text.windows)


def textbook_model(vocab_size: int) -> GPT:
    """GPT-2's block, 4 layers of 128: learnt positions, LayerNorm, GELU, biases, tied output."""
    return GPT(
        GPTConfig(
            vocab_size=vocab_size,
            context_length=CONTEXT,
            n_layer=4,
            n_head=4,
            d_model=128,
            position="learned",
            norm="layernorm",
            mlp="gelu",
            bias=True,
        )
    )


def peer_model(vocab_size: int) -> Any:
    """The same network in transformers."""
    import transformers

    config = transformers.GPT2Config(
        vocab_size=vocab_size,
        n_positions=CONTEXT,
        n_layer=4,
        n_head=4,
        n_embd=128,
        resid_pdrop=0.0,
        attn_pdrop=0.0,
        embd_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=False,
        attn_implementation="sdpa",
    )
    return transformers.GPT2LMHeadModel(config)


class TextbookTrainer:
    """AdamW at 1e-3, warm-up, cosine to a tenth, gradients clipped at 1; one step at a time."""

    def __init__(self, model: nn.Module, logits: Callable[[Tensor], Tensor]) -> None:
        self.model, self.logits, self.done = model, logits, 0
        self.adamw = torch.optim.AdamW(
            model.parameters(), lr=TEXTBOOK_LR, betas=(0.9, 0.99), weight_decay=0.1, fused=True
        )

    def step(self, inputs: Tensor, targets: Tensor) -> None:
        """One gradient, one update."""
        F.cross_entropy(self.logits(inputs).flatten(0, 1), targets.flatten()).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for group in self.adamw.param_groups:
            group["lr"] = TEXTBOOK_LR * self._share()
        self.adamw.step()
        self.adamw.zero_grad()
        self.done += 1

    def _share(self) -> float:
        if self.done < TEXTBOOK_WARMUP:
            return (self.done + 1) / TEXTBOOK_WARMUP
        progress = (self.done - TEXTBOOK_WARMUP) / (TEXTBOOK_STEPS - TEXTBOOK_WARMUP)
        return 0.1 + 0.45 * (1 + math.cos(math.pi * progress))
