"""How soon a character model reaches the loss of the textbook recipe.

The textbook recipe runs three times, each with another seed; the lowest of its three validation
losses is the target. After each of its runs the fast recipe runs with the same seed, and must
reach the target each time. The clock counts the CPU-seconds of this process from the first random
weight to the last update; validation is outside, and the same for both.
"""

from __future__ import annotations

import os
import resource
import statistics
from dataclasses import asdict, replace
from typing import Any

import torch

from benchmarks import speedrun_text as st
from benchmarks.harness import compare, cpu_seconds, row, run, summary
from benchmarks.speedrun_recipe import FastTrainer, Recipe

SEEDS = (0, 1, 2)
GOAL = 8.0
LONG = Recipe(n_layer=4, n_head=4, batch_size=12)
"""For the loss at equal CPU-seconds: the textbook's sizes, as many steps as its time allows."""


def measure() -> dict[str, Any]:
    """All rows, and the runs behind them."""
    text = st.load_text()
    pairs = [(run_fast(text, Recipe(), seed), run_textbook(text, seed)) for seed in SEEDS]
    fast, textbook = [a for a, _ in pairs], [b for _, b in pairs]
    target = min(r["loss"] for r in textbook)
    for r in fast:
        r["passes"] = r["loss"] <= target
    warm, cold = run_compiled(text, Recipe(), SEEDS[0])
    budget = statistics.median(r["cpu_seconds"] for r in textbook)
    long = run_for(text, LONG, SEEDS[0], budget)
    return {
        "target": target,
        "recipe": asdict(Recipe()),
        "parameters": {"fast": fast[0]["parameters"], "textbook": textbook[0]["parameters"]},
        "fast": fast,
        "textbook": textbook,
        "compiled": {"warm": warm, "cold": cold},
        "equal_seconds": long,
        "bfloat16_products": run_bfloat16(text),
        "rows": [
            _row(f"time to validation loss {target:.3f}, character model", fast, textbook, GOAL),
            _row("the same, compiled, compile time left out", [warm], textbook, None),
            _row("the same, compiled, compile time included", [cold], textbook, None),
            _loss_row(long, textbook, budget),
            step_row(text),
        ],
    }


def run_fast(text: st.Text, recipe: Recipe, seed: int) -> dict[str, Any]:
    """Train by the fast recipe and validate."""
    torch.set_flush_denormal(recipe.flush_denormals)
    torch.manual_seed(seed)
    trainers: list[FastTrainer] = []

    def work() -> None:
        trainers.append(FastTrainer(recipe, text.vocab_size))
        _train(trainers[0], text, recipe.batch_size, recipe.steps, seed)

    seconds = cpu_seconds(work)
    return _result(trainers[0].model, text, seed, seconds, recipe.steps)


def run_textbook(text: st.Text, seed: int) -> dict[str, Any]:
    """Train by the textbook recipe and validate."""
    torch.manual_seed(seed)
    models: list[Any] = []

    def work() -> None:
        models.append(st.textbook_model(text.vocab_size))
        trainer = st.TextbookTrainer(models[0], models[0])
        _train(trainer, text, st.TEXTBOOK_BATCH, st.TEXTBOOK_STEPS, seed)

    seconds = cpu_seconds(work)
    return _result(models[0], text, seed, seconds, st.TEXTBOOK_STEPS)


def run_compiled(text: st.Text, recipe: Recipe, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train twice with one compiled step: as compiled already, and from a cold start."""
    torch.manual_seed(seed)
    before = _with_children()
    trainer = FastTrainer(recipe, text.vocab_size, compiled=True)
    start = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    _train(trainer, text, recipe.batch_size, 2, seed)
    compiling = _with_children() - before
    trainer.model.load_state_dict(start)
    trainer.adamw.state.clear()
    for buffer in trainer.muon.buffers:
        buffer.zero_()
    trainer.done = 0
    seconds = cpu_seconds(lambda: _train(trainer, text, recipe.batch_size, recipe.steps, seed))
    warm = _result(trainer.model, text, seed, seconds, recipe.steps)
    return warm, {**warm, "cpu_seconds": round(seconds + compiling, 2)}


def run_for(text: st.Text, recipe: Recipe, seed: int, budget: float) -> dict[str, Any]:
    """The fast recipe with as many steps as fit into a number of CPU-seconds."""
    torch.manual_seed(seed)
    trainer = FastTrainer(recipe, text.vocab_size)
    _train(trainer, text, recipe.batch_size, 3, seed)
    probe = cpu_seconds(lambda: _train(trainer, text, recipe.batch_size, 20, seed)) / 20
    return run_fast(text, replace(recipe, steps=int(budget / probe)), seed)


def run_bfloat16(text: st.Text) -> dict[str, Any] | None:
    """The fast recipe with matrix products in bfloat16, where the processor has AMX tiles."""
    if not torch.cpu._is_amx_tile_supported():
        return None
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]
    try:
        return run_fast(text, Recipe(), SEEDS[0])
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = "none"  # type: ignore[attr-defined]


def step_row(text: st.Text) -> dict[str, Any]:
    """Ten steps of the textbook recipe against the same network in transformers."""
    import transformers

    mine, peer = st.textbook_model(text.vocab_size), st.peer_model(text.vocab_size)
    ours = st.TextbookTrainer(mine, mine)
    theirs = st.TextbookTrainer(peer, lambda ids: peer(ids).logits)
    measured = compare(
        lambda: _train(ours, text, st.TEXTBOOK_BATCH, 10, 0),
        lambda: _train(theirs, text, st.TEXTBOOK_BATCH, 10, 0),
    )
    work = "10 steps of the textbook recipe itself"
    return row(work, f"transformers {transformers.__version__}", 1.0, measured)


def _train(trainer: Any, text: st.Text, batch_size: int, steps: int, seed: int) -> None:
    batches = text.batches(batch_size, seed)
    for _ in range(steps):
        trainer.step(*next(batches))


def _result(model: Any, text: st.Text, seed: int, seconds: float, steps: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "steps": steps,
        "parameters": sum(p.numel() for p in model.parameters()),
        "cpu_seconds": round(seconds, 2),
        "loss": round(st.validation_loss(model, text), 4),
    }


def _row(work: str, fast: list[Any], textbook: list[Any], goal: float | None) -> dict[str, Any]:
    pairs = list(zip(fast, textbook, strict=False))
    losses = ", ".join(f"{r['loss']:.3f}" for r in fast)
    measured = {
        "rounds": len(pairs),
        "ours": summary([a["cpu_seconds"] for a, _ in pairs]),
        "peer": summary([b["cpu_seconds"] for _, b in pairs]),
        "speedup": summary([b["cpu_seconds"] / a["cpu_seconds"] for a, b in pairs]),
    }
    return row(work, "textbook recipe", goal, measured, f"loss {losses} (one per seed)")


def _loss_row(long: dict[str, Any], textbook: list[Any], budget: float) -> dict[str, Any]:
    peers = [r["loss"] for r in textbook]
    note = f"{long['steps']} steps in {long['cpu_seconds']:.0f} CPU-s; ratio: difference in nats"
    measured = {
        "unit": "nats per character",
        "rounds": 1,
        "ours": summary([long["loss"]]),
        "peer": summary(peers),
        "gap": summary([peer - long["loss"] for peer in peers]),
    }
    work = f"validation loss after {budget:.0f} CPU-seconds"
    return row(work, "textbook recipe", None, measured, note)


def _with_children() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # compile time is counted in full
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    run("speedrun", measure)
