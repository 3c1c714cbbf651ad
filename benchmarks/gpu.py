"""Training and decoding on a CUDA card, beside transformers, with the card's own peaks measured.

    python -m benchmarks.gpu --json results/gpu.json

Matrix products are in bfloat16, weights while training in float32. Both sides get the same
batches, loss, fused AdamW and torch.compile. Wall time, after warming up, in turn A B A B.
No card was at hand when this was written: its steps are tested on the processor, and
`results/` holds no figures of it yet.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness import run
from llmbook.config import GPTConfig
from llmbook.describe import describe
from llmbook.models import GPT
from llmbook.nn import KVCache, LayerCache

VOCAB = 50_304
"""GPT-2's 50,257 filled up to a multiple of 128, for both sides: tensor cores need it."""
CONTEXT, BATCH, ROUNDS, STEPS = 1024, 32, 5, 10


def measure() -> dict[str, Any]:
    """Peaks, then training, then decoding."""
    if not torch.cuda.is_available():
        raise SystemExit("benchmarks.gpu needs a CUDA card, and PyTorch sees none")
    import transformers

    torch.set_float32_matmul_precision("high")
    peaks = {"matmul_tflops": matmul_peak(), "copy_gb_per_s": copy_bandwidth()}
    return {
        "device": torch.cuda.get_device_name(),
        "cuda": torch.version.cuda,
        "peer_version": f"transformers {transformers.__version__}",
        "peaks": peaks,
        "training": training(peaks["matmul_tflops"]),
        "decoding": [decoding(name, peaks["copy_gb_per_s"]) for name in SHAPES],
    }


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Wall seconds of one repeat, the card's queue emptied before and after."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(repeats):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - started) / repeats


