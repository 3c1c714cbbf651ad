"""Losses that reward answers: preferences between two, and the gradient of a reward."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


def answer_log_prob(
    logits: Float[Tensor, "B T V"], ids: Int[Tensor, "B T"], answer: Bool[Tensor, "B T"]
) -> Float[Tensor, "B"]:
    """log p(answer | prompt): the sum over the answer's tokens, in nats.

    Args:
        logits: of the model that read ``ids``; those at t speak of token t + 1.
        ids: prompt, answer and padding in one row.
        answer: True at the answer's tokens. The first token of a row is never counted,
            because nothing predicts it.
    """
    log_probs = logits[:, :-1].float().log_softmax(dim=-1)
    chosen = log_probs.gather(-1, ids[:, 1:, None].long())[..., 0]  # (B, T - 1)
    return (chosen * answer[:, 1:]).sum(dim=-1)


def dpo_loss(
    chosen: Float[Tensor, "B"],
    rejected: Float[Tensor, "B"],
    reference_chosen: Float[Tensor, "B"],
    reference_rejected: Float[Tensor, "B"],
    beta: float = 0.1,
) -> tuple[Float[Tensor, ""], Float[Tensor, "B"]]:
    """-log σ(β [(log π(w) - log ref(w)) - (log π(l) - log ref(l))]), the mean over pairs.

    Args:
        chosen, rejected: log-probabilities of the better answer w and the worse one l under
            the model that is trained, from `answer_log_prob`.
        reference_chosen, reference_rejected: the same under the model that it started from.
        beta: how dearly a step away from the reference is paid.

    Returns:
        The loss, and each pair's margin (the argument of σ): above 0 the model prefers w more
        than the reference does.

    Source: Rafailov et al. 2023, eq. 7. Taught in chapter 22.
    """
    margin = beta * ((chosen - reference_chosen) - (rejected - reference_rejected))
    return -F.logsigmoid(margin).mean(), margin.detach()


def policy_gradient_loss(
    log_prob: Float[Tensor, "B"],
    reward: Float[Tensor, "B"],
    baseline: Float[Tensor, "B"] | Float[Tensor, ""] | float = 0.0,
) -> Float[Tensor, ""]:
    """-(r - b) log π(answer), the mean over sampled answers: its gradient is REINFORCE's.

    Source: Williams 1992, eq. 4. Taught in chapter 23.
    """
    advantage = torch.as_tensor(reward - baseline).detach()
    return -(advantage * log_prob).mean()


def group_advantage(reward: Float[Tensor, "P G"]) -> Float[Tensor, "P G"]:
    """(r - mean) / deviation among the G answers to each of P prompts; 0 where all are alike.

    Raises:
        ValueError: fewer than two answers, which have no deviation.

    Source: Shao et al. 2024 (GRPO), section 4.1.2. Taught in chapter 23.
    """
    if reward.shape[-1] < 2:
        raise ValueError(f"{reward.shape[-1]} answer per prompt: draw at least 2 to compare")
    centred = reward - reward.mean(dim=-1, keepdim=True)
    return centred / reward.std(dim=-1, keepdim=True).clamp(min=1e-6)


def clipped_policy_loss(
    log_prob: Float[Tensor, "*shape"],
    old_log_prob: Float[Tensor, "*shape"],
    advantage: Float[Tensor, "*shape"],
    clip: float = 0.2,
    counted: Bool[Tensor, "*shape"] | None = None,
) -> Float[Tensor, ""]:
    """-min(ρA, clip(ρ, 1 - ε, 1 + ε) A), the mean, with ρ = π / π_old.

    Args:
        log_prob, old_log_prob: of the same tokens or answers, now and when they were drawn.
        advantage: how much better than expected each one did.
        clip: ε. A ratio that has moved further in the direction it is pushed gets no gradient.
        counted: which entries count (padding does not); None means all.

    Source: Schulman et al. 2017, eq. 7. Taught in chapter 23.
    """
    ratio = (log_prob - old_log_prob.detach()).exp()
    gain = torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    return -gain.mean() if counted is None else -(gain * counted).sum() / counted.sum().clamp(min=1)


def kl_estimate(
    log_prob: Float[Tensor, "*shape"], reference_log_prob: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """e^d - d - 1 with d = log ref - log π: never negative, its mean over draws from π is the KL.

    Source: Schulman 2020, "Approximating KL divergence" (k3); Shao et al. 2024, eq. 4.
    """
    d = reference_log_prob - log_prob
    return d.exp() - d - 1
