"""Exercises and quiz of chapter 8: the Transformer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from llmbook.exercises.core import Case, Exercise, Misconception, Property, Question
from llmbook.language import say

# 08.split_qkv ----------------------------------------------------------------------------------


def split_qkv(packed: Tensor, n_head: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut one packed projection into queries, keys and values, and into heads.

    Args:
        packed: (B, T, 3C): each token's query, then its key, then its value.
        n_head: number of heads; head h owns the h-th run of D = C / n_head.
    Returns:
        q, k and v, each (B, H, T, D).
    """
    batch, n_token, _ = packed.shape
    q, k, v = (
        part.reshape(batch, n_token, n_head, -1).transpose(1, 2) for part in packed.chunk(3, dim=-1)
    )
    return q, k, v


def _split_reshape_only(packed: Tensor, n_head: int) -> tuple[Tensor, ...]:
    batch, n_token, width = packed.shape
    d_head = width // 3 // n_head
    return tuple(p.reshape(batch, n_head, n_token, d_head) for p in packed.chunk(3, dim=-1))


def _split_no_transpose(packed: Tensor, n_head: int) -> tuple[Tensor, ...]:
    return tuple(p.unflatten(-1, (n_head, -1)) for p in packed.chunk(3, dim=-1))


def _split_heads_first(packed: Tensor, n_head: int) -> tuple[Tensor, ...]:
    return packed.unflatten(-1, (n_head, -1)).transpose(1, 2).chunk(3, dim=-1)


def _split_strided(packed: Tensor, n_head: int) -> tuple[Tensor, ...]:
    parts = packed.chunk(3, dim=-1)
    return tuple(p.unflatten(-1, (-1, n_head)).permute(0, 3, 1, 2) for p in parts)


def _split_every_third(packed: Tensor, n_head: int) -> tuple[Tensor, ...]:
    parts = packed.unflatten(-1, (-1, 3)).unbind(-1)
    return tuple(p.unflatten(-1, (n_head, -1)).transpose(1, 2) for p in parts)


def _split_cases(g: torch.Generator) -> list[Case]:
    sizes = [(2, 5, 3, 7), (3, 11, 2, 5), (1, 7, 5, 3), (2, 1, 3, 2)]
    return [
        Case(
            (torch.randn(b, t, 3 * h * d, generator=g), h),
            note=f"B={b}, T={t}, H={h}, D={d}",
        )
        for b, t, h, d in sizes
    ]


def _a_row_holds_one_token(answer) -> None:
    token = torch.arange(5.0)[None, :, None].expand(2, 5, 18)
    for name, part in zip("qkv", answer(token, 3), strict=True):
        rows = part.float()
        wanted = torch.arange(5.0)[None, None, :, None].expand_as(rows)
        assert torch.equal(rows, wanted), say(
            "In {name} the rows of a head mix several tokens.", name=name
        )


_SPLIT_QKV = Exercise(
    id="08.split_qkv",
    title="One product, three roles, many heads",
    statement=(
        "GPT-2 computes queries, keys and values of all heads by one matrix product. Write "
        "`split_qkv(packed, n_head)`: `packed` has shape (B, T, 3C) and holds, for each token, "
        "the C numbers of its query, then those of its key, then those of its value; head h owns "
        "the h-th run of D = C / n_head numbers in each. Return q, k and v, each of shape "
        "(B, H, T, D). With one token, `packed = [[[1, 2, 3, 4, 5, 6]]]` and `n_head = 2` the "
        "answer is `[[[[1]], [[2]]]]`, `[[[[3]], [[4]]]]` and `[[[[5]], [[6]]]]`."
    ),
    solution=split_qkv,
    example=Case((torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]]), 2), note="the printed example"),
    cases=_split_cases,
    properties=[Property("Row t of each head holds numbers of token t.", _a_row_holds_one_token)],
    misconceptions=[
        Misconception(
            "reshape_only",
            _split_reshape_only,
            "The shape is right, the contents are not: `reshape` deals out the numbers in the "
            "order in which they lie in memory, so rows of a head mix tokens. Cut the last axis "
            "into (H, D) first, then swap the axes T and H with `transpose`.",
        ),
        Misconception(
            "no_transpose",
            _split_no_transpose,
            "These are (B, T, H, D): the last axis is cut well, but attention wants the heads "
            "before the positions. Swap axes 1 and 2.",
        ),
        Misconception(
            "heads_first",
            _split_heads_first,
            "You cut into heads before you separated query, key and value, so a head gets a run "
            "that crosses from one role into the next. Some models do pack head by head; here "
            "all queries come first. `chunk(3, dim=-1)` goes first.",
        ),
        Misconception(
            "strided",
            _split_strided,
            "You gave head h every H-th number. It owns a run of D neighbours: the last axis is "
            "cut into (H, D), not (D, H).",
        ),
        Misconception(
            "every_third",
            _split_every_third,
            "You took every third number as a query. Query, key and value are three blocks of C "
            "numbers, one after the other: `chunk(3, dim=-1)`.",
        ),
    ],
    nudges=[
        "Two cuts of the same axis: first into three roles, then each role into heads. Write the "
        "shape after each step.",
        "`part.reshape(B, T, H, D)` keeps every token's numbers together. What is still in the "
        "wrong place?",
        "Only `transpose` (or `permute`) moves numbers between axes; `reshape` does not.",
    ],
    success="Each head now has the numbers of its own, token by token.",
    remark="`reshape` cuts, `transpose` moves: the two are never exchangeable, even where the "
    "shapes agree.",
)

