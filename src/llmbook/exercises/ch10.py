"""Exercises and quiz of chapter 10: fast attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from llmbook.exercises.core import Case, Exercise, Misconception, Property, Question

# 10.merge_halves -------------------------------------------------------------------------------


def merge_halves(
    out_a: Tensor, lse_a: Tensor, out_b: Tensor, lse_b: Tensor
) -> tuple[Tensor, Tensor]:
    """Join attention over two sets of keys into attention over all of them.

    Args:
        out_a, out_b: finished outputs (…, T, D), each a softmax over its own keys.
        lse_a, lse_b: log Σ exp(score) over those keys (…, T); −∞ where a query saw none.
    Returns:
        The output over both sets (…, T, D), and its log-sum-exp (…, T). A query that saw
        nothing in either gets zeros and −∞.
    """
    m = torch.maximum(lse_a, lse_b)
    m = m.masked_fill(m == -math.inf, 0.0)
    share_a, share_b = (lse_a - m).exp(), (lse_b - m).exp()
    total = share_a + share_b
    mixed = share_a[..., None] * out_a + share_b[..., None] * out_b
    return mixed / total.masked_fill(total == 0, 1.0)[..., None], m + total.log()


def _merge_with(share_a: Tensor, out_a: Tensor, out_b: Tensor) -> Tensor:
    return share_a[..., None] * out_a + (1 - share_a)[..., None] * out_b


def _merge_average(out_a, lse_a, out_b, lse_b):
    return (out_a + out_b) / 2, torch.logaddexp(lse_a, lse_b)


def _merge_added(out_a, lse_a, out_b, lse_b):
    return out_a + out_b, torch.logaddexp(lse_a, lse_b)


def _merge_logs_as_weights(out_a, lse_a, out_b, lse_b):
    share_a = (lse_a / (lse_a + lse_b)).nan_to_num(0.0)
    return _merge_with(share_a, out_a, out_b), torch.logaddexp(lse_a, lse_b)


def _merge_overflow(out_a, lse_a, out_b, lse_b):
    l_a, l_b = lse_a.exp(), lse_b.exp()
    total = l_a + l_b
    mixed = l_a[..., None] * out_a + l_b[..., None] * out_b
    return mixed / total.masked_fill(total == 0, 1.0)[..., None], total.log()


def _merge_larger_wins(out_a, lse_a, out_b, lse_b):
    first = (lse_a >= lse_b)[..., None]
    return torch.where(first, out_a, out_b), torch.logaddexp(lse_a, lse_b)


def _merge_log_summed(out_a, lse_a, out_b, lse_b):
    return merge_halves(out_a, lse_a, out_b, lse_b)[0], lse_a + lse_b


def _merge_log_maximum(out_a, lse_a, out_b, lse_b):
    return merge_halves(out_a, lse_a, out_b, lse_b)[0], torch.maximum(lse_a, lse_b)


def _merge_blind(out_a, lse_a, out_b, lse_b):
    m = torch.maximum(lse_a, lse_b)
    share_a, share_b = (lse_a - m).exp(), (lse_b - m).exp()
    total = share_a + share_b
    mixed = share_a[..., None] * out_a + share_b[..., None] * out_b
    return mixed / total[..., None], m + total.log()


def _merge_paper(out_a, lse_a, out_b, lse_b):
    l_a, l_b = lse_a.exp(), lse_b.exp()
    mixed = l_a[..., None] * out_a + l_b[..., None] * out_b
    return mixed / (l_a + l_b)[..., None], (l_a + l_b).log()


def _merge_undivided(out_a, lse_a, out_b, lse_b):
    m = torch.maximum(lse_a, lse_b)
    m = m.masked_fill(m == -math.inf, 0.0)
    share_a, share_b = (lse_a - m).exp(), (lse_b - m).exp()
    mixed = share_a[..., None] * out_a + share_b[..., None] * out_b
    return mixed, m + (share_a + share_b).log()


def _merge_rounded(out_a, lse_a, out_b, lse_b):
    lse = torch.logaddexp(lse_a, lse_b)
    seen = lse.masked_fill(lse == -math.inf, 0.0)
    share_a, share_b = (lse_a - seen).exp(), (lse_b - seen).exp()
    return share_a[..., None] * out_a + share_b[..., None] * out_b, lse


def _merge_rounded_blind(out_a, lse_a, out_b, lse_b):
    lse = torch.logaddexp(lse_a, lse_b)
    share_a, share_b = (lse_a - lse).exp(), (lse_b - lse).exp()
    return share_a[..., None] * out_a + share_b[..., None] * out_b, lse


def _merge_overflowing_shares(out_a, lse_a, out_b, lse_b):
    share_a = lse_a.exp() / (lse_a.exp() + lse_b.exp())
    return _merge_with(share_a, out_a, out_b), torch.logaddexp(lse_a, lse_b)


def _merge_blind_share(out_a, lse_a, out_b, lse_b):
    share_a = torch.sigmoid(lse_a - lse_b)
    return _merge_with(share_a, out_a, out_b), torch.logaddexp(lse_a, lse_b)


def _half(scores: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    lse = scores.logsumexp(dim=-1)
    return scores.softmax(dim=-1).nan_to_num(0.0) @ values, lse


def _merge_case(g: torch.Generator, shape: tuple[int, ...], offset: float, note: str) -> Case:
    *lead, n_query, width = shape
    halves: list[Tensor] = []
    for n_key in (5, 3):
        scores = torch.randn(*lead, n_query, n_key, generator=g) + offset
        scores[..., 1, :] -= 0.7 * n_key  # one half matters more than the other
        halves += _half(scores, torch.randn(*lead, n_key, width, generator=g))
    return Case(tuple(halves), note=note)


def _merge_cases(g: torch.Generator) -> list[Case]:
    cases = [
        _merge_case(g, (7, 3), 0.0, "T=7, D=3"),
        _merge_case(g, (2, 3, 5, 2), 0.0, "shape (2, 3, 5, 2)"),
        _merge_case(g, (5, 3), 1e4, "scores near 10,000"),
        _merge_case(g, (5, 2), -1e4, "scores near −10,000"),
    ]
    out_a, lse_a, out_b, lse_b = (x.clone() for x in _merge_case(g, (4, 3), 0.0, "").args)
    for row, hidden in ((0, ((out_a, lse_a),)), (2, ((out_a, lse_a), (out_b, lse_b)))):
        for out, lse in hidden:
            out[row], lse[row] = 0.0, -math.inf
    note = "query 0 sees nothing in the first half, query 2 nothing at all"
    return [*cases, Case((out_a, lse_a, out_b, lse_b), note=note)]


def _order_does_not_matter(answer) -> None:
    g = torch.Generator().manual_seed(5)
    a, b, c = (
        _half(torch.randn(4, n, generator=g), torch.randn(n, 3, generator=g)) for n in (5, 2, 3)
    )
    left, right = answer(*answer(*a, *b), *c), answer(*a, *answer(*b, *c))
    gap = (left[0] - right[0]).abs().max().item()
    assert gap < 1e-4, f"(a, b), c and a, (b, c) differ by {gap:.3f}."


_MERGE = Exercise(
    id="10.merge_halves",
    title="Two halves of one attention",
    statement=(
        "Two machines hold half of the keys each, and each has finished its attention: an output "
        "`out` (…, T, D) and the logarithm `lse` (…, T) of the sum of the exponentials of its "
        "scores. Write `merge_halves(out_a, lse_a, out_b, lse_b)`: the output and the `lse` over "
        "all keys. Scores may be as large as ±10,000, and a query that saw no key in a half has "
        "the output 0 and the `lse` −∞ there; if it saw none in either, the result is again 0 and "
        "−∞. With `out_a = [[1]]`, `lse_a = [0]`, `out_b = [[5]]` and `lse_b = [ln 3]` the halves "
        "count ¼ and ¾, and the answer is `[[4]]` and `[ln 4]`."
    ),
    solution=merge_halves,
    example=Case(
        (
            torch.tensor([[1.0]]),
            torch.tensor([0.0]),
            torch.tensor([[5.0]]),
            torch.tensor([math.log(3.0)]),
        ),
        note="the printed example",
    ),
    cases=_merge_cases,
    properties=[Property("Three parts may be joined in any order.", _order_does_not_matter)],
    misconceptions=[
        Misconception(
            "average",
            _merge_average,
            "You take the plain average. The half whose scores are larger must count for more: "
            "its share is exp(lse) of the half, divided by the sum of both.",
        ),
        Misconception(
            "added",
            _merge_added,
            "You add the outputs. Each of them was already divided by the sum of its own half, so "
            "each has to be weighed with its share of the whole, and the shares sum to 1.",
        ),
        Misconception(
            "logs_as_weights",
            _merge_logs_as_weights,
            "You use the logarithms themselves as weights. They may be negative; what adds up is "
            "their exponentials.",
        ),
        Misconception(
            "overflow",
            _merge_overflow,
            "Right on paper, but exp(10,000) is infinite and exp(−10,000) is 0 in floats. "
            "Subtract the larger of the two logarithms from both before you exponentiate, and "
            "add it again at the end.",
        ),
        Misconception(
            "paper",
            _merge_paper,
            "Right on paper, but exp(10,000) is infinite and exp(−10,000) is 0 in floats. "
            "Subtract the larger of the two logarithms from both before you exponentiate, and "
            "add it again at the end. A query that saw nothing needs care of its own.",
        ),
        Misconception(
            "undivided",
            _merge_undivided,
            "The new `lse` is right. Your weights do not sum to 1: divide the mixture by the sum "
            "of the two shares.",
        ),
        Misconception(
            "rounded",
            _merge_rounded,
            "Right on paper, and no exponent overflows. But near 10,000 a float32 has steps of "
            "about 0.001: with the rounded new `lse` the shares exp(lse_a − lse) and "
            "exp(lse_b − lse) no longer sum to 1. Subtract the larger of the two logarithms, and "
            "divide by the sum of the two shares.",
        ),
        Misconception(
            "rounded_blind",
            _merge_rounded_blind,
            "Two things are left. Near 10,000 a float32 has steps of about 0.001: with the rounded "
            "new `lse` the shares no longer sum to 1. Subtract the larger of the two logarithms, "
            "and divide by the sum of the two shares. And for a query that saw nothing in either "
            "half −∞ minus −∞ is NaN.",
        ),
        Misconception(
            "overflowing_shares",
            _merge_overflowing_shares,
            "The new `lse` is right. The shares are right on paper, but exp(10,000) is infinite "
            "and exp(−10,000) is 0 in floats: subtract the larger of the two logarithms from both "
            "before you exponentiate.",
        ),
        Misconception(
            "blind_share",
            _merge_blind_share,
            "The new `lse` is right, and so are the shares, except for a query that saw nothing "
            "in either half: −∞ minus −∞ is NaN. Its output is 0.",
        ),
        Misconception(
            "larger_wins",
            _merge_larger_wins,
            "You keep the output of the half with the larger sum and drop the other. Its share is "
            "smaller, but it is not 0.",
        ),
        Misconception(
            "log_summed",
            _merge_log_summed,
            "The output is right, the new `lse` is not: adding logarithms multiplies the sums. "
            "You need the logarithm of their sum.",
        ),
        Misconception(
            "log_maximum",
            _merge_log_maximum,
            "The output is right. For the new `lse` you keep the larger of the two, and forget "
            "what the other half adds to the sum.",
        ),
        Misconception(
            "blind",
            _merge_blind,
            "All is well except for a query that saw nothing in either half: −∞ minus −∞ is NaN. "
            "Subtract 0 there instead of −∞, and do not divide by the sum 0.",
        ),
    ],
    nudges=[
        "Undo the division first: what was the unnormalised mixture of a half, in terms of its "
        "output and its lse?",
        "The shares are exp(lse_a) and exp(lse_b), divided by their sum. Which number may be "
        "subtracted from both exponents without changing the shares?",
        "`x.masked_fill(x == -math.inf, 0.0)` replaces −∞ before it does harm.",
    ],
    success="Your halves can be joined in any order, at any size of the scores.",
    remark="The same five lines join the tiles of FlashAttention, the pages of a cache, and the "
    "devices among which a long text is divided.",
)

# 10.cache_bytes --------------------------------------------------------------------------------


def cache_bytes(
    n_layer: int,
    n_head: int,
    n_kv_head: int,
    d_head: int,
    n_token: int,
    batch: int,
    bytes_per_number: int,
    window: int | None,
) -> int:
    """Count the bytes of a KV cache.

    Args:
        n_layer, n_head, n_kv_head, d_head: blocks; query heads; key-and-value heads; width.
        n_token: tokens of each text.
        batch: texts side by side.
        bytes_per_number: 4 for float32, 2 for 16 bits.
        window: a layer keeps the last so many tokens only; None: it keeps all.
    Returns:
        Bytes of all keys and values that have to be kept.
    """
    kept = n_token if window is None else min(n_token, window)
    return 2 * n_layer * n_kv_head * d_head * kept * batch * bytes_per_number


def _cache_one_of_two(n_layer, n_head, n_kv_head, d_head, n_token, batch, bytes_per_number, window):
    whole = cache_bytes(
        n_layer, n_head, n_kv_head, d_head, n_token, batch, bytes_per_number, window
    )
    return whole // 2


def _cache_all_heads(n_layer, n_head, n_kv_head, d_head, n_token, batch, bytes_per_number, window):
    return cache_bytes(n_layer, n_head, n_head, d_head, n_token, batch, bytes_per_number, window)


def _cache_one_layer(n_layer, n_head, n_kv_head, d_head, n_token, batch, bytes_per_number, window):
    return cache_bytes(1, n_head, n_kv_head, d_head, n_token, batch, bytes_per_number, window)


def _cache_one_text(n_layer, n_head, n_kv_head, d_head, n_token, batch, bytes_per_number, window):
    return cache_bytes(n_layer, n_head, n_kv_head, d_head, n_token, 1, bytes_per_number, window)


def _cache_numbers(n_layer, n_head, n_kv_head, d_head, n_token, batch, bytes_per_number, window):
    return cache_bytes(n_layer, n_head, n_kv_head, d_head, n_token, batch, 1, window)


def _cache_no_window(n_layer, n_head, n_kv_head, d_head, n_token, batch, bytes_per_number, window):
    return cache_bytes(n_layer, n_head, n_kv_head, d_head, n_token, batch, bytes_per_number, None)


def _cache_full_window(
    n_layer, n_head, n_kv_head, d_head, n_token, batch, bytes_per_number, window
):
    kept = window or n_token
    return cache_bytes(n_layer, n_head, n_kv_head, d_head, kept, batch, bytes_per_number, None)


def _cache_queries_too(
    n_layer, n_head, n_kv_head, d_head, n_token, batch, bytes_per_number, window
):
    whole = cache_bytes(
        n_layer, n_head, n_kv_head, d_head, n_token, batch, bytes_per_number, window
    )
    return whole * 3 // 2


def _cache_squared(n_layer, n_head, n_kv_head, d_head, n_token, batch, bytes_per_number, window):
    kept = n_token if window is None else min(n_token, window)
    return n_layer * n_head * n_token * kept * batch * bytes_per_number


def _cache_cases(g: torch.Generator) -> list[Case]:
    def between(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=g))

    def sizes(group: int) -> tuple[int, ...]:
        n_kv_head = between(2, 9)
        return between(3, 40), n_kv_head * group, n_kv_head, 8 * between(4, 17)

    length = between(3000, 9000)
    return [
        Case((*sizes(3), between(700, 1500), between(2, 9), 2, None), note="grouped, no window"),
        Case((*sizes(1), between(700, 1500), between(2, 9), 4, None), note="as many heads"),
        Case((*sizes(5), length, between(2, 9), 2, length // 3), note="longer than the window"),
        Case((*sizes(2), length, between(2, 9), 2, length * 2), note="shorter than the window"),
    ]


_CACHE = Exercise(
    id="10.cache_bytes",
    title="What a cache weighs",
    statement=(
        "Write `cache_bytes(n_layer, n_head, n_kv_head, d_head, n_token, batch, bytes_per_number, "
        "window)`: the bytes of all keys and values that have to be kept for `batch` texts of "
        "`n_token` tokens each. `n_head` counts query heads, `n_kv_head` heads of keys and "
        "values. With a `window` every layer keeps the last `window` tokens and no more; `None` "
        "means that it keeps all. For Mistral 7B, a text of 32,768 tokens and 16 bits, "
        "`cache_bytes(32, 32, 8, 128, 32768, 1, 2, 4096)`, the answer is `536870912`: 512 MiB."
    ),
    solution=cache_bytes,
    example=Case((32, 32, 8, 128, 32768, 1, 2, 4096), note="the printed example"),
    cases=_cache_cases,
    misconceptions=[
        Misconception(
            "one_of_two",
            _cache_one_of_two,
            "You have half of it: keys *and* values are kept.",
        ),
        Misconception(
            "all_heads",
            _cache_all_heads,
            "You count a key and a value for every query head. Query heads of a group share "
            "them: `n_kv_head` counts what is stored. Queries are never kept.",
        ),
        Misconception(
            "one_layer",
            _cache_one_layer,
            "That is one layer. Every layer has keys and values of its own.",
        ),
        Misconception(
            "one_text",
            _cache_one_text,
            "That is one text. Weights are shared by a batch, keys and values are not.",
        ),
        Misconception(
            "numbers",
            _cache_numbers,
            "You count numbers. Each takes `bytes_per_number` bytes.",
        ),
        Misconception(
            "no_window",
            _cache_no_window,
            "You keep every token. With a window no query will look at older ones again, so they "
            "need not be kept.",
        ),
        Misconception(
            "full_window",
            _cache_full_window,
            "Where the text is shorter than the window you count tokens that do not exist: it is "
            "the smaller of the two.",
        ),
        Misconception(
            "queries_too",
            _cache_queries_too,
            "You keep queries as well. A query is asked once, by its own token, and never needed "
            "again; keys and values are.",
        ),
        Misconception(
            "squared",
            _cache_squared,
            "Those are the weights of attention, one for each pair of tokens. What is kept is a "
            "key and a value of width `d_head` for each token.",
        ),
    ],
    nudges=[
        "What is stored for one token in one head of one layer? Then multiply.",
        "Which of the arguments decides how many heads are stored, and which is not needed at all?",
        "How many tokens does a layer keep if the window is longer than the text?",
    ],
    success="You can say what a text costs in memory before you load the model.",
    remark="`n_head` does not occur in the solution: what is kept does not depend on how many "
    "queries will ask.",
)

# 10.tile_backward ------------------------------------------------------------------------------


def tile_backward(
    q: Tensor, k_tile: Tensor, v_tile: Tensor, out: Tensor, lse: Tensor, d_out: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of some keys and values, from what the forward pass has kept.

    Args:
        q: all queries (T, D).
        k_tile, v_tile: some of the keys and values (S', D).
        out: the output over *all* keys (T, D).
        lse: log Σ exp(score) over *all* keys (T,), scores divided by √D.
        d_out: gradient of the loss with respect to the output (T, D).
    Returns:
        Gradients of the loss with respect to k_tile and v_tile, each (S', D).
    """
    scale = 1 / math.sqrt(q.shape[-1])
    p = (q @ k_tile.mT * scale - lse[:, None]).exp()  # (T, S')
    delta = (d_out * out).sum(dim=-1, keepdim=True)
    d_scores = p * (d_out @ v_tile.mT - delta)
    return d_scores.mT @ q * scale, p.mT @ d_out


