"""The benchmarks measure what they say, and the speed run's tricks are what they claim to be."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from benchmarks import bpe, harness, speedrun, speedrun_text, training
from benchmarks.speedrun_ablations import CHANGES
from benchmarks.speedrun_recipe import (
    CONTEXT,
    FastModel,
    FastTrainer,
    Recipe,
    before,
    orthogonalise,
    schedule,
)

from llmbook.config import GPTConfig
from llmbook.tokenizers import BPETokenizer
from llmbook.train.optimizers import orthogonalise as one_at_a_time

V = 11
SMALL = Recipe(steps=5, batch_size=2, n_layer=3, n_head=2, d_model=20, d_ff=28)


@pytest.fixture
def text():
    ids = torch.randint(V, (1 + 7 * CONTEXT,), generator=torch.Generator().manual_seed(0))
    windows = ids.unfold(0, CONTEXT + 1, CONTEXT)
    return speedrun_text.Text(ids.numpy().astype(np.uint16), windows, V)


def busy(n):
    return lambda: sum(range(n))


def test_the_slower_side_is_found_slower():
    result = harness.compare(busy(20_000), busy(2_000_000), rounds=3)
    assert result["speedup"]["median"] > 10
    assert result["peer"]["low"] <= result["peer"]["median"] <= result["peer"]["high"]


def test_a_benchmark_may_leave_out_the_unmeasured_round():
    calls = []
    harness.compare(lambda: calls.append("a"), lambda: calls.append("b"), 2, warm_up=False)
    assert calls == ["a", "b", "a", "b"]


def test_a_row_keeps_goal_and_note():
    made = harness.row("work", "peer 1.0", 2.0, {"speedup": {"median": 3.0}}, "note")
    assert made["goal"] == 2.0
    assert made["note"] == "note"
    assert made["speedup"]["median"] == 3.0


def test_many_matrices_are_made_orthogonal_as_one_by_one_would_be():
    matrices = torch.randn(2, 3, 13, 7)
    together = orthogonalise(matrices, 5)
    for i in range(2):
        for j in range(3):
            alone = one_at_a_time(matrices[i, j], 5)
            torch.testing.assert_close(together[i, j], alone, atol=1e-4, rtol=1e-4)


def test_orthogonal_updates_have_singular_values_near_one():
    values = torch.linalg.svdvals(orthogonalise(torch.randn(1, 13, 13), 5))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_the_position_before_is_shifted_in_and_the_first_gets_zeros():
    x = torch.arange(6.0).view(1, 3, 2)
    assert before(x).tolist() == [[[0, 0], [0, 1], [2, 3]]]


def test_a_model_with_zero_projections_and_output_starts_as_a_uniform_guess():
    model = FastModel(SMALL, V)
    logits = model(torch.randint(V, (2, 5)))
    loss = F.cross_entropy(logits.flatten(0, 1), torch.randint(V, (10,))).detach()
    assert float(loss) == pytest.approx(math.log(V), abs=1e-6)


def test_the_fast_models_future_cannot_change_its_past():
    model = FastModel(SMALL, V)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ids = torch.randint(V, (2, 7))
    changed = ids.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % V
    torch.testing.assert_close(model(ids)[:, :5], model(changed)[:, :5])
    assert not torch.allclose(model(ids)[:, 5:], model(changed)[:, 5:])


def test_both_models_keep_to_the_size_that_was_agreed():
    for model in (FastModel(Recipe(), 84), speedrun_text.textbook_model(84)):
        assert sum(p.numel() for p in model.parameters()) < 815_000


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_each_trick_can_be_taken_away(text, change):
    recipe = replace(SMALL, **change)
    trainer = FastTrainer(recipe, V)
    batch = next(text.batches(2, 0))
    start = float(trainer.loss(*batch).detach())
    for _ in range(recipe.steps):
        trainer.step(*batch)
    assert float(trainer.loss(*batch).detach()) < start
    torch.set_flush_denormal(True)


def test_without_muon_adamw_trains_the_matrices(text):
    trainer = FastTrainer(replace(SMALL, muon=False, matrix_lr=0.01), V)
    old = trainer.model.mlp.detach().clone()
    for _ in range(2):
        trainer.step(*next(text.batches(2, 0)))
    assert not torch.equal(trainer.model.mlp, old)


def test_the_rate_falls_in_a_straight_line_or_warms_up_first():
    line = [schedule(step, Recipe(steps=4)) for step in range(4)]
    assert line == [1, 0.75, 0.5, 0.25]
    cosine = [schedule(step, Recipe(steps=40, linear_cooldown=False)) for step in range(40)]
    assert cosine[:2] == [0.5, 1.0]
    assert cosine[2] == pytest.approx(1.0)
    assert 0.1 < cosine[-1] < 0.11


def test_a_run_repeats_with_its_seed_and_differs_with_another(text):
    losses = [speedrun.run_fast(text, SMALL, seed)["loss"] for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_validation_covers_each_held_out_character_once():
    text = speedrun_text.load_text()
    starts = text.windows[:, 1:].flatten()
    assert len(starts) > 380_000
    assert torch.equal(text.windows[1:, 0], text.windows[:-1, -1])  # they meet, none overlaps
    assert text.vocab_size == 84


def test_validation_is_the_mean_over_every_target(text):
    logits = torch.randn(V, V)
    found = speedrun_text.validation_loss(lambda ids: logits[ids], text)
    inputs, targets = text.windows[:, :-1].flatten(), text.windows[:, 1:].flatten()
    assert found == pytest.approx(float(F.cross_entropy(logits[inputs], targets)), abs=1e-5)


def test_the_textbook_recipe_warms_up_and_ends_at_a_tenth(text):
    model = speedrun_text.textbook_model(V)
    trainer = speedrun_text.TextbookTrainer(model, model)
    shares = []
    for trainer.done in (0, 99, 100, 1999):
        shares.append(trainer._share())
    assert shares == pytest.approx([0.01, 1.0, 1.0, 0.1], abs=1e-4)


def test_ours_and_the_library_learn_the_same_merges():
    documents = [
        "low lower lowest, new newer newest: aaaa",
        "wide wider widest 文字文字 🙂🙂",
    ]
    ours = BPETokenizer.train(documents, 300)
    assert ours.merges == bpe.peer_merges(bpe.train_peer(documents, 300))


def test_documents_are_taken_whole_until_there_are_enough_bytes():
    assert bpe.first_bytes(["abc", "de", "fgh"], 4) == ["abc", "de"]
    assert bpe.first_bytes(["abc"], 100) == ["abc"]


@pytest.mark.parametrize("family", [{}, training.GPT2], ids=["Llama", "GPT-2"])
def test_ours_and_transformers_do_the_same_training_steps(family):
    config = GPTConfig(vocab_size=V, context_length=13, n_layer=2, n_head=2, d_model=28, **family)
    training.check_equal(config, torch.randint(V, (3, 14)))


def test_a_step_that_does_other_work_is_refused(monkeypatch):
    config = GPTConfig(vocab_size=V, context_length=13, n_layer=1, n_head=1, d_model=14)
    monkeypatch.setattr(training, "_logits", lambda peer: lambda ids: 2 * peer(ids).logits)
    with pytest.raises(AssertionError, match="not the same work"):
        training.check_equal(config, torch.randint(V, (3, 14)))