# 08.rotate_pairs -------------------------------------------------------------------------------


def rotate_pairs(x: Tensor, positions: Tensor, base: float) -> Tensor:
    """RoPE in the paper's order: neighbours (0, 1), (2, 3), … are pairs.

    Args:
        x: queries or keys (…, T, D), D even.
        positions: where each of the T tokens stands (T,).
        base: pair i turns by positions · base^(−2i/D), counter-clockwise.
    Returns:
        The turned vectors (…, T, D).
    """
    d_head = x.shape[-1]
    theta = base ** -(torch.arange(0, d_head, 2, dtype=x.dtype) / d_head)
    angle = torch.outer(positions.to(x.dtype), theta)  # (T, D/2)
    first, second = x[..., 0::2], x[..., 1::2]
    turned = torch.stack(
        [
            first * angle.cos() - second * angle.sin(),
            first * angle.sin() + second * angle.cos(),
        ],
        dim=-1,
    )
    return turned.flatten(-2)


def _angles(x: Tensor, positions: Tensor, base: float, power: float = 2.0) -> Tensor:
    pair = torch.arange(x.shape[-1] // 2, dtype=x.dtype)
    return torch.outer(positions.to(x.dtype), base ** (-power * pair / x.shape[-1]))


def _turn_neighbours(x: Tensor, angle: Tensor) -> Tensor:
    first, second = x[..., 0::2], x[..., 1::2]
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([first * cos - second * sin, first * sin + second * cos], -1).flatten(-2)


def _rotate_half_split(x: Tensor, positions: Tensor, base: float) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    angle = _angles(x, positions, base)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


def _rotate_backwards(x: Tensor, positions: Tensor, base: float) -> Tensor:
    return _turn_neighbours(x, -_angles(x, positions, base))


def _rotate_power_one(x: Tensor, positions: Tensor, base: float) -> Tensor:
    return _turn_neighbours(x, _angles(x, positions, base, power=1.0))


def _rotate_one_speed(x: Tensor, positions: Tensor, base: float) -> Tensor:
    return _turn_neighbours(x, _angles(x, positions, base, power=0.0))


def _rotate_by_index(x: Tensor, positions: Tensor, base: float) -> Tensor:
    return _turn_neighbours(x, _angles(x, torch.arange(x.shape[-2]), base))


def _rotate_added(x: Tensor, positions: Tensor, base: float) -> Tensor:
    angle = _angles(x, positions, base)
    return x + torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


def _rotate_reordered(x: Tensor, positions: Tensor, base: float) -> Tensor:
    first, second = x[..., 0::2], x[..., 1::2]
    angle = _angles(x, positions, base)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


def _rotate_overwritten(x: Tensor, positions: Tensor, base: float) -> Tensor:
    first, second = x[..., 0::2], x[..., 1::2]
    angle = _angles(x, positions, base)
    first = first * angle.cos() - second * angle.sin()
    second = first * angle.sin() + second * angle.cos()
    return torch.stack([first, second], dim=-1).flatten(-2)


def _rotate_cases(g: torch.Generator) -> list[Case]:
    def places(n: int) -> Tensor:
        return torch.randint(3, 40, (n,), generator=g)

    return [
        Case((torch.randn(5, 6, generator=g), places(5), 100.0), note="x (5, 6), base 100"),
        Case(
            (torch.randn(2, 3, 7, 10, generator=g), places(7), 10_000.0),
            note="x (2, 3, 7, 10), base 10,000",
        ),
        Case((torch.randn(3, 2, generator=g), places(3), 10_000.0), note="D = 2: one pair"),
        Case(
            (torch.randn(11, 8, generator=g), torch.arange(100, 111), 500.0),
            note="positions 100 … 110",
        ),
    ]


def _score_depends_on_distance(answer) -> None:
    g = torch.Generator().manual_seed(3)
    q, k = torch.randn(2, 1, 12, generator=g)

    def score(m: int, n: int) -> Tensor:
        turned = answer(q, torch.tensor([m]), 50.0), answer(k, torch.tensor([n]), 50.0)
        return (turned[0] * turned[1]).sum()

    near, far = score(5, 2), score(25, 22)
    assert torch.isclose(near, far, atol=1e-3), say(
        "Places (5, 2) score {near:.3f}, places (25, 22) score {far:.3f}.", near=near, far=far
    )


_ROTATE_PAIRS = Exercise(
    id="08.rotate_pairs",
    title="RoPE in the paper's order",
    statement=(
        "The chapter's code pairs coordinate i with coordinate i + D/2. The paper pairs "
        "neighbours: (0, 1), (2, 3), … Write `rotate_pairs(x, positions, base)` in that order, "
        "with real numbers: pair i of the token at position p turns counter-clockwise by the "
        "angle p · base^(−2i/D), so (a, b) becomes (a cos − b sin, a sin + b cos). `x` has shape "
        "(…, T, D) with D even, `positions` has shape (T,) and need not start at 0. With "
        "`x = [[1, 0, 1, 0]]`, `positions = [2]` and `base = 4` the angles are 2 and 1, and the "
        "answer is, to three decimals, `[[-0.416, 0.909, 0.540, 0.841]]`."
    ),
    solution=rotate_pairs,
    example=Case(
        (torch.tensor([[1.0, 0.0, 1.0, 0.0]]), torch.tensor([2]), 4.0), note="the printed example"
    ),
    cases=_rotate_cases,
    properties=[
        Property("A score depends on the distance alone.", _score_depends_on_distance),
    ],
    misconceptions=[
        Misconception(
            "half_split",
            _rotate_half_split,
            "You pair coordinate i with i + D/2, as the chapter and Llama do. Here the pairs are "
            "neighbours: `x[..., 0::2]` and `x[..., 1::2]`.",
        ),
        Misconception(
            "backwards",
            _rotate_backwards,
            "You turn clockwise. Queries and keys would still agree with one another, but not "
            "with anybody else's weights: (a, b) becomes (a cos − b sin, a sin + b cos).",
        ),
        Misconception(
            "power_one",
            _rotate_power_one,
            "The angles of the later pairs are too large: pair i has the exponent −2i/D, where i "
            "counts pairs, so the exponents run from 0 to almost −1.",
        ),
        Misconception(
            "one_speed",
            _rotate_one_speed,
            "All pairs turn at the same speed. Each has its own: base^(−2i/D) falls from 1 "
            "towards 1/base.",
        ),
        Misconception(
            "by_index",
            _rotate_by_index,
            "You turn by the row's number and not by `positions`. They differ as soon as a text "
            "does not start at 0, as when a cache holds what came before.",
        ),
        Misconception(
            "added",
            _rotate_added,
            "You add sines and cosines: those are sinusoidal positions. RoPE multiplies, and "
            "leaves the length of each pair as it was.",
        ),
        Misconception(
            "reordered",
            _rotate_reordered,
            "The turns are right, but the result is not put back in order: all first halves come "
            "first. `torch.stack(…, dim=-1).flatten(-2)` lays the pairs side by side again.",
        ),
        Misconception(
            "overwritten",
            _rotate_overwritten,
            "You turn the first number of a pair, and then use the turned one for the second. "
            "Both need the old pair: compute the two before you write either.",
        ),
    ],
    nudges=[
        "Three small tensors: the speeds (D/2,), the angles (T, D/2), and the two halves of the "
        "pairs (…, T, D/2).",
        "`x[..., 0::2]` is the first number of every pair, `x[..., 1::2]` the second.",
        "To lay a and b side by side again, stack them along a new last axis and flatten it.",
    ],
    success="Your rotation depends on distances alone, and it is the one of the paper.",
    remark="Exchange the two orders of pairs between a program and the weights it loads, and no "
    "error is raised: the model only reads badly.",
)

# 08.count_gpt ----------------------------------------------------------------------------------


def count_gpt(n_layer: int, d_model: int, n_head: int, vocab_size: int, context_length: int) -> int:
    """Count the parameters of a GPT-2, to the last bias.

    Args:
        n_layer, d_model, n_head: blocks, width, heads per block.
        vocab_size, context_length: rows of the token table and of the position table.
    Returns:
        The number of parameters. Every linear layer of a block has a bias, d_ff is
        4 · d_model, each LayerNorm has a scale and an offset, one more norm follows
        the last block, and the output matrix is the token table, without a bias.
    """
    attention = 4 * d_model * d_model + 4 * d_model
    mlp = 2 * d_model * 4 * d_model + 4 * d_model + d_model
    norms = 2 * 2 * d_model
    tables = (vocab_size + context_length) * d_model
    return tables + n_layer * (attention + mlp + norms) + 2 * d_model


def _count_untied(n_layer, d_model, n_head, vocab_size, context_length):
    tied = count_gpt(n_layer, d_model, n_head, vocab_size, context_length)
    return tied + vocab_size * d_model


def _count_no_positions(n_layer, d_model, n_head, vocab_size, context_length):
    return count_gpt(n_layer, d_model, n_head, vocab_size, 0)


def _count_no_biases(n_layer, d_model, n_head, vocab_size, context_length):
    n_bias = n_layer * (4 + 5) * d_model
    return count_gpt(n_layer, d_model, n_head, vocab_size, context_length) - n_bias


def _count_narrow_biases(n_layer, d_model, n_head, vocab_size, context_length):
    whole = count_gpt(n_layer, d_model, n_head, vocab_size, context_length)
    return whole - n_layer * 3 * d_model


def _count_heads_multiply(n_layer, d_model, n_head, vocab_size, context_length):
    more = (n_head - 1) * (4 * d_model * d_model + 4 * d_model)
    return count_gpt(n_layer, d_model, n_head, vocab_size, context_length) + n_layer * more


def _count_no_last_norm(n_layer, d_model, n_head, vocab_size, context_length):
    return count_gpt(n_layer, d_model, n_head, vocab_size, context_length) - 2 * d_model


def _count_scales_only(n_layer, d_model, n_head, vocab_size, context_length):
    whole = count_gpt(n_layer, d_model, n_head, vocab_size, context_length)
    return whole - (2 * n_layer + 1) * d_model


def _count_three_matrices(n_layer, d_model, n_head, vocab_size, context_length):
    whole = count_gpt(n_layer, d_model, n_head, vocab_size, context_length)
    return whole - n_layer * (d_model * d_model + d_model)


def _count_estimate(n_layer, d_model, n_head, vocab_size, context_length):
    return 12 * n_layer * d_model * d_model + vocab_size * d_model


def _count_matrices_only(n_layer, d_model, n_head, vocab_size, context_length):
    return 12 * n_layer * d_model * d_model + (vocab_size + context_length) * d_model


def _count_cases(g: torch.Generator) -> list[Case]:
    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=g))

    cases = [Case((1, 2, 2, 3, 5), note="one block of width 2")]
    for _ in range(3):
        heads = draw(2, 9)
        width = heads * draw(3, 40)
        args = (draw(2, 40), width, heads, draw(50, 60_000), draw(7, 3000))
        cases.append(Case(args))
    return cases