def _tile(q, k_tile, v_tile, lse, d_out, delta, scale):
    p = (q @ k_tile.mT / math.sqrt(q.shape[-1]) - lse[:, None]).exp()
    d_scores = p * (d_out @ v_tile.mT - delta)
    return d_scores.mT @ q * scale, p.mT @ d_out


def _tile_own_softmax(q, k_tile, v_tile, out, lse, d_out):
    scale = 1 / math.sqrt(q.shape[-1])
    own = (q @ k_tile.mT * scale).logsumexp(dim=-1)
    return tile_backward(q, k_tile, v_tile, out, own, d_out)


def _tile_own_sum(q, k_tile, v_tile, out, lse, d_out):
    scale = 1 / math.sqrt(q.shape[-1])
    p = (q @ k_tile.mT * scale - lse[:, None]).exp()
    delta = (p * (d_out @ v_tile.mT)).sum(dim=-1, keepdim=True)
    return _tile(q, k_tile, v_tile, lse, d_out, delta, scale)


def _tile_alone(q, k_tile, v_tile, out, lse, d_out):
    scale = 1 / math.sqrt(q.shape[-1])
    own = (q @ k_tile.mT * scale).logsumexp(dim=-1)
    return _tile_own_sum(q, k_tile, v_tile, out, own, d_out)


