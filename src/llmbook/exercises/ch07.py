"""Exercises and quiz of chapter 7: attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from llmbook.exercises.core import Case, Exercise, Misconception, Property, Question
from llmbook.language import say, translate

# 07.scaled_scores ------------------------------------------------------------------------------


def scaled_scores(q: Tensor, k: Tensor) -> Tensor:
    """Score every query against every key, scaled to unit variance.

    Args:
        q: queries (…, T, D), with any number of leading axes (batch, heads).
        k: keys (…, S, D), with the same leading axes.
    Returns:
        Scores (…, T, S): entry [t, s] is query t · key s, divided by √D.
    """
    return torch.einsum("...td,...sd->...ts", q, k) / math.sqrt(q.shape[-1])


def _scores_no_sqrt(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(-1, -2)


def _scores_divide_by_d(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(-1, -2) / q.shape[-1]


def _scores_sqrt_of_keys(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(-1, -2) / math.sqrt(k.shape[-2])


def _scores_sqrt_of_d_model(q: Tensor, k: Tensor) -> Tensor:
    n_head = q.shape[-3] if q.dim() > 2 else 1
    return q @ k.transpose(-1, -2) / math.sqrt(n_head * q.shape[-1])


def _scores_keys_first(q: Tensor, k: Tensor) -> Tensor:
    return k @ q.transpose(-1, -2) / math.sqrt(q.shape[-1])


def _scores_softmaxed(q: Tensor, k: Tensor) -> Tensor:
    return torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), dim=-1)


def _scores_cases(g: torch.Generator) -> list[Case]:
    sizes = [((), 5, 7, 3), ((3,), 2, 11, 13), ((2, 3), 5, 7, 17)]
    return [
        Case(
            (torch.randn(*lead, t, d, generator=g), torch.randn(*lead, s, d, generator=g)),
            note=f"q {(*lead, t, d)}, k {(*lead, s, d)}",
        )
        for lead, t, s, d in sizes
    ]


def _scores_have_unit_variance(answer) -> None:
    g = torch.Generator().manual_seed(1)
    q, k = torch.randn(2, 400, 256, generator=g)
    spread = answer(q, k).var().item()
    message = translate("With D = 256 the variance of the scores is {variance:.3f}.")
    assert 0.9 < spread < 1.1, message.format(variance=spread)


_SCALED_SCORES = Exercise(
    id="07.scaled_scores",
    title="Scores that keep their scale",
    statement=(
        "Write `scaled_scores(q, k)`: the scores of every query against every key, divided by "
        "the square root of the width D. `q` has shape (…, T, D), `k` has shape (…, S, D), the "
        "result has shape (…, T, S); the dots stand for any leading axes, such as batch and "
        "heads, which are left alone. With `q = [[1, 0, 2, 0]]` and "
        "`k = [[3, 0, 1, 0], [0, 1, 0, 1]]` the scores are `[[2.5, 0.0]]`."
    ),
    solution=scaled_scores,
    example=Case(
        (
            torch.tensor([[1.0, 0.0, 2.0, 0.0]]),
            torch.tensor([[3.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]),
        ),
        note="the printed example",
    ),
    cases=_scores_cases,
    properties=[
        Property(
            "Scores of standard normal queries and keys have variance 1 at any width.",
            _scores_have_unit_variance,
        )
    ],
    misconceptions=[
        Misconception(
            "no_sqrt",
            _scores_no_sqrt,
            "These are the dot products themselves: nothing divides them yet. Their variance "
            "grows with D, and the softmax saturates. Divide by √D.",
        ),
        Misconception(
            "divide_by_d",
            _scores_divide_by_d,
            "You divide by D. The variance of a dot product is D, so its standard deviation "
            "is √D: divide by the square root.",
        ),
        Misconception(
            "sqrt_of_keys",
            _scores_sqrt_of_keys,
            "You divide by the square root of the number of keys S. A score is a sum over the "
            "D numbers of one vector: the scale comes from the last axis, `q.shape[-1]`.",
        ),
        Misconception(
            "sqrt_of_d_model",
            _scores_sqrt_of_d_model,
            "You divide by the square root of H·D, the width of all heads together (d_model). "
            "A head sums over its own d_head numbers only: use `q.shape[-1]`.",
        ),
        Misconception(
            "keys_first",
            _scores_keys_first,
            "The axes are swapped: row t of the result belongs to query t, column s to key s. "
            "Multiply q by the transpose of k, not k by the transpose of q.",
        ),
        Misconception(
            "softmaxed",
            _scores_softmaxed,
            "These are already weights: each row sums to 1. The exercise asks for the scores "
            "before the softmax.",
        ),
    ],
    nudges=[
        "Write down the shapes: (T, D) and (S, D) should give (T, S). Which letter disappears, "
        "and what does einsum do with a letter that disappears?",
        "With einsum three dots stand for all leading axes: `...td,...sd->...ts`. With `@`, "
        "swap the last two axes of k only: `k.transpose(-1, -2)`.",
        "The variance of a sum of D independent terms of variance 1 is D. What do you divide "
        "by to bring it back to 1?",
    ],
    success="Your scores keep unit variance, whatever the width.",
    remark="`q.shape[-1]` reads the width from the tensor, so the function works for any D, and "
    "`...` for any number of leading axes.",
)

# 07.masked_softmax -----------------------------------------------------------------------------


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Turn scores into weights, with no weight where the mask forbids it.

    Args:
        scores: (…, T, S), one row for each query.
        mask: booleans that broadcast to (…, T, S); True = may look.
    Returns:
        Weights (…, T, S). A row sums to 1, or is all zeros if it may look nowhere.
    """
    weights = scores.masked_fill(~mask, -math.inf).softmax(dim=-1)
    return weights.masked_fill(~mask, 0.0)


