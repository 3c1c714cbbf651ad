"""Objectives: values by hand, gradients as the papers derive them, models that learn by them."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from llmbook.config import BERTConfig, GPTConfig, Seq2SeqConfig
from llmbook.datasets import IGNORE, MaskedBatches, TokenBatches, mask_tokens
from llmbook.models import BERT, GPT, Seq2Seq
from llmbook.objectives import (
    answer_log_prob,
    causal_lm,
    classification,
    classification_loss,
    clipped_policy_loss,
    count_targets,
    dpo,
    dpo_loss,
    group_advantage,
    kl_estimate,
    masked_lm,
    next_token_loss,
    policy_gradient_loss,
    sequence_loss,
    sequence_to_sequence,
)
from llmbook.train import TrainConfig, fit

B, T, V = 3, 5, 7


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def logits() -> torch.Tensor:
    return draw(B, T, V).float().requires_grad_()


@pytest.fixture
def targets() -> torch.Tensor:
    return torch.tensor([[1, 2, 3, 0, 6], [4, 4, IGNORE, IGNORE, IGNORE], [IGNORE] * 5])


# likelihood -----------------------------------------------------------------------------------


def test_smoothed_labels_by_hand():
    p = torch.tensor([[[0.7, 0.2, 0.1]]])
    # 0.9 of the label on the target, 0.1 spread over all three
    surprise = [-math.log(x) for x in (0.7, 0.2, 0.1)]
    expected = 0.9 * surprise[0] + 0.1 * sum(surprise) / 3
    assert sequence_loss(p.log(), torch.tensor([[0]]), 0.1).item() == pytest.approx(expected)


def test_the_mean_is_over_the_tokens_that_are_targets(logits, targets):
    surprise = -logits.log_softmax(-1)
    places = [(b, t) for b in range(B) for t in range(T) if targets[b, t] != IGNORE]
    expected = sum(surprise[b, t, targets[b, t]] for b, t in places) / 7
    torch.testing.assert_close(sequence_loss(logits, targets), expected)
    full = targets.clamp(min=0)
    torch.testing.assert_close(sequence_loss(logits, full), next_token_loss(logits, full))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_padding_gets_no_gradient(logits, targets, smoothing):
    sequence_loss(logits, targets, smoothing).backward()
    assert (logits.grad[targets == IGNORE] == 0).all()
    assert (logits.grad[targets != IGNORE] != 0).any(dim=-1).all()


def test_a_batch_without_targets_costs_nothing(logits):
    loss = sequence_loss(logits, torch.full((B, T), IGNORE))
    loss.backward()
    assert loss.item() == 0.0
    assert (logits.grad == 0).all()


def test_smoothing_is_cheapest_at_the_smoothed_label():
    label = torch.tensor([[[0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3]]], dtype=torch.float64)
    best = label.log().requires_grad_()
    (gradient,) = torch.autograd.grad(sequence_loss(best, torch.tensor([[0]]), 0.1), best)
    assert gradient.abs().max() < 1e-7


def test_the_surprise_of_classes_by_hand():
    p = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    loss = classification_loss(p.log(), torch.tensor([1, 2]))
    assert loss.item() == pytest.approx((math.log(4) - math.log(0.8)) / 2)


# masked tokens --------------------------------------------------------------------------------


def test_masking_hides_the_shares_that_bert_hides_and_never_a_special_token():
    ids = np.random.default_rng(0).integers(0, 101, (211, 53))
    read, targets = mask_tokens(ids, 4, 101, special_ids=[0, 1, 2, 3], seed=5, step=3)
    chosen = targets != IGNORE
    ordinary = ids > 4
    assert not chosen[~ordinary].any()
    assert (targets[chosen] == ids[chosen]).all()
    assert (read[~chosen] == ids[~chosen]).all()
    assert chosen.sum() / ordinary.sum() == pytest.approx(0.15, abs=0.015)
    hidden, kept = read[chosen] == 4, read[chosen] == ids[chosen]
    assert hidden.mean() == pytest.approx(0.8, abs=0.04)
    assert kept.mean() == pytest.approx(0.1 + 0.1 / 96, abs=0.03)
    replaced = read[chosen][~hidden & ~kept]
    assert replaced.min() > 4
    assert replaced.max() == 100


def test_the_choice_of_masks_depends_on_seed_and_step_alone():
    ids = np.arange(1, 36).reshape(5, 7)
    one = mask_tokens(ids, 0, 37, seed=1, step=2)
    np.random.default_rng().random(3)
    again = mask_tokens(ids, 0, 37, seed=1, step=2)
    other = mask_tokens(ids, 0, 37, seed=1, step=3)
    assert all((a == b).all() for a, b in zip(one, again, strict=True))
    assert (one[1] != other[1]).any()
    with pytest.raises(ValueError, match=r"rate=1.5"):
        mask_tokens(ids, 0, 37, rate=1.5)


def masked_stream(rate: float = 0.15) -> MaskedBatches:
    tokens = np.random.default_rng(0).integers(0, 29, 500)
    return MaskedBatches(TokenBatches(tokens, 7, 3), 1, 29, [2], rate, padding_id=0)


def test_masked_batches_resume_where_they_stood_and_refuse_another_masking():
    stream = masked_stream()
    for _ in range(3):
        batch = next(stream)
    assert set(batch) == {"ids", "targets", "mask"}
    assert not batch["mask"][batch["ids"] == 0].any()
    state, expected = stream.state_dict(), next(stream)
    resumed = masked_stream()
    resumed.load_state_dict(state)
    again = next(resumed)
    assert all(torch.equal(again[k], expected[k]) for k in expected)
    with pytest.raises(ValueError, match="masked with"):
        masked_stream(0.3).load_state_dict(state)


# preferences ----------------------------------------------------------------------------------


def test_an_answers_log_probability_by_loops(logits):
    ids = torch.tensor([[1, 2, 3, 4, 5], [0, 6, 6, 1, 1], [2, 2, 2, 2, 2]])
    answer = torch.tensor([[0, 0, 1, 1, 0], [1, 1, 0, 0, 1], [0, 0, 0, 0, 0]]).bool()
    p = logits.detach().softmax(-1)
    expected = [
        sum(math.log(p[b, t - 1, ids[b, t]]) for t in range(1, T) if answer[b, t]) for b in range(B)
    ]
    found = answer_log_prob(logits, ids, answer)
    torch.testing.assert_close(found, torch.tensor(expected))


def test_dpo_by_hand():
    chosen, rejected = torch.tensor([-1.0, -3.0]), torch.tensor([-2.0, -1.0])
    reference = torch.tensor([-1.5, -2.0]), torch.tensor([-1.5, -2.0])
    loss, margin = dpo_loss(chosen, rejected, *reference, beta=0.5)
    # margins 0.5 · ((0.5) - (-0.5)) = 0.5 and 0.5 · ((-1) - (1)) = -1
    assert margin.tolist() == [0.5, -1.0]
    assert loss.item() == pytest.approx((math.log1p(math.exp(-0.5)) + math.log1p(math.e)) / 2)


def test_dpo_starts_at_ln_2_and_its_gradient_is_the_papers():
    chosen, rejected = draw(B).requires_grad_(), draw(B, seed=1).requires_grad_()
    loss, _ = dpo_loss(chosen, rejected, chosen.detach(), rejected.detach())
    assert loss.item() == pytest.approx(math.log(2))
    loss, margin = dpo_loss(chosen, rejected, draw(B, seed=2), draw(B, seed=3), beta=0.3)
    up, down = torch.autograd.grad(loss, (chosen, rejected))
    weight = 0.3 * torch.sigmoid(-margin) / B  # larger where the model ranks the pair wrongly
    torch.testing.assert_close(up, -weight)
    torch.testing.assert_close(down, weight)


# policy gradient ------------------------------------------------------------------------------


@pytest.mark.parametrize("baseline", [0.0, 0.7, -3.0])
def test_the_policy_gradient_is_the_gradient_of_the_expected_reward_whatever_the_baseline(baseline):
    scores, reward = draw(V).requires_grad_(), draw(V, seed=1)
    (expected,) = torch.autograd.grad(-(scores.softmax(-1) * reward).sum(), scores)
    p = scores.detach().softmax(-1)
    found = sum(
        p[a]
        * torch.autograd.grad(
            policy_gradient_loss(scores.log_softmax(-1)[[a]], reward[[a]], baseline), scores
        )[0]
        for a in range(V)
    )
    torch.testing.assert_close(found, expected)


def test_advantages_compare_the_answers_to_one_prompt():
    reward = torch.tensor([[1.0, 0.0, 1.0, 0.0, 0.0], [2.0, 2.0, 2.0, 2.0, 2.0]])
    advantage = group_advantage(reward)
    deviation = math.sqrt((2 * 0.6**2 + 3 * 0.4**2) / 4)
    torch.testing.assert_close(advantage[0], torch.tensor([0.6, -0.4, 0.6, -0.4, -0.4]) / deviation)
    assert advantage[1].tolist() == [0.0] * 5
    torch.testing.assert_close(group_advantage(3 * reward[:1] + 11), advantage[:1])
    with pytest.raises(ValueError, match="1 answer per prompt"):
        group_advantage(torch.ones(3, 1))


@pytest.mark.parametrize(
    ("ratio", "advantage", "gain", "slope"),
    [
        (1.0, 2.0, 2.0, 2.0),
        (1.5, 1.0, 1.2, 0.0),  # already more likely by half: no further push
        (0.5, 1.0, 0.5, 0.5),
        (1.5, -1.0, -1.5, -1.5),
        (0.5, -1.0, -0.8, 0.0),
    ],
)
def test_the_clipped_ratio_by_hand(ratio, advantage, gain, slope):
    log_prob = torch.tensor([math.log(ratio)], dtype=torch.float64, requires_grad=True)
    loss = clipped_policy_loss(log_prob, torch.zeros(1), torch.tensor([advantage]))
    loss.backward()
    assert loss.item() == pytest.approx(-gain)
    assert log_prob.grad.item() == pytest.approx(-slope)


def test_at_the_old_policy_the_clipped_gradient_is_the_policy_gradient():
    log_prob, advantage = draw(B, T).requires_grad_(), draw(B, T, seed=1)
    counted = torch.rand(B, T, generator=torch.Generator().manual_seed(0)) < 0.6
    ours = clipped_policy_loss(log_prob, log_prob.detach(), advantage, counted=counted)
    theirs = policy_gradient_loss(log_prob[counted], advantage[counted])
    gradients = [torch.autograd.grad(loss, log_prob)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients)


def test_the_kl_estimate_is_never_negative_and_right_on_average():
    ours, reference = draw(V).log_softmax(-1), draw(V, seed=1).log_softmax(-1)
    estimate = kl_estimate(ours, reference)
    assert (estimate >= 0).all()
    exact = F.kl_div(reference, ours, log_target=True, reduction="sum")
    torch.testing.assert_close((ours.exp() * estimate).sum(), exact)


# steps: every objective makes a model learn ---------------------------------------------------


class Same:
    """One batch for ever."""

    def __init__(self, batch):
        self.batch = batch

    def __next__(self):
        return self.batch

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def learn(model, batch, loss_fn, steps=60, **changes):
    run = TrainConfig(steps=steps, batch_size=3, learning_rate=1e-2, **changes)
    history = fit(model, Same(batch), loss_fn, run, progress=False)
    return [record["loss"] for record in history]


def ids(*shape: int, low: int = 3) -> torch.Tensor:
    return torch.randint(low, 29, shape, generator=torch.Generator().manual_seed(0))


def tiny(**changes):
    torch.manual_seed(0)
    return GPT(GPTConfig(29, 11, 2, 2, 12, **changes))


def test_a_decoder_learns_with_experts_and_keeps_them_balanced():
    losses = learn(tiny(n_expert=3, n_expert_active=1), (ids(3, 7), ids(3, 7).flip(0)), causal_lm)
    assert losses[0] == pytest.approx(math.log(29) + 0.01, abs=0.2)
    assert losses[-1] < 0.5 * losses[0]


def test_the_balance_loss_is_added_with_its_weight():
    model, batch = tiny(n_expert=3, n_expert_active=1), (ids(3, 7), ids(3, 7))
    plain = next_token_loss(model(batch[0]), batch[1]).item()
    balance = model.balance_loss().item()
    first = learn(model, batch, causal_lm, steps=1, balance_weight=0.5)[0]
    assert first == pytest.approx(plain + 0.5 * balance, rel=1e-6)


def test_an_encoder_learns_what_is_masked():
    torch.manual_seed(0)
    model = BERT(BERTConfig(29, 11, 2, 2, 12, mlm_head=True))
    batch = next(masked_stream(0.4))
    assert learn(model, batch, masked_lm)[-1] < 0.5


def test_an_encoder_and_a_decoder_learn_to_translate():
    torch.manual_seed(0)
    model = Seq2Seq(Seq2SeqConfig(29, 11, 2, 2, 12))
    batch = {"source": ids(3, 5), "source_mask": torch.ones(3, 5).bool(), "target": ids(3, 7)}
    batch["source_mask"][1, 3:] = False
    batch["target"][1, 4:] = IGNORE
    before = sequence_to_sequence(0.0)(model, batch).item()
    learn(model, batch, sequence_to_sequence(0.1))
    batch["source"][1, 3:] = 5  # padding: nobody reads it
    assert sequence_to_sequence(0.0)(model, batch).item() < 0.3 * before


def test_a_classifier_learns():
    torch.manual_seed(0)
    encoder = BERT(BERTConfig(29, 11, 2, 2, 12, pooler=True))

    class Classifier(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.answer = encoder, torch.nn.Linear(12, 5)

        def forward(self, ids):
            return self.answer(self.encoder(ids).pooled)

    losses = learn(Classifier(), (ids(3, 7), torch.tensor([4, 0, 2])), classification)
    assert losses[0] == pytest.approx(math.log(5), abs=0.3)
    assert losses[-1] < 0.1


def test_a_model_learns_which_answer_is_preferred():
    model = tiny()
    reference = copy.deepcopy(model)
    batch = {"ids": ids(3, 2, 7), "answer": torch.zeros(3, 2, 7).bool()}
    batch["answer"][:, :, 4:] = True
    batch["ids"][:, 1, :4] = batch["ids"][:, 0, :4]  # one prompt, two answers
    losses = learn(model, batch, dpo(reference))
    assert losses[0] == pytest.approx(math.log(2), abs=1e-5)
    assert losses[-1] < 0.2
    with torch.no_grad():
        rows = batch["ids"].flatten(0, 1)
        scores = answer_log_prob(model(rows), rows, batch["answer"].flatten(0, 1))
    assert (scores[::2] > scores[1::2]).all()
    assert not any(p.requires_grad for p in reference.parameters())


def test_a_policy_learns_from_rewards_alone():
    model, prompt = tiny(), ids(1, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    torch.manual_seed(0)
    rewards = []
    for _ in range(60):
        with torch.no_grad():
            drawn = torch.multinomial(model(prompt)[0, -1].softmax(-1), 23, replacement=True)
        reward = (drawn % 2 == 0).float()  # even ids please
        log_prob = model(prompt)[0, -1].log_softmax(-1)[drawn]
        loss = clipped_policy_loss(log_prob, log_prob, group_advantage(reward[None])[0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rewards.append(reward.mean().item())
    assert sum(rewards[-5:]) / 5 > 0.95 > sum(rewards[:5]) / 5 + 0.2


def test_batches_of_unequal_counts_weigh_by_their_terms():
    """Two accumulated batches with 3 and 9 targets take the step of one with all 12."""
    read, targets = ids(4, 7), ids(4, 7)
    targets[:2, :] = IGNORE
    targets[0, :3] = 5
    targets[2:, 2:] = IGNORE
    targets[2:, :4] = 7
    targets[3, 3] = IGNORE

    def loss_fn(model, batch):
        return sequence_loss(model(batch["ids"]), batch["targets"])

    def step(batches, accumulation):
        model, stream = tiny(), Same(None)
        stream.__class__ = type("Turns", (Same,), {"__next__": lambda self: batches.pop(0)})
        run = TrainConfig(steps=1, grad_accumulation=accumulation)
        history = fit(model, stream, loss_fn, run, count=count_targets, progress=False)
        return history[0]["loss"], model.token_embedding.weight.detach()

    whole = step([{"ids": read, "targets": targets}], 1)
    halves = step([{"ids": read[i : i + 2], "targets": targets[i : i + 2]} for i in (0, 2)], 2)
    assert count_targets({"targets": targets[:2]}) == 3
    assert halves[0] == pytest.approx(whole[0], rel=1e-6)
    torch.testing.assert_close(halves[1], whole[1])
    empty = {"ids": read, "targets": torch.full_like(targets, IGNORE)}
    with_empty = step([{"ids": read, "targets": targets}, empty], 2)
    assert with_empty[0] == pytest.approx(whole[0], rel=1e-6)