def matmul_peak(n: int = 8192) -> float:
    """Best of five: TFLOP/s of one n × n bfloat16 product on random numbers."""
    a, b = (torch.randn(n, n, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    return round(2 * n**3 / min(seconds(lambda: a @ b, 10) for _ in range(5)) / 1e12, 1)


def copy_bandwidth(n_bytes: int = 4 * 2**30) -> float:
    """Best of five: GB/s of a copy within the card's memory, reads and writes counted."""
    a = torch.empty(n_bytes, device="cuda", dtype=torch.uint8)
    b = torch.empty_like(a)
    b.copy_(a)
    return round(2 * n_bytes / min(seconds(lambda: b.copy_(a), 10) for _ in range(5)) / 1e9, 1)


# training ---------------------------------------------------------------------------------------


def training(peak_tflops: float) -> dict[str, Any]:
    """GPT-2-small shape, context 1024: tokens per second, share of the peak, memory."""
    config = GPTConfig.preset("gpt2", vocab_size=VOCAB)
    told = describe(config)
    flops = told.forward_flops + told.backward_flops
    ids = torch.randint(50_257, (BATCH, CONTEXT + 1), device="cuda")
    out: dict[str, Any] = {
        "work": f"one step: {BATCH} × {CONTEXT} tokens, forward, backward, AdamW",
        "n_params": told.n_params,
        "flops_per_token": flops,
    }
    for compiled in (False, True):
        sides = {"ours": _our_model(config).cuda(), "peer": _their_model(config).cuda()}
        steps = {name: _step(model, ids, compiled) for name, model in sides.items()}
        memory = {name: _peak_memory(step) for name, step in steps.items()}
        for step in steps.values():
            seconds(step, 5)
        rounds = [
            {name: seconds(step, STEPS) for name, step in steps.items()} for _ in range(ROUNDS)
        ]
        result = {
            name: _training_row([r[name] for r in rounds], flops, peak_tflops) for name in sides
        }
        for name, row in result.items():
            row["memory_gib"] = memory[name]
        result["speedup"] = _spread([r["peer"] / r["ours"] for r in rounds])
        out["compiled" if compiled else "eager"] = result
        del sides, steps
        torch._dynamo.reset()
        torch.cuda.empty_cache()
    return out


def _our_model(config: GPTConfig) -> nn.Module:
    torch.manual_seed(0)
    return GPT(config)


class Logits(nn.Module):
    """A transformers model whose forward pass gives its logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (B, T, V)."""
        return self.model(ids, use_cache=False).logits


def _their_model(config: GPTConfig) -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    theirs = GPT2Config(
        vocab_size=config.vocab_size,
        n_positions=config.context_length,
        n_embd=config.d_model,
        n_layer=config.n_layer,
        n_head=config.n_head,
        attn_pdrop=0.0,
        embd_pdrop=0.0,
        resid_pdrop=0.0,
        attn_implementation="sdpa",
    )
    torch.manual_seed(0)
    return Logits(GPT2LMHeadModel(theirs))


def _step(model: nn.Module, ids: Tensor, compiled: bool) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def loss_of(inputs: Tensor, targets: Tensor) -> Tensor:
        logits = model(inputs)
        return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())

    forward = torch.compile(loss_of) if compiled else loss_of
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()

    def step() -> None:
        with torch.autocast(ids.device.type, dtype=torch.bfloat16):
            loss = forward(inputs, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _peak_memory(step: Callable[[], None]) -> float:
    step()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    own = torch.cuda.max_memory_allocated() - before
    return round(own / 2**30, 2)


def _training_row(times: list[float], flops: int, peak_tflops: float) -> dict[str, Any]:
    tokens = [BATCH * CONTEXT / t for t in times]
    share = [rate * flops / 1e12 / peak_tflops for rate in tokens]
    return {"tokens_per_s": _spread(tokens), "share_of_peak": _spread(share)}


# decoding ---------------------------------------------------------------------------------------

LLAMA_7B = GPTConfig(
    vocab_size=32_000,
    context_length=1024,
    n_layer=32,
    n_head=32,
    d_model=4096,
    d_ff=11_008,
    tie_embeddings=False,
)
SHAPES = {
    "gpt2": GPTConfig.preset("gpt2", vocab_size=VOCAB),
    "gpt2-xl": GPTConfig.preset("gpt2-xl", vocab_size=VOCAB),
    "llama-7b": LLAMA_7B,
}
NEW_TOKENS = 128


class FixedLayerCache(LayerCache):
    """A cache whose shapes never change, as a CUDA graph needs: a mask says what is filled."""

    def __init__(self, config: GPTConfig, place: Tensor, dtype: torch.dtype) -> None:
        super().__init__(1, config, place.device, dtype)
        self.place = place

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write at the current place and return the whole buffers."""
        self.keys.index_copy_(2, self.place, k)
        self.values.index_copy_(2, self.place, v)
        return self.keys, self.values


class Decoder:
    """Greedy decoding of one text; on a card, one captured graph per token."""

    def __init__(self, model: GPT) -> None:
        self.model, config, device = model, model.config, model.device
        dtype = model.token_embedding.weight.dtype
        self.place = torch.zeros(1, dtype=torch.long, device=device)
        self.token = torch.zeros(1, 1, dtype=torch.long, device=device)
        self.cache = KVCache(config, 1, device, dtype)
        self.cache.layers = [FixedLayerCache(config, self.place, dtype) for _ in self.cache.layers]
        self.columns = torch.arange(config.context_length, device=device)
        self.next, self.replay = self._next, self.step
        if device.type == "cuda":
            self._capture()

    def _capture(self) -> None:
        self.next = torch.compile(self._next, mode="max-autotune-no-cudagraphs", fullgraph=True)
        for _ in range(3):
            self.step()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step()
        self.replay = graph.replay

    def _next(self, token: Tensor, place: Tensor) -> Tensor:
        mask = (self.columns <= place)[None]  # (1, S)
        logits = self.model(token, mask=mask, cache=self.cache, positions=place[None])
        return logits[:, -1:].argmax(dim=-1)

    def step(self) -> None:
        """Read the current token, put the next one in its stead."""
        self.token.copy_(self.next(self.token, self.place))
        self.place.add_(1)

    @torch.inference_mode()
    def write(self, first: int, n_token: int) -> list[Tensor]:
        """Continue a single token greedily."""
        self.place.zero_()
        self.token.fill_(first)
        out = []
        for _ in range(n_token):
            self.replay()
            out.append(self.token.clone())
        return out


@torch.inference_mode()
def decoding(name: str, copy_gb_per_s: float) -> dict[str, Any]:
    """Bytes of weights read per second while decoding, as a share of the copy bandwidth."""
    import torch._inductor.config as inductor

    inductor.coordinate_descent_tuning = True
    config = SHAPES[name]
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = GPT(config).to(torch.bfloat16).eval()
    decoder = Decoder(model)
    rates = [NEW_TOKENS / seconds(lambda: decoder.write(11, NEW_TOKENS), 1) for _ in range(ROUNDS)]
    n_bytes = 2 * (describe(config).n_params - _looked_up(config))
    share = [rate * n_bytes / 1e9 / copy_gb_per_s for rate in rates]
    row = {
        "shape": name,
        "n_params": describe(config).n_params,
        "work": f"{NEW_TOKENS} greedy tokens, batch 1, bfloat16, cache of {config.context_length}",
        "ours_tokens_per_s": _spread(rates),
        "share_of_copy_bandwidth": _spread(share),
        "peer_tokens_per_s": _peer_rate(name) if name != "llama-7b" else None,
    }
    del decoder, model
    torch._dynamo.reset()
    torch.cuda.empty_cache()
    return row


def _looked_up(config: GPTConfig) -> int:
    """Weights of tables of which a token reads one row only."""
    rows = 0 if config.tie_embeddings else config.vocab_size
    return config.d_model * (rows + (config.context_length if config.position == "learned" else 0))


def _peer_rate(name: str) -> dict[str, float]:
    model = _their_model(SHAPES[name]).model.to("cuda", torch.bfloat16).eval()  # type: ignore[union-attr]
    ids = torch.full((1, 1), 11, device="cuda")

    def write() -> None:
        model.generate(  # type: ignore[operator]
            ids,
            do_sample=False,
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            pad_token_id=0,
        )

    write()
    return _spread([NEW_TOKENS / seconds(write, 1) for _ in range(ROUNDS)])


def _spread(values: list[float]) -> dict[str, float]:
    numbers = {"median": statistics.median(values), "low": min(values), "high": max(values)}
    return {k: float(f"{v:.4g}") for k, v in numbers.items()}


if __name__ == "__main__":
    run("gpu", measure)
