"""Tokens per second of one text, from the slowest way to the fastest, beside the bandwidth's bound.

    python scripts/record_decoding.py              # writes results/decoding.json, five minutes
    python scripts/record_decoding.py --rounds 1 --models book --out /dev/stdout      # a trial

One thread, batch 1, greedy, at the shape of the book's model (its own weights) and of GPT-2 small
(random ones: what it writes means nothing). In each round every way writes the same number of
tokens after the same prompt, in turn; CPU-seconds are counted, the reading of the prompt included.
A token has to read all weights once, and the keys and values before it: their bytes, divided by
the bandwidth that is measured in the same run, bound its time from below. Used in chapter 10.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the benchmarks are no package that is installed

from benchmarks.generation import read_gb_per_s  # noqa: E402
from benchmarks.harness import cpu_seconds, machine, summary  # noqa: E402

import llmbook  # noqa: E402
from llmbook.config import GPTConfig  # noqa: E402
from llmbook.decode import Prepared  # noqa: E402
from llmbook.describe import describe  # noqa: E402
from llmbook.files import write_atomically  # noqa: E402
from llmbook.generate import generate  # noqa: E402
from llmbook.models import GPT  # noqa: E402
from llmbook.quantize import n_bytes, quantize  # noqa: E402
from llmbook.weights import load_book_model  # noqa: E402
from train_book_model import git_commit  # noqa: E402

PROMPT = 16
NEW_TOKENS = {"book": 128, "gpt2": 32}
TITLES = {"book": "the book's model", "gpt2": "GPT-2-small shape"}
WAYS = {
    "recompute": "no cache: the whole text is read again for each token",
    "cache": "KV cache",
    "prepared": "KV cache, matrices joined and laid out for one vector",
    "compiled": "the same step compiled into one call",
    "int8": "compiled, weights of 8 bits",
}
FULL_SIZE = 1 << 29


def main() -> int:
    """Measure, print and write the record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=list(TITLES), default=list(TITLES))
    parser.add_argument("--out", type=Path, default=ROOT / "results/decoding.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    bandwidth = read_gb_per_s(FULL_SIZE)
    result = provenance() | {"read_gb_per_s": bandwidth, "matmul_gflops": matmul_gflops()}
    result["models"] = [
        record(name, arguments.rounds, bandwidth["median"]) for name in arguments.models
    ]
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    write_atomically(arguments.out, text.encode())
    print(text)
    return 0


def provenance() -> dict[str, Any]:
    """Where, when and with what this was measured."""
    return {
        "command": "python scripts/record_decoding.py",
        "commit": git_commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": {
            "llmbook": llmbook.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "threads": torch.get_num_threads(),
        "method": "greedy, batch 1; ways in turn in each round; CPU time, the prompt's included",
    }


def matmul_gflops(n: int = 1024) -> dict[str, float]:
    """GFLOP per CPU-second of one n × n product in float32."""
    a, b = torch.randn(n, n), torch.randn(n, n)
    cpu_seconds(lambda: a @ b)
    return summary([2 * n**3 / cpu_seconds(lambda: a @ b) / 1e9 for _ in range(9)])


def build(name: str) -> GPT:
    """The model in evaluation mode; GPT-2's shape with random weights."""
    if name == "book":
        return load_book_model()[0].requires_grad_(False)
    torch.manual_seed(0)
    return GPT(GPTConfig.preset("gpt2")).eval().requires_grad_(False)


def writers(model: GPT, small: GPT, ids: Tensor, n_new: int) -> dict[str, Callable[[], Tensor]]:
    """For each way, what writes the text."""
    room = ids.shape[1] + n_new
    readers: dict[str, Any] = {
        "cache": model,
        "prepared": Prepared(model, room),
        "compiled": Prepared(model, room, compile=True),
        "int8": Prepared(small, room, compile=True),
    }

    def write(reader: Any, use_cache: bool = True) -> Tensor:
        return generate(reader, ids, max_new_tokens=n_new, temperature=0, use_cache=use_cache)

    made = {name: lambda r=reader: write(r) for name, reader in readers.items()}
    return {"recompute": lambda: write(model, use_cache=False), **made}


def record(name: str, rounds: int, gb_per_s: float) -> dict[str, Any]:
    """All ways at one shape."""
    model, n_new = build(name), NEW_TOKENS[name]
    small = quantize(copy.deepcopy(model), bits=8)
    ids = torch.arange(1, PROMPT + 1)[None]
    ways = writers(model, small, ids, n_new)
    texts, first = {}, {}
    for way, write in ways.items():  # compiles; not counted
        started = time.perf_counter()
        texts[way] = write()
        first[way] = time.perf_counter() - started
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, write in ways.items():
            times[way].append(cpu_seconds(write))
    rows = []
    for way in ways:
        row = _row(way, times[way], n_new, small if way == "int8" else model, gb_per_s)
        row["same_tokens"] = int(torch.equal(texts[way], texts["recompute"]))
        if way in ("compiled", "int8"):
            row["note"] = f"first text after {first[way]:.0f} s of wall time, compiling included"
        rows.append(row)
    told = describe(model.config)
    return {
        "name": name,
        "title": TITLES[name],
        "n_params": told.n_params,
        "n_read": told.n_params - _idle(model),
        "prompt": PROMPT,
        "n_new": n_new,
        "rounds": rounds,
        "cache_bytes_per_token": told.kv_cache_bytes,
        "ways": rows,
    }


def _row(way: str, times: list[float], n_new: int, model: GPT, gb_per_s: float) -> dict[str, Any]:
    """One way's times, and the bounds that its bytes set."""
    needed = bytes_per_token(model, way, n_new)
    same_size = read_gb_per_s(needed)
    return {
        "way": way,
        "title": WAYS[way],
        "note": "",
        "ms_per_token": summary([1e3 * t / n_new for t in times]),
        "tokens_per_s": summary([n_new / t for t in times]),
        "bytes_per_token": needed,
        "read_gb_per_s": same_size,
        "bound_tokens_per_s": _four(gb_per_s * 1e9 / needed),
        "same_size_bound_tokens_per_s": _four(same_size["median"] * 1e9 / needed),
    }


def bytes_per_token(model: GPT, way: str, n_new: int) -> int:
    """Bytes of weights, and of the keys and values before the average token.

    A compiled step reads the whole room that the cache has, filled or not.
    """
    weights = n_bytes(model) - 4 * _idle(model)
    if way == "recompute":
        return weights
    full = way in ("compiled", "int8")
    length = PROMPT + n_new if full else PROMPT + n_new // 2
    return weights + length * describe(model.config).kv_cache_bytes


def _idle(model: GPT) -> int:
    """Weights of which a token reads one row: the table of learned positions."""
    config = model.config
    return config.context_length * config.d_model if config.position == "learned" else 0


def _four(value: float) -> float:
    return float(f"{value:.4g}")


if __name__ == "__main__":
    sys.exit(main())