_COUNT_GPT = Exercise(
    id="08.count_gpt",
    title="Count a GPT to the last bias",
    statement=(
        "Write `count_gpt(n_layer, d_model, n_head, vocab_size, context_length)`: the number of "
        "parameters of a GPT-2. Token table and learned position table; in each block four "
        "attention matrices and two of the feed-forward layer (d_ff = 4 · d_model), all with "
        "biases, and two LayerNorms with scale and offset; one more LayerNorm after the last "
        "block; the output matrix *is* the token table. For GPT-2 small, "
        "`count_gpt(12, 768, 12, 50257, 1024)`, the answer is `124439808`."
    ),
    solution=count_gpt,
    example=Case((12, 768, 12, 50257, 1024), note="GPT-2 small"),
    cases=_count_cases,
    misconceptions=[
        Misconception(
            "untied",
            _count_untied,
            "You count the output matrix as well. It is the token table, used a second time: "
            "shared numbers count once.",
        ),
        Misconception(
            "no_positions",
            _count_no_positions,
            "The position table is missing: GPT-2 learns one row of width d_model for each of its "
            "`context_length` places.",
        ),
        Misconception(
            "no_biases",
            _count_no_biases,
            "The biases of the linear layers are missing: one number for each output, four "
            "d_model in attention, 4 · d_model + d_model in the feed-forward layer.",
        ),
        Misconception(
            "narrow_biases",
            _count_narrow_biases,
            "You give every linear layer d_model biases. The first of the feed-forward layer has "
            "4 · d_model outputs, and a bias for each.",
        ),
        Misconception(
            "heads_multiply",
            _count_heads_multiply,
            "You give every head its own d_model × d_model matrices. A head owns d_head columns "
            "of them: the heads cut the matrices up, and add nothing.",
        ),
        Misconception(
            "no_last_norm",
            _count_no_last_norm,
            "Off by 2 · d_model: with norms before the layers one more stands after the last "
            "block.",
        ),
        Misconception(
            "scales_only",
            _count_scales_only,
            "A LayerNorm has two vectors, a scale and an offset; you count one. (RMSNorm has one.)",
        ),
        Misconception(
            "three_matrices",
            _count_three_matrices,
            "You count queries, keys and values, and forget the matrix W_O that mixes the heads' "
            "outputs.",
        ),
        Misconception(
            "matrices_only",
            _count_matrices_only,
            "Tables and matrices are right. What is missing is small: the biases of the six linear "
            "layers of each block, and scale and offset of each norm.",
        ),
        Misconception(
            "estimate",
            _count_estimate,
            "That is the estimate 12 L C² + V C: good to about one per cent. Here biases, norms "
            "and the position table are asked for too.",
        ),
    ],
    nudges=[
        "Write one line for each part: tables, attention, feed-forward, norms. Which of them "
        "stand in every block?",
        "A linear layer from a to b numbers has a · b weights and b biases.",
        "Does the number of heads appear anywhere?",
    ],
    success="To the last bias; and the number of heads does not appear.",
    remark="`n_head` is an argument that the answer does not need: heads are free of parameters.",
)