def _softmax_zero_scores(scores: Tensor, mask: Tensor) -> Tensor:
    weights = scores.masked_fill(~mask, 0.0).softmax(dim=-1)
    return weights.masked_fill(~mask.any(-1, keepdim=True), 0.0)


def _softmax_zero_scores_only(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.masked_fill(~mask, 0.0).softmax(dim=-1)


def _softmax_upside_down(scores: Tensor, mask: Tensor) -> Tensor:
    weights = scores.masked_fill(mask, -math.inf).softmax(dim=-1)
    return weights.masked_fill(mask, 0.0)


def _softmax_mask_after(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.softmax(dim=-1) * mask


def _softmax_after_and_rescaled(scores: Tensor, mask: Tensor) -> Tensor:
    weights = scores.softmax(dim=-1) * mask
    return weights / weights.sum(dim=-1, keepdim=True)


def _softmax_rescaled_and_repaired(scores: Tensor, mask: Tensor) -> Tensor:
    return _softmax_after_and_rescaled(scores, mask).nan_to_num(0.0)


def _softmax_over_queries(scores: Tensor, mask: Tensor) -> Tensor:
    weights = scores.masked_fill(~mask, -math.inf).softmax(dim=-2)
    return weights.masked_fill(~mask, 0.0)


def _softmax_whole_table(scores: Tensor, mask: Tensor) -> Tensor:
    raised = scores.masked_fill(~mask, -math.inf).exp()
    return raised / raised.sum()


def _softmax_nan_rows(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.masked_fill(~mask, -math.inf).softmax(dim=-1)


def _softmax_large_negative(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.masked_fill(~mask, -1e9).softmax(dim=-1)


def _softmax_large_negative_zeroed(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.masked_fill(~mask, -1e9).softmax(dim=-1).masked_fill(~mask, 0.0)


def _softmax_cases(g: torch.Generator) -> list[Case]:
    scattered = torch.rand(2, 3, 5, 7, generator=g) < 0.5
    scattered[..., 0] = True
    with_empty_row = torch.rand(5, 7, generator=g) < 0.6
    with_empty_row[1], with_empty_row[3] = True, False
    padding = torch.tensor([[3], [5], [0]]) > torch.arange(5)
    loud = torch.randn(5, 5, generator=g)
    loud[0, 4] = 300.0
    hushed = torch.randn(5, 5, generator=g)
    hushed[2] = -2e9  # below any number that people put in place of −∞
    return [
        Case((torch.randn(2, 3, 5, 7, generator=g), scattered), note="scores (2, 3, 5, 7)"),
        Case(
            (torch.randn(11, 11, generator=g), torch.ones(11, 11).tril().bool()),
            note="causal, T=S=11",
        ),
        Case((loud, torch.ones(5, 5).tril().bool()), note="a forbidden score of 300"),
        Case((hushed, torch.ones(5, 5).tril().bool()), note="row 2 scores −2·10⁹ throughout"),
        Case((torch.randn(5, 7, generator=g), with_empty_row), note="row 3 may look nowhere"),
        Case(
            (torch.randn(3, 2, 3, 5, generator=g), padding[:, None, None, :]),
            note="padding: 3, 5 and 0 real keys, mask (3, 1, 1, 5)",
        ),
    ]


def _softmax_rows_sum_to_one_or_zero(answer) -> None:
    g = torch.Generator().manual_seed(2)
    mask = torch.rand(13, 7, generator=g) < 0.4
    sums = answer(torch.randn(13, 7, generator=g), mask).sum(dim=-1)
    expected = mask.any(dim=-1).float()
    row = int((sums - expected).abs().argmax())
    message = say("Row {row} sums to {total:.3f}.", row=row, total=float(sums[row]))
    assert torch.allclose(sums, expected, atol=1e-5), message


_MASKED_SOFTMAX = Exercise(
    id="07.masked_softmax",
    title="A softmax that respects a mask",
    statement=(
        "Write `masked_softmax(scores, mask)`: weights over the last axis, exactly zero wherever "
        "`mask` is False. `mask` holds booleans, True = may look, and broadcasts to the shape of "
        "`scores`, (…, T, S). A row that may look nowhere must come out as zeros, never as NaN. "
        "With `scores = [[0, 0, 5], [1, 2, 3]]` and "
        "`mask = [[True, True, False], [False, False, False]]` the weights are "
        "`[[0.5, 0.5, 0], [0, 0, 0]]`."
    ),
    solution=masked_softmax,
    example=Case(
        (
            torch.tensor([[0.0, 0.0, 5.0], [1.0, 2.0, 3.0]]),
            torch.tensor([[True, True, False], [False, False, False]]),
        ),
        note="the printed example",
    ),
    cases=_softmax_cases,
    properties=[
        Property(
            "A row sums to 1, or to 0 where nothing may be looked at.",
            _softmax_rows_sum_to_one_or_zero,
        )
    ],
    misconceptions=[
        Misconception(
            "zero_scores",
            _softmax_zero_scores,
            "A forbidden score of 0 is not a forbidden key: exp(0) = 1, so it still takes its "
            "share. The score whose exponential is 0 is −∞.",
        ),
        Misconception(
            "zero_scores_only",
            _softmax_zero_scores_only,
            "Two things. A forbidden score of 0 still takes its share, since exp(0) = 1: fill with "
            "−∞, whose exponential is 0. And a row that may look nowhere must become zeros.",
        ),
        Misconception(
            "upside_down",
            _softmax_upside_down,
            "The mask is the wrong way round: here True means *may look*. Fill where the mask is "
            "False, that is at `~mask`.",
        ),
        Misconception(
            "mask_after",
            _softmax_mask_after,
            "Masked after the softmax, a row no longer sums to 1: forbidden keys have already "
            "taken their share of the total. Mask the scores, before the softmax.",
        ),
        Misconception(
            "after_and_rescaled",
            _softmax_after_and_rescaled,
            "Masking after the softmax and rescaling is right on paper and breaks in floating "
            "point: one large forbidden score leaves 0 for all others, and 0/0 is NaN (so is an "
            "empty row). Mask the scores, before the softmax.",
        ),
        Misconception(
            "rescaled_and_repaired",
            _softmax_rescaled_and_repaired,
            "Masking after the softmax and rescaling is right on paper and breaks in floating "
            "point: one large forbidden score leaves 0 for all others. Turning 0/0 into 0 hides "
            "that, and the row loses its weights. Mask the scores, before the softmax.",
        ),
        Misconception(
            "over_queries",
            _softmax_over_queries,
            "The softmax runs over the queries. Each query spreads its own weight over the keys: "
            "normalise along the last axis, `dim=-1`.",
        ),
        Misconception(
            "whole_table",
            _softmax_whole_table,
            "You divide by the sum of the whole table. Each query has a total of its own: sum "
            "over the keys and keep the axis, `sum(dim=-1, keepdim=True)`.",
        ),
        Misconception(
            "nan_rows",
            _softmax_nan_rows,
            "Right wherever a query may look somewhere. A row of −∞ only gives (−∞) − (−∞) = NaN: "
            "fill such a row with zeros afterwards.",
        ),
        Misconception(
            "large_negative",
            _softmax_large_negative,
            "A large negative number stands in for −∞ until a row is forbidden altogether: then "
            "all its scores are equal and the forbidden keys share the weight evenly. Use −∞, "
            "then put zeros there.",
        ),
        Misconception(
            "large_negative_zeroed",
            _softmax_large_negative_zeroed,
            "A finite number stands in for −∞ only while every permitted score lies far above "
            "it. A row of lower scores gives its weight to the forbidden keys, and zeros "
            "afterwards do not bring it back. Nothing lies below −∞: fill with that.",
        ),
    ],
    nudges=[
        "Which number, put in place of a forbidden score, has the exponential 0?",
        "`scores.masked_fill(condition, value)` puts the value where the condition is True. "
        "You want it where `mask` is False.",
        "What does a row of −∞ give after the softmax? One more `masked_fill`, on the weights, "
        "repairs it.",
    ],
    success="Forbidden keys get nothing, and a query with nowhere to look gets zeros.",
    remark="The second `masked_fill` changes only the rows that were NaN: elsewhere the forbidden "
    "weights are 0 already.",
)

# 07.attention_backward -------------------------------------------------------------------------


def attention_backward(
    q: Tensor, k: Tensor, v: Tensor, beta: float, d_out: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of attention with a sharpness β: out = softmax(β·q kᵀ) v.

    Args:
        q: queries (T, D).
        k: keys (S, D).
        v: values (S, D).
        beta: the sharpness, a number; 1/√D would give the usual attention.
        d_out: gradient of the loss with respect to the output (T, D).
    Returns:
        Gradients of the loss with respect to q, k, v and beta, in this order;
        the last one is a tensor with a single number.
    """
    products = q @ k.T
    weights = (beta * products).softmax(dim=-1)
    d_v = weights.T @ d_out
    d_weights = d_out @ v.T
    d_scores = weights * (d_weights - (weights * d_weights).sum(dim=-1, keepdim=True))
    return beta * d_scores @ k, beta * d_scores.T @ q, d_v, (d_scores * products).sum()


def _backward_parts(q, k, v, beta, d_out) -> tuple[Tensor, Tensor, Tensor]:
    """Products, weights and the gradient of the weights: right in every misconception."""
    products = q @ k.T
    return products, (beta * products).softmax(dim=-1), d_out @ v.T


def _backward_no_row_sum(q, k, v, beta, d_out):
    products, weights, d_weights = _backward_parts(q, k, v, beta, d_out)
    d_scores = weights * d_weights
    d_beta = (d_scores * products).sum()
    return beta * d_scores @ k, beta * d_scores.T @ q, weights.T @ d_out, d_beta


def _backward_diagonal_only(q, k, v, beta, d_out):
    products, weights, d_weights = _backward_parts(q, k, v, beta, d_out)
    d_scores = weights * (1 - weights) * d_weights
    d_beta = (d_scores * products).sum()
    return beta * d_scores @ k, beta * d_scores.T @ q, weights.T @ d_out, d_beta


def _backward_plain_mean(q, k, v, beta, d_out):
    products, weights, d_weights = _backward_parts(q, k, v, beta, d_out)
    d_scores = weights * (d_weights - d_weights.mean(dim=-1, keepdim=True))
    d_beta = (d_scores * products).sum()
    return beta * d_scores @ k, beta * d_scores.T @ q, weights.T @ d_out, d_beta


def _backward_column_sum(q, k, v, beta, d_out):
    products, weights, d_weights = _backward_parts(q, k, v, beta, d_out)
    d_scores = weights * (d_weights - (weights * d_weights).sum(dim=0, keepdim=True))
    d_beta = (d_scores * products).sum()
    return beta * d_scores @ k, beta * d_scores.T @ q, weights.T @ d_out, d_beta


def _backward_no_beta(q, k, v, beta, d_out):
    products, weights, d_weights = _backward_parts(q, k, v, beta, d_out)
    d_scores = weights * (d_weights - (weights * d_weights).sum(dim=-1, keepdim=True))
    return d_scores @ k, d_scores.T @ q, weights.T @ d_out, (d_scores * products).sum()


def _backward_root_for_beta(q, k, v, beta, d_out):
    return attention_backward(q, k, v, 1 / math.sqrt(q.shape[-1]), d_out)


def _backward_beta_of_scores(q, k, v, beta, d_out):
    d_q, d_k, d_v, d_beta = attention_backward(q, k, v, beta, d_out)
    return d_q, d_k, d_v, beta * d_beta


def _backward_beta_skips_softmax(q, k, v, beta, d_out):
    products, _, d_weights = _backward_parts(q, k, v, beta, d_out)
    d_q, d_k, d_v, _ = attention_backward(q, k, v, beta, d_out)
    return d_q, d_k, d_v, (d_weights * products).sum()


def _backward_cases(g: torch.Generator) -> list[Case]:
    sizes = [(5, 7, 3, 0.5), (3, 11, 2, 1.5), (7, 2, 5, 0.25)]
    return [
        Case(
            (
                torch.randn(t, d, generator=g),
                torch.randn(s, d, generator=g),
                torch.randn(s, d, generator=g),
                beta,
                torch.randn(t, d, generator=g),
            ),
            note=f"T={t}, S={s}, D={d}, beta={beta}",
        )
        for t, s, d, beta in sizes
    ]


def _backward_equals_autograd(answer) -> None:
    g = torch.Generator().manual_seed(3)
    q, k, v = (torch.randn(n, 3, generator=g, dtype=torch.float64) for n in (5, 7, 7))
    beta = torch.tensor(0.7, dtype=torch.float64)
    inputs = [x.requires_grad_() for x in (q, k, v, beta)]
    out = (beta * q @ k.T).softmax(dim=-1) @ v
    d_out = torch.randn(out.shape, generator=g, dtype=torch.float64)
    expected = torch.autograd.grad(out, inputs, d_out)
    got = answer(q.detach(), k.detach(), v.detach(), 0.7, d_out)
    for name, ours, theirs in zip(("q", "k", "v", "beta"), got, expected, strict=True):
        gap = (torch.as_tensor(ours) - theirs).abs().max().item()
        message = translate("The gradient of {name} is off by up to {gap:.4f}.")
        assert gap < 1e-6, message.format(name=name, gap=gap)


_ATTENTION_BACKWARD = Exercise(
    id="07.attention_backward",
    title="The backward pass, with a sharpness that learns",
    statement=(
        "*Needs the deeper section on the backward pass.* "
        "Some models learn the sharpness of their attention: out = softmax(β·q kᵀ) v, where β is "
        "a parameter in the place of 1/√D. Write `attention_backward(q, k, v, beta, d_out)` "
        "without autograd: given the gradient of the loss with respect to the output, return the "
        "gradients with respect to `q`, `k`, `v` and `beta`, in this order. Shapes: `q` and "
        "`d_out` (T, D), `k` and `v` (S, D), `beta` a number. With `q = [[1]]`, "
        "`k = [[0], [½ ln 3]]`, `v = [[1], [3]]`, `beta = 2` and `d_out = [[1]]` the weights are "
        "¼ and ¾, and the answer is, to three decimals, `[[0.412]]`, `[[-0.75], [0.75]]`, "
        "`[[0.25], [0.75]]` and `0.206`."
    ),
    solution=attention_backward,
    example=Case(
        (
            torch.tensor([[1.0]]),
            torch.tensor([[0.0], [math.log(3) / 2]]),
            torch.tensor([[1.0], [3.0]]),
            2.0,
            torch.tensor([[1.0]]),
        ),
        note="the printed example",
    ),
    cases=_backward_cases,
    properties=[Property("The gradients are those of autograd.", _backward_equals_autograd)],
    misconceptions=[
        Misconception(
            "no_row_sum",
            _backward_no_row_sum,
            "The softmax's Jacobian is diag(p) − p pᵀ, and only its first part is here. Weights "
            "compete: raising one lowers the others. Subtract, in each row, the sum of "
            "weights × d_weights.",
        ),
        Misconception(
            "diagonal_only",
            _backward_diagonal_only,
            "p·(1 − p) is only the diagonal of the softmax's Jacobian: how a weight answers its "
            "own score. A score also moves all the other weights of its row, by −p_s·p_r: "
            "subtract the row's weighted sum of d_weights.",
        ),
        Misconception(
            "plain_mean",
            _backward_plain_mean,
            "You subtract the plain mean of d_weights in each row. The mean that belongs there "
            "is taken under the row's own weights: (weights * d_weights).sum(dim=-1).",
        ),
        Misconception(
            "column_sum",
            _backward_column_sum,
            "You sum over the queries. Each row is a softmax of its own: the weighted sum runs "
            "over the keys, `dim=-1`.",
        ),
        Misconception(
            "no_beta",
            _backward_no_beta,
            "d_q and d_k lack a factor: the scores are β·q kᵀ, so β multiplies both gradients on "
            "the way back.",
        ),
        Misconception(
            "root_for_beta",
            _backward_root_for_beta,
            "You use 1/√D where β belongs: the scores here are β·q kᵀ, with the β that was "
            "passed in and no root.",
        ),
        Misconception(
            "beta_of_scores",
            _backward_beta_of_scores,
            "d_beta is β times too large. The derivative of β·x with respect to β is x: multiply "
            "d_scores by the dot products before β is applied.",
        ),
        Misconception(
            "beta_skips_softmax",
            _backward_beta_skips_softmax,
            "d_beta uses the gradient of the weights. β acts before the softmax, so it needs the "
            "gradient of the scores.",
        ),
    ],
    nudges=[
        "Recompute the weights first. Then walk backwards: out → (weights, v) → scores → "
        "(q, k, beta). Write the shape of each gradient beside it: it has the shape of its tensor.",
        "d_v = weightsᵀ d_out and d_weights = d_out vᵀ. Through the softmax, each row of "
        "d_scores is weights × (d_weights − their weighted mean).",
        "scores = β·(q kᵀ): d_q = β·d_scores k, d_k = β·d_scoresᵀ q, and β collects "
        "d_scores × (q kᵀ) from every pair.",
    ],
    success="Your hand-written gradients are those of autograd, the sharpness included.",
    remark="β is one number shared by all pairs, so its gradient is a sum over all pairs.",
)

# 07.multi_query --------------------------------------------------------------------------------


def multi_query(
    x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor, w_o: Tensor, n_head: int
) -> Tensor:
    """Causal self-attention whose heads share one set of keys and values.

    Args:
        x: token vectors (B, T, C).
        w_q: query projection (C, C), with D = C / n_head columns for each head.
        w_k: the one key projection (C, D).
        w_v: the one value projection (C, D).
        w_o: output projection (C, C), for the heads laid side by side.
        n_head: number of query heads.
    Returns:
        The output (B, T, C).
    """
    n_tokens, d_head = x.shape[1], x.shape[2] // n_head
    q = (x @ w_q).unflatten(-1, (n_head, d_head))  # (B, T, H, D)
    k, v = x @ w_k, x @ w_v  # (B, S, D): no head axis
    scores = torch.einsum("bthd,bsd->bhts", q, k) / math.sqrt(d_head)
    may_look = torch.ones(n_tokens, n_tokens).tril().bool()
    weights = scores.masked_fill(~may_look, -math.inf).softmax(dim=-1)
    mixed = torch.einsum("bhts,bsd->bthd", weights, v)
    return mixed.flatten(2) @ w_o


def _mixed_heads(x, w_q, w_k, w_v, n_head, *, scale=None, causal=True, strict=False) -> Tensor:
    """The heads' mixtures (B, H, T, D), with one thing changed by a keyword."""
    n_tokens, d_head = x.shape[1], x.shape[2] // n_head
    q = (x @ w_q).unflatten(-1, (n_head, d_head)).transpose(1, 2)
    k, v = (x @ w_k)[:, None], (x @ w_v)[:, None]
    scores = q @ k.transpose(-1, -2) / math.sqrt(scale or d_head)
    if causal:
        may_look = torch.ones(n_tokens, n_tokens).tril(-1 if strict else 0).bool()
        scores = scores.masked_fill(~may_look, -math.inf)
    return scores.softmax(dim=-1).nan_to_num(0.0) @ v


def _query_not_causal(x, w_q, w_k, w_v, w_o, n_head):
    return _mixed_heads(x, w_q, w_k, w_v, n_head, causal=False).transpose(1, 2).flatten(2) @ w_o


def _query_blind_to_itself(x, w_q, w_k, w_v, w_o, n_head):
    return _mixed_heads(x, w_q, w_k, w_v, n_head, strict=True).transpose(1, 2).flatten(2) @ w_o


def _query_with_mask(x, w_q, w_k, w_v, w_o, n_head, may_look):
    """Multi-query attention under another mask; a row that may look nowhere is NaN."""
    d_head = x.shape[2] // n_head
    q = (x @ w_q).unflatten(-1, (n_head, d_head)).transpose(1, 2)
    k, v = (x @ w_k)[:, None], (x @ w_v)[:, None]
    scores = q @ k.transpose(-1, -2) / math.sqrt(d_head)
    weights = scores.masked_fill(~may_look, -math.inf).softmax(dim=-1)
    return (weights @ v).transpose(1, 2).flatten(2) @ w_o


def _query_strict_mask(x, w_q, w_k, w_v, w_o, n_head):
    may_look = torch.ones(x.shape[1], x.shape[1]).tril(-1).bool()
    return _query_with_mask(x, w_q, w_k, w_v, w_o, n_head, may_look)


def _query_upside_down(x, w_q, w_k, w_v, w_o, n_head):
    may_look = ~torch.ones(x.shape[1], x.shape[1]).tril().bool()
    return _query_with_mask(x, w_q, w_k, w_v, w_o, n_head, may_look)


def _query_future_only(x, w_q, w_k, w_v, w_o, n_head):
    may_look = torch.ones(x.shape[1], x.shape[1]).triu().bool()
    return _query_with_mask(x, w_q, w_k, w_v, w_o, n_head, may_look)


def _query_scaled_by_d_model(x, w_q, w_k, w_v, w_o, n_head):
    mixed = _mixed_heads(x, w_q, w_k, w_v, n_head, scale=x.shape[-1])
    return mixed.transpose(1, 2).flatten(2) @ w_o


def _query_no_scale(x, w_q, w_k, w_v, w_o, n_head):
    mixed = _mixed_heads(x, w_q, w_k, w_v, n_head, scale=1.0)
    return mixed.transpose(1, 2).flatten(2) @ w_o


def _query_zeroed_scores(x, w_q, w_k, w_v, w_o, n_head):
    d_head = x.shape[2] // n_head
    q = (x @ w_q).unflatten(-1, (n_head, d_head)).transpose(1, 2)
    k, v = (x @ w_k)[:, None], (x @ w_v)[:, None]
    scores = (q @ k.transpose(-1, -2) / math.sqrt(d_head)).tril()
    return (scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2) @ w_o


def _query_heads_not_moved_back(x, w_q, w_k, w_v, w_o, n_head):
    return _mixed_heads(x, w_q, w_k, w_v, n_head).reshape(x.shape) @ w_o


def _query_viewed_not_moved(x, w_q, w_k, w_v, w_o, n_head):
    n_tokens, d_head = x.shape[1], x.shape[2] // n_head
    q = (x @ w_q).reshape(-1, n_head, n_tokens, d_head)
    k, v = (x @ w_k)[:, None], (x @ w_v)[:, None]
    may_look = torch.ones(n_tokens, n_tokens).tril().bool()
    scores = q @ k.transpose(-1, -2) / math.sqrt(d_head)
    weights = scores.masked_fill(~may_look, -math.inf).softmax(dim=-1)
    return (weights @ v).transpose(1, 2).flatten(2) @ w_o


def _query_no_output_projection(x, w_q, w_k, w_v, w_o, n_head):
    return _mixed_heads(x, w_q, w_k, w_v, n_head).transpose(1, 2).flatten(2)


def _query_output_transposed(x, w_q, w_k, w_v, w_o, n_head):
    return multi_query(x, w_q, w_k, w_v, w_o.T, n_head)


def _multi_query_case(g: torch.Generator, b: int, t: int, h: int, d: int) -> Case:
    c = h * d
    sizes = [(b, t, c), (c, c), (c, d), (c, d), (c, c)]
    tensors = [torch.randn(size, generator=g) for size in sizes]
    scaled = [tensors[0], *(w / math.sqrt(c) for w in tensors[1:])]
    return Case((*scaled, h), note=f"B={b}, T={t}, H={h}, D={d}")


def _multi_query_cases(g: torch.Generator) -> list[Case]:
    return [
        _multi_query_case(g, b, t, h, d)
        for b, t, h, d in [(2, 7, 3, 5), (3, 5, 2, 11), (1, 1, 3, 7)]
    ]


def _multi_query_is_causal(answer) -> None:
    args = _multi_query_case(torch.Generator().manual_seed(4), 2, 7, 3, 5).args
    x = args[0].clone()
    before = answer(x, *args[1:])
    x[:, 4:] += 10.0
    change = (answer(x, *args[1:]) - before)[:, :4].abs().max().item()
    message = translate("Changing tokens 4 to 6 moves earlier outputs by up to {change:.3f}.")
    assert change < 1e-4, message.format(change=change)


_MULTI_QUERY = Exercise(
    id="07.multi_query",
    title="Build multi-query attention",
    statement=(
        "In *multi-query attention* (Shazeer 2019) each head has its own queries, but all heads "
        "share one set of keys and one of values: less to keep in memory while a model writes. "
        "Write `multi_query(x, w_q, w_k, w_v, w_o, n_head)` for causal self-attention: project, "
        "split the queries into heads, score, mask, mix, lay the heads side by side, apply `w_o`. "
        "Shapes: `x` (B, T, C), `w_q` and `w_o` (C, C), `w_k` and `w_v` (C, D) with "
        "D = C / n_head; vectors are rows, so the queries are `x @ w_q`. With one token, whatever "
        "its queries, each head returns the token's value: `x = [[[1, 2]]]`, "
        "`w_v = [[1], [1]]`, `n_head = 2` and identity matrices for `w_q` and `w_o` give "
        "`[[[3, 3]]]`."
    ),
    solution=multi_query,
    example=Case(
        (
            torch.tensor([[[1.0, 2.0]]]),
            torch.eye(2),
            torch.tensor([[1.0], [0.0]]),
            torch.tensor([[1.0], [1.0]]),
            torch.eye(2),
            2,
        ),
        note="the printed example",
    ),
    cases=_multi_query_cases,
    properties=[Property("Later tokens cannot change earlier outputs.", _multi_query_is_causal)],
    misconceptions=[
        Misconception(
            "not_causal",
            _query_not_causal,
            "Every token sees the whole text, the future included. Mask the scores so that token "
            "t looks at tokens 0 to t only.",
        ),
        Misconception(
            "blind_to_itself",
            _query_blind_to_itself,
            "Off by one: token t must be allowed to look at itself. The diagonal of the mask is "
            "True (`tril()`, not `tril(-1)`).",
        ),
        Misconception(
            "strict_mask",
            _query_strict_mask,
            "Off by one, and NaN in the first row: token 0 may look nowhere. Token t must be "
            "allowed to look at itself: `tril()`, not `tril(-1)`.",
        ),
        Misconception(
            "upside_down",
            _query_upside_down,
            "The mask is upside down: each token sees only what comes after it, and the last one "
            "nothing, hence the NaN. Fill where looking is forbidden, at `~may_look`.",
        ),
        Misconception(
            "future_only",
            _query_future_only,
            "The triangle points the wrong way: token t looks at itself and at what comes after. "
            "Keep the lower triangle, `tril()`, not `triu()`.",
        ),
        Misconception(
            "scaled_by_d_model",
            _query_scaled_by_d_model,
            "You divide by the square root of d_model. A head's dot product has d_head = "
            "d_model / n_head terms: divide by √d_head.",
        ),
        Misconception(
            "no_scale",
            _query_no_scale,
            "The scores are not scaled: divide them by √d_head before the softmax.",
        ),
        Misconception(
            "zeroed_scores",
            _query_zeroed_scores,
            "`scores.tril()` puts 0 in place of a forbidden score, and exp(0) = 1 still takes its "
            "share. Fill with −∞ instead: `masked_fill(~may_look, -math.inf)`.",
        ),
        Misconception(
            "heads_not_moved_back",
            _query_heads_not_moved_back,
            "The mixtures have shape (B, H, T, D), and reshaping that to (B, T, C) mixes tokens "
            "up. Move the head axis back behind the token axis first: `transpose(1, 2)`.",
        ),
        Misconception(
            "viewed_not_moved",
            _query_viewed_not_moved,
            "The queries went from (B, T, C) straight to (B, H, T, D): a reshape keeps the order "
            "of the numbers, so tokens and heads are scrambled. Split the last axis into (H, D), "
            "then transpose.",
        ),
        Misconception(
            "no_output_projection",
            _query_no_output_projection,
            "The heads lie side by side and nothing mixes them: the last step, `@ w_o`, is "
            "missing.",
        ),
        Misconception(
            "output_transposed",
            _query_output_transposed,
            "You multiply by the transpose of `w_o`. Vectors are rows here: the last step is "
            "`@ w_o`.",
        ),
    ],
    nudges=[
        "Start with the shapes: q becomes (B, T, H, D) by `unflatten(-1, (n_head, d_head))`, "
        "k and v stay (B, S, D). Which letter of the einsum for the scores does k lack?",
        "`torch.einsum('bthd,bsd->bhts', q, k)`: the keys have no h, so every head uses the same.",
        "After mixing, the order of the axes must be (B, T, H, D) before the last two are "
        "flattened into C.",
    ],
    success="You have built the attention that many models use to write faster (chapter 10).",
    remark="Compared with full multi-head attention only two letters change: k and v lose their h. "
    "A cache of keys and values shrinks by the factor n_head.",
)

EXERCISES = [_SCALED_SCORES, _MASKED_SOFTMAX, _ATTENTION_BACKWARD, _MULTI_QUERY]

QUIZ = [
    Question(
        text="Why does attention divide the scores by √D rather than by D?",
        choices=[
            "Because the rows of the weights must sum to 1",
            "Because the standard deviation of a dot product of D unit-variance terms is √D",
            "Because √D is cheaper to compute than D",
        ],
        answer=1,
        why=[
            "The softmax sees to that, whatever the scale.",
            "The variance of the sum is D, its standard deviation √D: dividing by √D brings the "
            "variance back to 1.",
            "Either is one number, computed once.",
        ],
    ),
    Question(
        text="The weights of one head have shape (B, H, T, S) = (1, 1, 5, 9). What is true?",
        choices=[
            "Nine queries each spread their weight over five keys",
            "Each of the five rows sums to 1, and there is one row for each query",
            "Each of the nine columns sums to 1, and there is one column for each key",
        ],
        answer=1,
        why=[
            "T counts queries and comes first: five queries, nine keys.",
            "The softmax runs over the keys, the last axis, once for each query.",
            "A column collects what all queries give to one key. It may sum to anything from 0 "
            "to 5.",
        ],
    ),
    Question(
        text="You shuffle the tokens of a text. Self-attention without a mask and without "
        "positions then returns …",
        choices=[
            "The same vectors, shuffled in the same way",
            "The same vectors in the original order",
            "Different vectors, because each token has new neighbours",
        ],
        answer=0,
        why=[
            "A sum over keys does not depend on their order, so each token gets the vector it had "
            "before. Word order has to be supplied from outside (chapter 8).",
            "Each output belongs to its query, and the queries were shuffled.",
            "Nothing in the formula knows who stands beside whom.",
        ],
    ),
    Question(
        text="In a trained model a head puts weight 0.9 on the word *not*. What may you conclude?",
        choices=[
            "The model's prediction depends mostly on *not*",
            "This head's output at that position is mostly the value vector of *not*",
            "The model has understood negation",
        ],
        answer=1,
        why=[
            "That needs an intervention: the head may matter little, the value may be small, and "
            "other heads and layers may carry the same information.",
            "That is what a weight says, and all it says: 0.9 of one head's mixture.",
            "A map shows where a head looks. What is done with it has to be tested (chapter 35).",
        ],
    ),
]
