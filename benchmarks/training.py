"""One training step: ours against transformers with SDPA, same weights, batch and optimizer.

A step is: forward, cross-entropy on the logits, backward, gradients clipped at 1, one update of
PyTorch's fused AdamW. Both sides do exactly this; only the model's code differs. Before anything
is timed, the losses of three steps must agree to 1e-4, and so the gradients must.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness import compare, cpu_seconds, row, run
from llmbook.config import GPTConfig
from llmbook.describe import describe
from llmbook.models import GPT
from llmbook.weights.hub import export_hf

GPT2: dict[str, Any] = {"position": "learned", "norm": "layernorm", "mlp": "gelu", "bias": True}
TINY: dict[str, Any] = {"n_layer": 4, "n_head": 4, "d_model": 128}
SHAPES = {
    "tiny GPT-2, 4 × 128, 12 × 64 tokens": (
        GPTConfig(vocab_size=84, context_length=64, **TINY, **GPT2),
        12,
        1.7,
    ),
    "tiny Llama, 4 × 128, 12 × 64 tokens": (
        GPTConfig(vocab_size=84, context_length=64, **TINY),
        12,
        1.7,
    ),
    "GPT-2 small, 1 × 128 tokens": (GPTConfig.preset("gpt2", context_length=128), 1, 1.2),
}
"""Name → sizes, batch, and how many times faster ours is meant to be."""


def measure(shapes: dict[str, Any] = SHAPES, rounds: int = 3) -> dict[str, Any]:
    """For each shape: as written against as written, and ours through torch.compile."""
    import transformers

    peak = matmul_peak()
    against = f"transformers {transformers.__version__}, SDPA"
    rows = []
    for name, (config, batch_size, goal) in shapes.items():
        ids = torch.randint(
            config.vocab_size,
            (batch_size, config.context_length + 1),
            generator=torch.Generator().manual_seed(0),
        )
        repeats = 10 if config.d_model < 256 else 1
        ours, theirs = both(config)
        compiled = torch.compile(both(config)[0])
        check_equal(config, ids)
        step, peer_step = stepper(ours, ours, ids), stepper(theirs, _logits(theirs), ids)
        measured = compare(repeat(step, repeats), repeat(peer_step, repeats), rounds)
        share = achieved(config, ids, repeats, measured["ours"]["median"]) / peak
        work = f"{repeats} training step{'s' if repeats > 1 else ''}, {name}"
        alone = products(config, ids, repeats, rounds) / measured["ours"]["median"]
        note = (
            f"both uncompiled; ours at {share:.0%} of the matrix products' peak; the products of "
            f"the linear layers alone, at their sizes, take {alone:.0%} of our time"
        )
        rows.append(row(work, against, goal, measured, note))
        del ours, step
        if repeats > 1:
            fast = stepper(compiled, compiled, ids)
            measured = compare(repeat(fast, repeats), repeat(peer_step, repeats), rounds)
            share = achieved(config, ids, repeats, measured["ours"]["median"]) / peak
            note = f"ours compiled, theirs not; ours at {share:.0%} of the peak"
            rows.append(row(work, against, None, measured, note))
    return {"peak_gflops": round(peak / 1e9, 1), "rows": rows}


def both(config: GPTConfig) -> tuple[GPT, Any]:
    """Our model, and transformers' model with the same weights, through a folder."""
    import transformers

    torch.manual_seed(0)
    ours = GPT(config)
    with tempfile.TemporaryDirectory() as folder:
        export_hf(ours, None, folder)
        theirs = transformers.AutoModelForCausalLM.from_pretrained(
            folder, attn_implementation="sdpa", dtype=torch.float32
        )
    theirs.config.use_cache = False
    for name in ("resid_pdrop", "attn_pdrop", "embd_pdrop", "attention_dropout"):
        if getattr(theirs.config, name, 0.0):
            raise AssertionError(f"{name} must be 0: ours has no dropout")
    return ours.train(), theirs.train()


def stepper(
    model: nn.Module, logits: Callable[[Tensor], Tensor], ids: Tensor
) -> Callable[[], float]:
    """A function that does one training step on the ids and returns the loss."""
    adamw = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.1, fused=True)

    def step() -> float:
        loss = F.cross_entropy(logits(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adamw.step()
        adamw.zero_grad()
        return float(loss.detach())

    return step


def check_equal(config: GPTConfig, ids: Tensor) -> None:
    """Three steps of both from the same weights give the same losses."""
    ours, theirs = both(config)
    step, peer_step = stepper(ours, ours, ids), stepper(theirs, _logits(theirs), ids)
    for _ in range(3):
        mine, other = step(), peer_step()
        if abs(mine - other) > 1e-4:
            raise AssertionError(f"the losses differ ({mine} and {other}): not the same work")


def matmul_peak(size: int = 1024) -> float:
    """Floating-point operations per CPU-second of large float32 products: the machine's best."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    a @ b
    seconds = min(cpu_seconds(lambda: [a @ b for _ in range(5)]) / 5 for _ in range(5))
    return 2 * size**3 / seconds


def achieved(config: GPTConfig, ids: Tensor, repeats: int, seconds: float) -> float:
    """Floating-point operations per CPU-second of our steps, matrix products alone counted."""
    cost = describe(config, config.context_length)
    tokens = ids[:, 1:].numel()
    return repeats * tokens * (cost.forward_flops + cost.backward_flops) / seconds


def products(config: GPTConfig, ids: Tensor, repeats: int, rounds: int) -> float:
    """CPU-seconds of the steps' products of linear layers and nothing else: a floor for both."""
    n = ids[:, 1:].numel()
    weights = [m.weight.detach() for m in GPT(config).modules() if isinstance(m, nn.Linear)]
    work = [(w, torch.randn(n, w.shape[1]), torch.randn(n, w.shape[0])) for w in weights]

    def multiply() -> None:
        for weight, x, gradient in work:
            x @ weight.t(), gradient @ weight, gradient.t() @ x  # forward and both backward

    again = repeat(multiply, repeats)
    again()
    return statistics.median(cpu_seconds(again) for _ in range(rounds))


def repeat(work: Callable[[], object], times: int) -> Callable[[], None]:
    """Do the work several times, so that the clock's own grain does not show."""

    def repeated() -> None:
        for _ in range(times):
            work()

    return repeated


def _logits(peer: Any) -> Callable[[Tensor], Tensor]:
    return lambda ids: peer(ids).logits


if __name__ == "__main__":
    run("training", measure)