# 08.hears_the_future ---------------------------------------------------------------------------


def hears_the_future(model: Callable, ids: Tensor, vocab_size: int) -> list[int]:
    """Find the places whose output changes when a later token does.

    Args:
        model: takes ids (T,), gives logits (T, V), with rounding of about 1e-6.
        ids: a text (T,).
        vocab_size: V; a token is changed by replacing its id by (id + 1) % V.
    Returns:
        The places t, in rising order, whose logits move by more than 1e-4 when some
        one token behind t is changed. An empty list: the model is causal.
    """
    before = model(ids)
    hearing = set()
    for s in range(1, len(ids)):
        changed = ids.clone()
        changed[s] = (changed[s] + 1) % vocab_size
        moved = (model(changed) - before).abs().amax(dim=-1) > 1e-4
        hearing |= {t for t in range(s) if moved[t]}
    return sorted(hearing)


def _moved(model: Callable, ids: Tensor, vocab_size: int, s: int, tolerance: float = 1e-4):
    changed = ids.clone()
    changed[s] = (changed[s] + 1) % vocab_size
    return (model(changed) - model(ids)).abs().amax(dim=-1) > tolerance


def _hears_everything(model: Callable, ids: Tensor, vocab_size: int) -> list[int]:
    n = len(ids)
    hearing = {t for s in range(n) for t in range(n) if _moved(model, ids, vocab_size, s)[t]}
    return sorted(hearing)