def _tile_no_delta(q, k_tile, v_tile, out, lse, d_out):
    return _tile(q, k_tile, v_tile, lse, d_out, 0.0, 1 / math.sqrt(q.shape[-1]))


def _tile_sum_of_d_out(q, k_tile, v_tile, out, lse, d_out):
    delta = d_out.sum(dim=-1, keepdim=True)
    return _tile(q, k_tile, v_tile, lse, d_out, delta, 1 / math.sqrt(q.shape[-1]))


def _tile_no_scale(q, k_tile, v_tile, out, lse, d_out):
    delta = (d_out * out).sum(dim=-1, keepdim=True)
    return _tile(q, k_tile, v_tile, lse, d_out, delta, 1.0)


def _tile_scores_unscaled(q, k_tile, v_tile, out, lse, d_out):
    scale = 1 / math.sqrt(q.shape[-1])
    d_k, d_v = tile_backward(q / scale, k_tile, v_tile, out, lse, d_out)
    return d_k * scale, d_v


def _tile_nowhere_scaled(q, k_tile, v_tile, out, lse, d_out):
    scale = 1 / math.sqrt(q.shape[-1])
    return tile_backward(q / scale, k_tile, v_tile, out, lse, d_out)


def _tile_unnormalised(q, k_tile, v_tile, out, lse, d_out):
    return tile_backward(q, k_tile, v_tile, out, torch.zeros_like(lse), d_out)


