"""What chapter 9 replays: the recorded runs, and the code behind them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from llmbook.config import GPTConfig
from llmbook.exercises.ch09 import noise_scale as by_exercise
from llmbook.models import GPT
from llmbook.train import TrainConfig, train
from record_training import FAULTS, GUESSES, RACE_SEEDS, SEARCH_SEEDS, noise_scale, recipe
from training_runs import (
    SIZES,
    Run,
    execute,
    heldout_ids,
    heldout_loss,
    new_model,
    sample,
    texts,
    train_steps,
)

ROOT = Path(__file__).resolve().parents[2]
SHORT = TrainConfig(steps=4, batch_size=2, warmup_steps=2)


def recorded(part: str) -> dict:
    return json.loads((ROOT / f"results/training_{part}.json").read_text(encoding="utf-8"))


def moved_before(model: GPT, changed: int) -> list[int]:
    ids = torch.arange(20)[None]
    other = ids.clone()
    other[0, changed] += 1
    with torch.no_grad():
        gap = (model.eval()(ids) - model(other)).abs().amax(dim=-1)[0, :changed]
    return [t for t in range(changed) if gap[t] > 1e-7]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_sound_run_is_the_packages_own_to_the_last_bit(optimizer):
    config = replace(SHORT, optimizer=optimizer, seed=3)
    ours = execute(Run(config, optimizer=optimizer, dropout=0.2))
    torch.manual_seed(3)
    theirs = GPT(GPTConfig(texts()[0].vocab_size, **SIZES, dropout=0.2))
    history = train(theirs, texts()[1], config=config, progress=False)
    assert [r["loss"] for r in ours["log"]] == [r["loss"] for r in history]
    pairs = zip(ours["model"].parameters(), theirs.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_attention_written_out_for_the_faults_is_sound_without_one():
    from training_runs import faulty_mix

    layer = new_model(Run()).blocks[0].attention
    q, k, v = torch.randn(3, 2, 4, 7, 12)
    expected, _ = layer._mix(q, k, v, None, None, True)
    torch.testing.assert_close(faulty_mix("")(layer, q, k, v)[0], expected)


@pytest.mark.parametrize(
    ("fault", "moved"),
    [
        ("", []),
        ("no_scale", []),
        ("no_positions", []),
        ("mask_off_by_one", [8, 9, 10, 11]),
        ("no_mask", list(range(12))),
    ],
)
def test_a_later_token_moves_what_the_fault_lets_it_move(fault, moved):
    assert moved_before(new_model(Run(fault=fault)), 12) == moved


def test_a_softmax_over_queries_leaks():
    assert moved_before(new_model(Run(fault="softmax_axis")), 12) != []


def test_the_other_faults_are_where_they_should_be():
    assert not np.array_equal(heldout_ids("vocabulary"), heldout_ids())
    dropping = Run(fault="train_mode", dropout=0.5)
    model = new_model(dropping)
    assert heldout_loss(model, dropping, 4) != heldout_loss(model, dropping, 4)
    sound = Run(dropout=0.5)
    assert heldout_loss(model, sound, 4) == heldout_loss(model, sound, 4)
    shifted = train_steps(new_model(Run(SHORT)), Run(SHORT, fault="no_shift"), 1)
    assert shifted[0]["loss"] < math.log(80) - 0.3


def test_a_sample_repeats_and_begins_with_its_prompt():
    model = new_model(Run())
    first, second = (sample(model, Run(), n=9) for _ in range(2))
    assert first == second
    assert first.startswith("She was ")
    assert len(first) == 17


def test_the_noise_scale_is_that_of_the_exercise():
    gradients = np.random.default_rng(0).normal(size=(13, 7)) + 0.7
    ours = noise_scale(gradients, n_resamples=50)
    trace, signal, scale = by_exercise(torch.from_numpy(gradients))
    for name, value in (("trace", trace), ("signal", signal), ("scale", scale)):
        assert ours[name] == pytest.approx(float(value), rel=1e-3)
    assert ours["low"] < ours["scale"]


def test_each_optimizer_raced_at_a_rate_with_two_worse_neighbours_on_either_side():
    race = recorded("race")
    assert set(race["optimizers"]) == set(GUESSES)
    assert not set(SEARCH_SEEDS) & set(RACE_SEEDS)
    for entry in race["optimizers"].values():
        means = {rate: np.mean(losses) for rate, losses in entry["sweep"]}
        rates = sorted(means)
        best = rates.index(min(means, key=means.get))
        assert rates[best] == entry["rate"]
        assert 2 <= best <= len(rates) - 3
        assert len(entry["losses"]) == len(RACE_SEEDS)


def test_the_ablations_start_from_the_winner_and_share_its_seeds():
    record, race = recorded("ablations"), recorded("race")
    winner = recipe()
    assert record["optimizer"] == winner.optimizer
    assert record["train"]["learning_rate"] == winner.train.learning_rate
    same = race["optimizers"][winner.optimizer]["losses"]
    assert record["variants"]["recipe"]["losses"] == pytest.approx(same, abs=2e-3)
    assert len(record["batches"]) == 12


def test_the_museum_holds_the_sound_run_and_eleven_faults_of_equal_length():
    museum = recorded("museum")
    assert set(museum["exhibits"]) == {"sound", *FAULTS}
    for run in museum["exhibits"].values():
        assert len(run["loss"]) == len(run["grad_norm"]) == museum["train"]["steps"]
        assert run["sample"].startswith("She was ")
