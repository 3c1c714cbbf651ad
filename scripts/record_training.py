"""What chapter 9 replays (`make recipes`): optimizers raced, choices removed, runs broken.

    python scripts/record_training.py              # all records, about 20 minutes on one core
    python scripts/record_training.py race         # results/training_race.json
    python scripts/record_training.py ablations    # results/training_ablations.json (needs race)
    python scripts/record_training.py museum       # results/training_museum.json
    python scripts/record_training.py noise        # results/training_noise.json
    python scripts/record_training.py stress       # results/training_stress.json (needs race)

race: each optimizer first looks for its learning rate, by factors of two and with two seeds, until
    the best rate has two worse neighbours on either side; then it runs at that rate with five other
    seeds, and these alone are compared.
ablations: the winner's recipe with one choice changed at a time, five seeds, the same seeds
    (weights and batches) for every variant, so that differences are paired. Batches of other
    sizes read the same number of characters, at half, once and twice the recipe's rate.
museum: one sound run and eleven with a fault (`training_runs.Run.fault`), one seed.
stress: two choices tried where they should matter more. AdamW with and without warm-up, at its
    best rate and at twice that, five seeds; and the recipe with 16 layers instead of four, with and
    without scaled residual branches, three seeds.
noise: the simple noise scale tr(Σ)/|G|² along the sound recipe (McCandlish et al. 2018), from
    gradients of single windows and of 64 windows, with a bootstrap interval over windows.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluate_baselines import ROOT, provenance
from llmbook.datasets import TokenBatches
from llmbook.files import write_atomically
from llmbook.models import GPT
from llmbook.objectives import next_token_loss
from llmbook.train import TrainConfig
from training_runs import (
    CONTEXT,
    NO_CLIPPING,
    SIZES,
    Run,
    execute,
    new_model,
    sample,
    texts,
    train_steps,
)

SMALL = TrainConfig(steps=300, batch_size=8, warmup_steps=30)
GUESSES = {"sgd": 0.5, "momentum": 0.1, "adam": 4e-3, "adamw": 4e-3, "muon": 2e-2}
SEARCH_SEEDS, RACE_SEEDS = (100, 101), (0, 1, 2, 3, 4)
LONG = TrainConfig(steps=400, batch_size=16, warmup_steps=40, learning_rate=2e-2, optimizer="muon")
FAULTS = [
    "no_mask",
    "mask_off_by_one",
    "softmax_axis",
    "no_scale",
    "no_shift",
    "no_positions",
    "dead_rate",
    "exploding_rate",
    "decay_norms",
    "vocabulary",
    "train_mode",
]
DROPOUT = 0.2


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("part", nargs="?", choices=list(PARTS))
    chosen = parser.parse_args().part
    torch.set_flush_denormal(True)
    for part in PARTS if chosen is None else [chosen]:
        started = time.process_time()
        result = PARTS[part]()
        seconds = round(time.process_time() - started)
        head = {**provenance(), "command": f"python scripts/record_training.py {part}"}
        content = {**head, "cpu_seconds": seconds, "model": {**SIZES, **_text()}, **result}
        path = Path(ROOT, "results", f"training_{part}.json")
        write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())
        print("wrote", path.relative_to(ROOT), f"after {seconds} CPU-seconds", flush=True)
    return 0


def _text() -> dict[str, int]:
    tokenizer, ids, _ = texts()
    parameters = new_model(Run()).n_params()
    return {"vocab_size": tokenizer.vocab_size, "train_tokens": len(ids), "parameters": parameters}


def _loss(run: Run, rate: float, seed: int) -> float | None:
    """Held-out loss at the end, or None where the run diverged."""
    loss = execute(replace(run, train=replace(run.train, learning_rate=rate, seed=seed)))[
        "val_loss"
    ]
    print(run.optimizer, f"{rate:.5f}", seed, loss, flush=True)
    return None if loss is None or not math.isfinite(loss) else round(loss, 4)


def race() -> dict[str, Any]:
    """A sweep and five runs at its best rate, for each optimizer."""
    entries = {}
    for name, guess in GUESSES.items():
        run = Run(SMALL, optimizer=name)
        tried: dict[int, list[float | None]] = {}
        wanted = {-1, 0, 1}
        while wanted - tried.keys():
            for k in sorted(wanted - tried.keys()):
                tried[k] = [_loss(run, guess * 2**k, seed) for seed in SEARCH_SEEDS]
            best = min(tried, key=lambda k: _mean(tried[k]))
            wanted = set(range(best - 2, best + 3))
        rate = guess * 2**best
        entries[name] = {
            "sweep": [[guess * 2**k, tried[k]] for k in sorted(tried)],
            "rate": rate,
            "losses": [_loss(run, rate, seed) for seed in RACE_SEEDS],
        }
    return {"train": asdict(SMALL), "seeds": RACE_SEEDS, "optimizers": entries}


def _mean(losses: list[float | None]) -> float:
    return float(np.mean([math.inf if loss is None else loss for loss in losses]))


def recipe() -> Run:
    """The winner of the recorded race, at its rate."""
    record = json.loads(Path(ROOT, "results/training_race.json").read_text(encoding="utf-8"))
    entries = record["optimizers"]
    name = min(entries, key=lambda n: _mean(entries[n]["losses"]))
    return Run(replace(SMALL, learning_rate=entries[name]["rate"]), optimizer=name)


def ablations() -> dict[str, Any]:
    """The recipe with one choice changed at a time."""
    base, entries = recipe(), {}
    rate = base.train.learning_rate

    def changed(**choices: Any) -> Run:
        return replace(base, train=replace(base.train, **choices))

    variants = {
        "recipe": base,
        "init_unscaled": replace(base, init="unscaled"),
        "init_pytorch": replace(base, init="pytorch"),
        "no_warmup": changed(warmup_steps=0),
        "no_decay": changed(decay="none"),
        "linear": changed(decay="linear"),
        "to_zero": changed(min_lr_ratio=0.0),
        "no_clipping": changed(clip_norm=NO_CLIPPING),
        "no_weight_decay": changed(weight_decay=0.0),
        "decay_norms": replace(base, decay_norms=True),
        "rate_half": changed(learning_rate=rate / 2),
        "rate_double": changed(learning_rate=rate * 2),
    }
    for name, run in variants.items():
        losses = [_loss(run, run.train.learning_rate, seed) for seed in RACE_SEEDS]
        entries[name] = {"losses": losses}
    adam = json.loads(Path(ROOT, "results/training_race.json").read_text(encoding="utf-8"))
    coupled = Run(SMALL, optimizer="adam_l2")
    adam_rate = adam["optimizers"]["adam"]["rate"]
    entries["adam_l2"] = {"losses": [_loss(coupled, adam_rate, seed) for seed in RACE_SEEDS[:2]]}
    batches = []
    for size in (2, 4, 16, 32):
        steps = SMALL.steps * SMALL.batch_size // size
        for factor in (0.5, 1.0, 2.0):
            run = changed(batch_size=size, steps=steps, warmup_steps=steps // 10)
            batches.append([size, factor, _loss(run, rate * factor, RACE_SEEDS[0])])
    return {"train": asdict(base.train), "optimizer": base.optimizer, "seeds": RACE_SEEDS} | {
        "variants": entries,
        "batches": batches,
    }


def stress() -> dict[str, Any]:
    """Warm-up under AdamW, and scaled branches in a deeper model."""
    race_record = json.loads(Path(ROOT, "results/training_race.json").read_text(encoding="utf-8"))
    rate = race_record["optimizers"]["adamw"]["rate"]
    warm: list[dict[str, Any]] = []
    for factor in (1, 2):
        for steps in (SMALL.warmup_steps, 0):
            run = Run(replace(SMALL, warmup_steps=steps))
            losses = [_loss(run, rate * factor, seed) for seed in RACE_SEEDS]
            warm.append({"rate": rate * factor, "warmup_steps": steps, "losses": losses})
    base, deep = recipe(), {}
    for init in ("gpt2", "unscaled"):
        run = replace(base, init=init, n_layer=16)
        deep[init] = [_loss(run, run.train.learning_rate, seed) for seed in RACE_SEEDS[:3]]
    return {"train": asdict(SMALL), "seeds": RACE_SEEDS, "warmup": warm, "sixteen_layers": deep}


def museum() -> dict[str, Any]:
    """The sound run and the broken ones, with curves, samples and the size of the gains."""
    exhibits = {}
    for fault in ["", *FAULTS]:
        rate = {"dead_rate": 2e-6, "exploding_rate": 1.0}.get(fault, LONG.learning_rate)
        train = replace(LONG, learning_rate=rate)
        run = Run(train, "muon", fault=fault, dropout=DROPOUT, decay_norms=fault == "decay_norms")
        done = execute(run, every=25)
        model = done["model"]
        gains = torch.cat([p.detach() for p in model.parameters() if p.dim() == 1])
        text = sample(model, run)
        exhibits[fault or "sound"] = {
            "loss": [round(r["loss"], 4) for r in done["log"]],
            "grad_norm": [_short(r["grad_norm"]) for r in done["log"]],
            "val_loss": [[step, round(loss, 4)] for step, loss in done["checks"]],
            "sample": text,
            "mean_gain": round(float(gains.mean()), 4),
        }
        print(fault or "sound", done["checks"][-1], repr(text[:60]), flush=True)
    return {"train": asdict(LONG), "dropout": DROPOUT, "exhibits": exhibits}


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def noise() -> dict[str, Any]:
    """The noise scale, in windows of 64 characters, at several steps of the recipe."""
    run, rows = recipe(), []
    for steps in (0, 10, 30, 100, 300):
        # a run stopped early: its schedule is that of the whole run
        model = _partly_trained(run, steps)
        gradients = _window_gradients(model, 64)
        rows.append({"step": steps, **noise_scale(gradients)})
        print(rows[-1], flush=True)
    return {"optimizer": run.optimizer, "train": asdict(run.train), "rows": rows}


def _partly_trained(run: Run, steps: int) -> GPT:
    model = new_model(run)
    train_steps(model, run, steps)
    return model


def _window_gradients(model: GPT, n: int) -> np.ndarray:
    """The gradient of each of n windows, (n, n_parameters)."""
    batches = TokenBatches(texts()[1], CONTEXT, n, seed=999)
    inputs, targets = next(batches)
    rows = []
    for i in range(n):
        loss = next_token_loss(model(inputs[i : i + 1]), targets[i : i + 1])
        parts = torch.autograd.grad(loss, list(model.parameters()))
        rows.append(torch.cat([part.flatten() for part in parts]).numpy())
    return np.stack(rows).astype(np.float64)


def noise_scale(gradients: np.ndarray, n_resamples: int = 1000) -> dict[str, Any]:
    """tr(Σ), |G|² without bias, and their ratio with a percentile interval over windows."""
    products = gradients @ gradients.T
    n = len(products)

    def ratio(weights: np.ndarray) -> tuple[float, float]:
        # a window drawn twice is paired with other windows only, never with itself
        own = products.diagonal()
        pairs = weights @ products @ weights - weights**2 @ own
        signal = pairs / (weights.sum() ** 2 - (weights**2).sum())
        return float(weights @ own / weights.sum() - signal), float(signal)

    total, signal = ratio(np.ones(n))
    draw = np.random.default_rng(0)
    ratios = []
    for _ in range(n_resamples):
        weights = draw.multinomial(n, np.full(n, 1 / n)).astype(float)
        trace, square = ratio(weights)
        ratios.append(trace / square if square > 0 else math.inf)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return {
        "trace": _short(total),
        "signal": _short(signal),
        "scale": _short(total / signal),
        "low": _short(float(low)),
        "high": None if not math.isfinite(high) else _short(float(high)),
    }


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "race": race,
    "ablations": ablations,
    "stress": stress,
    "museum": museum,
    "noise": noise,
}

if __name__ == "__main__":
    sys.exit(main())