def _tile_inputs(q: Tensor, k: Tensor, v: Tensor, d_out: Tensor, tile: slice) -> tuple:
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    return q, k[tile], v[tile], scores.softmax(dim=-1) @ v, scores.logsumexp(dim=-1), d_out


def _tile_cases(g: torch.Generator) -> list[Case]:
    def case(n_query: int, n_key: int, width: int, tile: slice, note: str) -> Case:
        q, d_out = torch.randn(2, n_query, width, generator=g)
        k, v = torch.randn(2, n_key, width, generator=g)
        return Case(_tile_inputs(q, k, v, d_out, tile), note=note)

    return [
        case(5, 7, 3, slice(0, 4), "T=5, the first 4 of 7 keys, D=3"),
        case(7, 11, 5, slice(6, 9), "T=7, 3 of 11 keys, D=5"),
        case(3, 8, 2, slice(7, 8), "T=3, one of 8 keys, D=2"),
    ]


def _tiles_are_autograd(answer) -> None:
    g = torch.Generator().manual_seed(7)
    q, d_out = torch.randn(2, 5, 3, generator=g)
    k, v = torch.randn(2, 7, 3, generator=g).requires_grad_()
    wanted = torch.autograd.grad(
        (q @ k.mT / math.sqrt(3)).softmax(dim=-1) @ v, (k, v), d_out, allow_unused=False
    )
    with torch.no_grad():
        parts = [
            answer(*_tile_inputs(q, k.detach(), v.detach(), d_out, tile))
            for tile in (slice(0, 4), slice(4, 7))
        ]
    for name, i in (("keys", 0), ("values", 1)):
        gap = (torch.cat([part[i] for part in parts]) - wanted[i]).abs().max().item()
        assert gap < 1e-4, f"For the {name} the tiles differ from autograd by {gap:.3f}."