def _hears_next_only(model: Callable, ids: Tensor, vocab_size: int) -> list[int]:
    return [t for t in range(len(ids) - 1) if _moved(model, ids, vocab_size, t + 1)[t]]


def _hears_last_only(model: Callable, ids: Tensor, vocab_size: int) -> list[int]:
    n = len(ids)
    moved = _moved(model, ids, vocab_size, n - 1)
    return [t for t in range(n - 1) if moved[t]]


def _hears_argmax(model: Callable, ids: Tensor, vocab_size: int) -> list[int]:
    before, hearing = model(ids).argmax(-1), set()
    for s in range(1, len(ids)):
        changed = ids.clone()
        changed[s] = (changed[s] + 1) % vocab_size
        moved = model(changed).argmax(-1) != before
        hearing |= {t for t in range(s) if moved[t]}
    return sorted(hearing)


def _hears_exactly(model: Callable, ids: Tensor, vocab_size: int) -> list[int]:
    hearing: set[int] = set()
    for s in range(1, len(ids)):
        moved = _moved(model, ids, vocab_size, s, tolerance=0.0)
        hearing |= {t for t in range(s) if moved[t]}
    return sorted(hearing)


def _hears_sources(model: Callable, ids: Tensor, vocab_size: int) -> list[int]:
    return [s for s in range(1, len(ids)) if _moved(model, ids, vocab_size, s)[:s].any()]


