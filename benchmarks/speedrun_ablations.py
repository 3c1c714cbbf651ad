"""What each trick of the speed run is worth: one taken away at a time, same seed, equal steps."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from benchmarks import speedrun_text as st
from benchmarks.harness import run
from benchmarks.speedrun import run_fast
from benchmarks.speedrun_recipe import Recipe

SEED = 0
EVERY = 4
"""Each fourth window of the held-out text is enough to compare variants."""
ADAMW_RATES = (0.002, 0.005, 0.01)
CHANGES: dict[str, dict[str, Any]] = {
    "the whole recipe": {},
    "without looking back one token": {"look_back": False},
    "GELU instead of squared ReLU": {"squared_relu": False},
    "projections start at random": {"zero_projections": False},
    "queries and keys not normalised": {"qk_norm": False},
    "learnt positions instead of RoPE": {"rope": False},
    "warm-up and cosine instead of a linear cool-down": {"linear_cooldown": False},
    "AdamW's rates all at 0.001": {
        "embedding_lr": 0.001,
        "output_lr": 0.001,
        "vector_lr": 0.001,
    },
    "Muon with 2 Newton–Schulz steps": {"orthogonal_steps": 2},
    "Muon with 5 Newton–Schulz steps": {"orthogonal_steps": 5},
    "denormal numbers kept": {"flush_denormals": False},
    "four layers": {"n_layer": 4},
}


def measure(changes: dict[str, dict[str, Any]] = CHANGES) -> dict[str, Any]:
    """Loss and CPU-seconds of every variant, and what the loss is above the whole recipe's."""
    text = st.load_text()
    text = replace(text, windows=text.windows[::EVERY])
    entries = [
        {"name": name, **run_fast(text, replace(Recipe(), **change), SEED)}
        for name, change in changes.items()
    ]
    entries.append(best_adamw(text))
    whole = entries[0]["loss"]
    for entry in entries:
        entry["cost"] = None if entry is entries[0] else round(entry["loss"] - whole, 4)
    return {"recipe": asdict(Recipe()), "windows": len(text.windows), "ablations": entries}


def best_adamw(text: st.Text) -> dict[str, Any]:
    """AdamW for every weight, at the best of a few rates for the matrices."""
    runs = []
    for rate in ADAMW_RATES:
        recipe = replace(Recipe(), muon=False, matrix_lr=rate)
        name = f"AdamW instead of Muon, at the best of {len(ADAMW_RATES)} rates ({rate})"
        runs.append({"name": name, **run_fast(text, recipe, SEED)})
    return min(runs, key=lambda entry: entry["loss"])


if __name__ == "__main__":
    run("speedrun_ablations", measure)