_TILE = Exercise(
    id="10.tile_backward",
    title="The backward pass of one tile",
    statement=(
        "*Needs the deeper section on the backward pass.* Write `tile_backward(q, k_tile, v_tile, "
        "out, lse, d_out)`: the gradients of *some* keys and values, from what the forward pass "
        "has kept. `q`, `out` and `d_out` have shape (T, D), `lse` has shape (T,), and both `out` "
        "and `lse` belong to attention over **all** keys, with scores divided by √D; `k_tile` and "
        "`v_tile` (S', D) are a few of these. No mask. With `q = [[1]]`, all keys `[[0], [ln 3]]` "
        "and values `[[1], [3]]` the output is `[[2.5]]` and `lse` is `[ln 4]`; for the tile that "
        "holds the second key only and `d_out = [[1]]` the answer is `[[0.375]]` and `[[0.75]]`."
    ),
    solution=tile_backward,
    example=Case(
        _tile_inputs(
            torch.tensor([[1.0]]),
            torch.tensor([[0.0], [math.log(3.0)]]),
            torch.tensor([[1.0], [3.0]]),
            torch.tensor([[1.0]]),
            slice(1, 2),
        ),
        note="the printed example",
    ),
    cases=_tile_cases,
    properties=[Property("All tiles together are autograd's gradient.", _tiles_are_autograd)],
    misconceptions=[
        Misconception(
            "own_softmax",
            _tile_own_softmax,
            "You normalise within the tile, as if its keys were all keys. The weights are "
            "exp(score − lse), with the `lse` that was saved: it knows the other tiles.",
        ),
        Misconception(
            "own_sum",
            _tile_own_sum,
            "You sum P ⊙ dP over the keys of the tile. The sum runs over *all* keys, which are "
            "not here; but it equals the row sum of dO ⊙ O, which is.",
        ),
        Misconception(
            "alone",
            _tile_alone,
            "You treat the tile as if its keys were all keys: its weights sum to 1, and what you "
            "subtract is a sum over the tile. Both need the whole row, and both are at hand: "
            "`lse` for the weights, and the row sum of dO ⊙ O for the rest.",
        ),
        Misconception(
            "no_delta",
            _tile_no_delta,
            "The values' gradient is right. For the keys you left out what every row subtracts "
            "from dP: the row sum of dO ⊙ O. A softmax does not change when all scores rise alike.",
        ),
        Misconception(
            "sum_of_d_out",
            _tile_sum_of_d_out,
            "The values' gradient is right. What each row subtracts is the row sum of dO ⊙ O, the "
            "product with the output, and not the sum of dO alone.",
        ),
        Misconception(
            "no_scale",
            _tile_no_scale,
            "The values' gradient is right, the keys' is √D times too large: the scores were "
            "divided by √D, and so is what goes back through them.",
        ),
        Misconception(
            "scores_unscaled",
            _tile_scores_unscaled,
            "You compute the scores again without dividing by √D, so exp(score − lse) is not the "
            "weight that the forward pass used.",
        ),
        Misconception(
            "nowhere_scaled",
            _tile_nowhere_scaled,
            "The factor 1/√D is missing twice: in the scores, which `lse` has divided by √D, and "
            "in the keys' gradient, which goes back through that division.",
        ),
        Misconception(
            "unnormalised",
            _tile_unnormalised,
            "You use exp(score) as the weight. Divide by the sum over all keys, that is, subtract "
            "`lse` before the exponential.",
        ),
    ],
    nudges=[
        "Make the weights of the tile again, from q, k_tile and lse. Then follow the four boxes "
        "of chapter 7.",
        "One of the boxes has a sum over all keys. By which identity does it become a sum over "
        "the D numbers of a row?",
        "Five lines: weights, δ, dP, dE, and the two products that return.",
    ],
    success="A tile needs nothing from the other tiles but two numbers per query.",
    remark="That is the whole reason why the forward pass writes down `lse`: T numbers stand in "
    "for T × S weights.",
)