class _Toy:
    """Logits that are a fixed mixture of the tokens' vectors, with a little rounding noise."""

    def __init__(self, mixing: Tensor, table: Tensor) -> None:
        self.mixing, self.table = mixing, table

    def __call__(self, ids: Tensor) -> Tensor:
        vectors = self.table[ids]
        noise = 1e-6 * torch.sin(1e3 * vectors.sum() + torch.arange(len(ids)))
        return self.mixing @ vectors + noise[:, None]


def _toy_case(g: torch.Generator, n: int, size: int, kind: str) -> Case:
    mixing = torch.rand(n, n, generator=g).add(0.5).tril()
    mixing += 8.0 * torch.eye(n)  # its own token decides the most probable one
    leak = torch.zeros(n, n)
    if kind == "one too far":
        leak.diagonal(1).fill_(0.7)
    elif kind == "two too far":
        leak.diagonal(2).fill_(0.7)
    elif kind == "faintly":
        row = int(torch.randint(n - 3, (), generator=g))
        leak[row, n - 1] = leak[row + 1, row + 3] = 0.01
    elif kind == "scattered":
        leak = 0.7 * (torch.rand(n, n, generator=g) < 0.2).triu(2)
    table = torch.randn(size, size, generator=g) + 4.0 * torch.eye(size)
    ids = torch.randint(size, (n,), generator=g)
    return Case((_Toy(mixing + leak, table), ids, size), note=f"T={n}, V={size}, {kind}")


def _hears_cases(g: torch.Generator) -> list[Case]:
    return [
        _toy_case(g, 7, 5, "causal"),
        _toy_case(g, 7, 11, "one too far"),
        _toy_case(g, 8, 5, "two too far"),
        _toy_case(g, 9, 7, "faintly"),
        _toy_case(g, 11, 13, "scattered"),
    ]