# 10.tokens_per_second --------------------------------------------------------------------------


def tokens_per_second(
    n_params: float,
    bytes_per_weight: float,
    cache_bytes: float,
    batch: int,
    bandwidth: float,
    peak: float,
) -> float:
    """Bound the speed of decoding by the two limits of a machine.

    Args:
        n_params: weights that every step reads.
        bytes_per_weight: 4, 2, 1 or ½.
        cache_bytes: bytes of keys and values of one text.
        batch: texts that are continued side by side, one token each per step.
        bandwidth: bytes per second that memory delivers.
        peak: floating-point operations per second.
    Returns:
        Tokens per second of all texts together. A step takes as long as the slower of
        reading and computing, where each weight costs two operations for each text.
    """
    n_bytes = n_params * bytes_per_weight + batch * cache_bytes
    n_flops = 2 * n_params * batch
    return batch / max(n_bytes / bandwidth, n_flops / peak)


def _speed_weights_each(n_params, bytes_per_weight, cache_bytes, batch, bandwidth, peak):
    whole = batch * (n_params * bytes_per_weight + cache_bytes)
    return batch / max(whole / bandwidth, 2 * n_params * batch / peak)


def _speed_one_cache(n_params, bytes_per_weight, cache_bytes, batch, bandwidth, peak):
    whole = n_params * bytes_per_weight + cache_bytes
    return batch / max(whole / bandwidth, 2 * n_params * batch / peak)


def _speed_no_cache(n_params, bytes_per_weight, cache_bytes, batch, bandwidth, peak):
    return tokens_per_second(n_params, bytes_per_weight, 0.0, batch, bandwidth, peak)


def _speed_sum(n_params, bytes_per_weight, cache_bytes, batch, bandwidth, peak):
    n_bytes = n_params * bytes_per_weight + batch * cache_bytes
    return batch / (n_bytes / bandwidth + 2 * n_params * batch / peak)


def _speed_faster(n_params, bytes_per_weight, cache_bytes, batch, bandwidth, peak):
    n_bytes = n_params * bytes_per_weight + batch * cache_bytes
    return batch / min(n_bytes / bandwidth, 2 * n_params * batch / peak)


def _speed_memory_only(n_params, bytes_per_weight, cache_bytes, batch, bandwidth, peak):
    return batch * bandwidth / (n_params * bytes_per_weight + batch * cache_bytes)


def _speed_steps(n_params, bytes_per_weight, cache_bytes, batch, bandwidth, peak):
    return (
        tokens_per_second(n_params, bytes_per_weight, cache_bytes, batch, bandwidth, peak) / batch
    )


def _speed_one_operation(n_params, bytes_per_weight, cache_bytes, batch, bandwidth, peak):
    n_bytes = n_params * bytes_per_weight + batch * cache_bytes
    return batch / max(n_bytes / bandwidth, n_params * batch / peak)


def _speed_flops_once(n_params, bytes_per_weight, cache_bytes, batch, bandwidth, peak):
    n_bytes = n_params * bytes_per_weight + batch * cache_bytes
    return batch / max(n_bytes / bandwidth, 2 * n_params / peak)


def _speed_cases(g: torch.Generator) -> list[Case]:
    def near(value: float) -> float:
        return float(value * (0.8 + 0.4 * torch.rand((), generator=g)))

    return [
        Case((near(7e9), 2.0, near(5e8), 1, near(1e12), near(3e14)), note="one text"),
        Case((near(7e9), 2.0, near(5e8), 8, near(1e12), near(3e14)), note="eight texts"),
        Case((near(1e9), 0.5, near(1e6), 256, near(2e12), near(5e13)), note="256 texts, 4 bits"),
        Case((near(1e8), 4.0, near(4e7), 3, near(2e10), near(3e9)), note="a slow processor"),
        Case((near(2e10), 1.0, near(3e9), 32, near(3e12), near(9e14)), note="long texts"),
    ]