_HEARS = Exercise(
    id="08.hears_the_future",
    title="Test a decoder's law",
    statement=(
        "Write `hears_the_future(model, ids, vocab_size)`: the list, in rising order, of the "
        "places t whose logits move by more than 1e-4 when *some one later token* is changed. "
        "`model(ids)` takes ids (T,) and gives logits (T, V); its numbers carry rounding of about "
        "1e-6, as real ones do. Change a token by replacing its id by (id + 1) % vocab_size, one "
        "token at a time. A causal model gives an empty list. The printed example is a model of "
        "four places whose mask is one place too generous: `[0, 1, 2]`."
    ),
    solution=hears_the_future,
    example=Case(
        (
            _Toy(
                torch.ones(4, 4).tril(1) + 8.0 * torch.eye(4),
                4.0 * torch.eye(3) + torch.arange(9.0).reshape(3, 3) / 9,
            ),
            torch.tensor([0, 2, 1, 1]),
            3,
        ),
        note="the printed example",
    ),
    cases=_hears_cases,
    misconceptions=[
        Misconception(
            "everything",
            _hears_everything,
            "You count moves that are allowed: of the changed place itself, or after it. "
            "Only places strictly *before* the changed token break the law.",
        ),
        Misconception(
            "next_only",
            _hears_next_only,
            "You change the next token only. A leak may skip it and reach further ahead: try "
            "every later token.",
        ),
        Misconception(
            "last_only",
            _hears_last_only,
            "You change the last token only. A mask that is one place too generous lets each "
            "token hear its neighbour, and the last token reaches one place: try every later "
            "token.",
        ),
        Misconception(
            "argmax",
            _hears_argmax,
            "You compare the most probable tokens. A leak can move the logits a good deal without "
            "changing the winner: compare the logits.",
        ),
        Misconception(
            "exactly",
            _hears_exactly,
            "You ask for exact equality, and rounding noise looks like a leak. Allow for it: a "
            "difference counts above 1e-4.",
        ),
        Misconception(
            "sources",
            _hears_sources,
            "You list the tokens that are heard. The question is who hears them: the places "
            "before the changed token whose logits moved.",
        ),
    ],
    nudges=[
        "One loop over the place s that is changed. Which outputs may move, and which may not?",
        "Clone the ids before you change them, and compare with the logits of the untouched text.",
        "For each s look at the places t < s, take the largest change over the vocabulary, and "
        "collect the t where it exceeds 1e-4.",
    ],
    success="Your test finds near, far and faint leaks, and is not fooled by rounding.",
    remark="Run such a test on every decoder you write: a leak improves the training loss, so "
    "nothing else will tell you.",
)

EXERCISES = [_SPLIT_QKV, _ROTATE_PAIRS, _COUNT_GPT, _HEARS]

QUIZ = [
    Question(
        text="RoPE makes every score depend on the distance of the two tokens only. A model with "
        "RoPE, trained on 64 tokens, is given 512. What does the theorem promise?",
        choices=[
            "That it reads them as well as 64, since distances mean the same everywhere",
            "That moving the whole text along changes nothing; about distances over 63 it "
            "promises nothing",
            "That it fails, since position 65 has no rotation",
        ],
        answer=1,
        why=[
            "A distance of 300 means the same everywhere, but the model has never met it. In the "
            "chapter's run RoPE ended worst at 512.",
            "Relative is a statement about shifts of the text. What an unseen distance does to a "
            "trained model has to be measured.",
            "Rotations are computed for any position. That is what a learned table cannot do.",
        ],
    ),
    Question(
        text="A block of width 768 has 12 heads. You change it to 6 heads of width 128. Its "
        "parameters …",
        choices=["halve", "double", "stay the same"],
        answer=2,
        why=[
            "Each head becomes twice as wide: the four matrices keep their 768 × 768 numbers.",
            "The heads are wider, but there are half as many.",
            "Heads cut the same matrices into pieces. What changes is how many different "
            "averages the layer can take.",
        ],
    ),
    Question(
        text="In which stack does the gradient of the last block shrink as more blocks are put "
        "below it, at initialisation?",
        choices=["pre-norm", "post-norm", "both alike"],
        answer=0,
        why=[
            "The stream grows with every block that adds to it, and the last norm divides by its "
            "size.",
            "There the stream is normalised after every sum: the last block does not notice how "
            "many stand below.",
            "The measurement of the chapter tells them apart: level with post-norm, falling with "
            "pre-norm.",
        ],
    ),
    Question(
        text="x.reshape(B, H, T, D) on a tensor of shape (B, T, C), with C = H·D. What happens?",
        choices=[
            "It raises an error, because the axes are in the wrong order",
            "It gives the same as reshape(B, T, H, D).transpose(1, 2)",
            "It gives the right shape with numbers of several tokens mixed in each row",
        ],
        answer=2,
        why=[
            "The number of entries fits, so nothing complains.",
            "Only when T or H is 1: reshape keeps the order in memory, and transpose changes it.",
            "Reshape deals out the numbers as they lie in memory. A causal mask then leaks.",
        ],
    ),
]