_SPEED = Exercise(
    id="10.tokens_per_second",
    title="Predict a speed",
    statement=(
        "Write `tokens_per_second(n_params, bytes_per_weight, cache_bytes, batch, bandwidth, "
        "peak)`: the most tokens per second, all texts together, that a machine can write. In one "
        "step each of the `batch` texts gets one token. The step reads every weight once, and for "
        "each text `cache_bytes` of keys and values; it does two operations per weight for each "
        "text (leave out those of attention). Reading and computing overlap, so the step takes as "
        "long as the slower of the two. A billion weights of 2 bytes, a cache of half a billion "
        "bytes, 4 texts, 10¹² bytes and 10¹⁴ operations per second, `tokens_per_second(1e9, 2, "
        "5e8, 4, 1e12, 1e14)`: 4 tokens in 4 milliseconds, `1000.0`."
    ),
    solution=tokens_per_second,
    example=Case((1e9, 2.0, 5e8, 4, 1e12, 1e14), note="the printed example"),
    cases=_speed_cases,
    misconceptions=[
        Misconception(
            "weights_each",
            _speed_weights_each,
            "You read the weights again for every text. One reading serves the whole batch: that "
            "is what a batch is for.",
        ),
        Misconception(
            "one_cache",
            _speed_one_cache,
            "You read one cache for the whole batch. Texts share weights, not keys and values.",
        ),
        Misconception(
            "no_cache",
            _speed_no_cache,
            "You read the weights only. Each step also reads the keys and values of every text.",
        ),
        Misconception(
            "sum",
            _speed_sum,
            "You add the two times. While one part of the chip computes, another reads ahead; the "
            "bound is the slower of the two.",
        ),
        Misconception(
            "faster",
            _speed_faster,
            "You take the faster of the two limits. A step is not done before both reading and "
            "computing are.",
        ),
        Misconception(
            "memory_only",
            _speed_memory_only,
            "Right while memory is the limit. With many texts, or a slow processor, computing "
            "takes longer than reading, and `peak` decides.",
        ),
        Misconception(
            "steps",
            _speed_steps,
            "Those are steps per second. Each step gives one token to each of the texts.",
        ),
        Misconception(
            "one_operation",
            _speed_one_operation,
            "Too fast where computing is the limit: a weight costs a multiplication *and* an "
            "addition for each text.",
        ),
        Misconception(
            "flops_once",
            _speed_flops_once,
            "Too fast where computing is the limit: the weights are read once per step, but they "
            "are multiplied with the vector of every text.",
        ),
    ],
    nudges=[
        "Two numbers first: bytes per step, and operations per step. Which of them grow with the "
        "batch?",
        "Divide each by what the machine gives per second. Which of the two times counts?",
        "A step gives `batch` tokens.",
    ],
    success="With six numbers you know the most that a machine can write in a second.",
    remark="Weights once, caches once per text, operations once per text: as the batch grows, the "
    "limit moves from reading to computing, unless the caches are long.",
)

EXERCISES = [_MERGE, _CACHE, _TILE, _SPEED]

QUIZ = [
    Question(
        text="FlashAttention computes exact attention, and in the backward pass it even computes "
        "the scores a second time. Why can it be faster than the plain formula?",
        choices=[
            "It leaves out keys whose weight would be small",
            "It does fewer multiplications, because of the online softmax",
            "It moves fewer bytes to and from slow memory, and that was the limit",
        ],
        answer=2,
        why=[
            "Nothing is left out: the chapter asserts equality with the plain formula, forward "
            "and backward.",
            "It does more of them: factors for rescaling, and the scores again on the way back.",
            "The T × S scores and weights are never written or read. Where reading is the limit, "
            "more arithmetic and fewer bytes is a gain.",
        ],
    ),
    Question(
        text="A model writes for one user. Which change doubles the bound on its tokens per "
        "second, if memory is the limit and the cache is small?",
        choices=[
            "A processor with twice the peak of operations",
            "Weights of half as many bits",
            "Twice the batch, as seen by this user",
        ],
        answer=1,
        why=[
            "The processor waits for the weights as long as before.",
            "Half the bytes are read in half the time.",
            "All users together get more; this one gets a token per step, and no step is shorter.",
        ],
    ),
    Question(
        text="A model has 32 query heads. You train it anew with 8 heads of keys and values "
        "instead of 32. What becomes four times smaller?",
        choices=[
            "The KV cache, and the matrices that make keys and values",
            "The KV cache, and the operations that attention takes",
            "The whole attention layer",
        ],
        answer=0,
        why=[
            "Eight keys and values per token instead of 32, and projections with a quarter of the "
            "columns.",
            "Every query head still scores every key: the operations of the look-up stay.",
            "The matrices of queries and output keep their size.",
        ],
    ),
    Question(
        text="Why does the forward pass of FlashAttention write down one number per query, the "
        "logarithm of the sum of the exponentials?",
        choices=[
            "So that the weights of any tile can be made again without the other tiles",
            "So that the output can be normalised",
            "So that the causal mask can be applied in the backward pass",
        ],
        answer=0,
        why=[
            "A weight is exp(score − lse): score from a query and a key, lse from memory.",
            "The output is normalised before it is written; the sum itself would do for that.",
            "The mask follows from the positions alone.",
        ],
    ),
]
