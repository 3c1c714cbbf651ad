"""Exercises and quiz of chapter 0: mathematics and tensors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from llmbook.exercises.core import Case, Exercise, Misconception, Property, Question
from llmbook.language import say

# The self-check at the start of the chapter --------------------------------------------------


def _section(title: str, target: str, minutes: int) -> dict[str, Any]:
    """A section of the chapter: its title, its label in the page, its minutes."""
    return {"title": title, "target": target, "minutes": minutes}


EVERYBODY = _section("Gradient descent, seen", "math-descent", 9)

SELF_CHECK: list[dict[str, Any]] = [
    {
        "text": "How long is the vector (3, 4), and what is its dot product with (4, −3)?",
        "choices": [
            "Length 5, dot product 0",
            "Length 7, dot product 0",
            "Length 5, dot product 24",
        ],
        "answer": 0,
        "why": [
            "√(9 + 16) = 5, and 3·4 + 4·(−3) = 0: the two stand at a right angle.",
            "The length is √(9 + 16), not 3 + 4.",
            "The second product is negative: 12 − 12.",
        ],
        "section": _section("Vectors", "math-vectors", 4),
    },
    {
        "text": "A has 2 rows and 3 columns, B has 3 rows and 5 columns. What is AB?",
        "choices": [
            "Not defined",
            "A matrix with 3 rows and 3 columns",
            "A matrix with 2 rows and 5 columns",
        ],
        "answer": 2,
        "why": [
            "The inner sizes, 3 and 3, agree: that is all that is asked.",
            "The inner size is the one that is summed over. It disappears.",
            "The inner sizes agree and disappear, the outer ones stay.",
        ],
        "section": _section("Matrices", "math-matrices", 6),
    },
    {
        "text": "In PyTorch `x` has shape (4, 1) and `y` has shape (3,). What is `x + y`?",
        "choices": ["An error", "A tensor of shape (4, 3)", "A tensor of shape (4, 1)"],
        "answer": 1,
        "why": [
            "A size of 1 stretches to fit, and a missing axis counts as 1.",
            "y acts as (1, 3); then both 1s stretch.",
            "The second axis of x has size 1 and gives way to the 3.",
        ],
        "section": _section("Shapes and broadcasting", "math-broadcasting", 5),
    },
    {
        "text": 'What does `einsum("bi,bi->b", x, y)` compute?',
        "choices": [
            "One dot product for each row b",
            "The matrix product of x and y",
            "The products entry by entry",
        ],
        "answer": 0,
        "why": [
            "b is kept, i is missing behind the arrow: multiply and sum over i.",
            "That would need a letter which only one of the two has, on either side.",
            "It multiplies entry by entry, and then sums over i.",
        ],
        "section": _section("Einsum, read aloud", "math-einsum", 4),
    },
    {
        "text": "X and Y are independent, each with mean 0 and variance 1. "
        "What are the variances of X + Y and of 3X?",
        "choices": ["2 and 3", "√2 and 3", "2 and 9"],
        "answer": 2,
        "why": [
            "The first is right. A factor comes out of a variance squared.",
            "Those are the standard deviations, the roots of the variances.",
            "Variances of independent variables add up; a factor comes out squared.",
        ],
        "section": _section("Chance, expectation, variance", "math-probability", 7),
    },
    {
        "text": "P(rain) = ½, P(rain and wind) = ⅛. What is P(wind | rain), "
        "the probability of wind given rain?",
        "choices": ["1/16", "¼", "⅝"],
        "answer": 1,
        "why": [
            "That would be the product. Given means: divide.",
            "⅛ divided by ½: of the rainy half, a quarter is windy.",
            "Adding does not answer a question that begins with *given*.",
        ],
        "section": _section("Conditional probability", "math-conditional", 4),
    },
    {
        "text": "What is log(ab) − log(b), with natural logarithms?",
        "choices": ["log(a)", "a", "log(a) · log(b)"],
        "answer": 0,
        "why": [
            "log(ab) = log(a) + log(b).",
            "Almost: the logarithm is still there.",
            "A logarithm turns a product into a sum.",
        ],
        "section": _section("Logarithms and exponentials", "math-logarithms", 5),
    },
    {
        "text": "Which has the higher entropy, and how much?",
        "choices": [
            "A fair coin: 1 bit",
            "A coin that always shows heads: 1 bit",
            "Both the same: ½ bit",
        ],
        "answer": 0,
        "why": [
            "Entropy is the mean surprise; nothing with two sides surprises more.",
            "What always happens never surprises: its entropy is 0.",
            "A coin without surprise has entropy 0.",
        ],
        "section": _section("Entropy and its relatives", "math-entropy", 5),
    },
    {
        "text": "What is the derivative of f(x) = (2x + 1)³?",
        "choices": ["3(2x + 1)²", "6(2x + 1)²", "6x²"],
        "answer": 1,
        "why": [
            "The chain rule multiplies by the derivative of the inside, 2.",
            "Outside 3(…)², inside 2, multiplied: 6(2x + 1)².",
            "The inside stays as it is in the derivative of the outside.",
        ],
        "section": _section("Derivatives and gradients", "math-derivatives", 6),
    },
    {
        "text": "A function takes 3 numbers and returns 2. What is its Jacobian?",
        "choices": [
            "A single number",
            "A vector of 3 numbers",
            "A matrix with 2 rows and 3 columns",
        ],
        "answer": 2,
        "why": [
            "There are six derivatives: each output by each input.",
            "That is the gradient of a single output. Here are two.",
            "One row for each output, one column for each input.",
        ],
        "section": _section("Jacobians", "math-jacobian", 5),
    },
]

# 00.broadcast_shape ----------------------------------------------------------------------------

Shape = tuple[int, ...]


def broadcast_shape(a: tuple, b: tuple) -> tuple | None:
    """Predict the shape of x + y from the shapes of x and y alone.

    Args:
        a: shape of x, such as (3, 1). The shape of a single number is ().
        b: shape of y.
    Returns:
        The shape of x + y, or None where broadcasting refuses the pair.
    """
    length = max(len(a), len(b))
    a = (1,) * (length - len(a)) + tuple(a)
    b = (1,) * (length - len(b)) + tuple(b)
    if any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
        return None
    return tuple(n if m == 1 else m for m, n in zip(a, b, strict=True))


def _shape_from_the_left(a: Shape, b: Shape) -> Shape | None:
    length = max(len(a), len(b))
    a, b = a + (1,) * (length - len(a)), b + (1,) * (length - len(b))
    if any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
        return None
    return tuple(n if m == 1 else m for m, n in zip(a, b, strict=True))


def _shape_never_refused(a: Shape, b: Shape) -> Shape:
    pairs = itertools.zip_longest(reversed(a), reversed(b), fillvalue=1)
    return tuple(n if m == 1 else m for m, n in pairs)[::-1]


def _shape_same_length_only(a: Shape, b: Shape) -> Shape | None:
    return broadcast_shape(a, b) if len(a) == len(b) else None


def _shape_ones_refused(a: Shape, b: Shape) -> Shape | None:
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    return longer if longer[len(longer) - len(shorter) :] == shorter else None


def _shape_multiples_repeated(a: Shape, b: Shape) -> Shape | None:
    pairs = list(itertools.zip_longest(reversed(a), reversed(b), fillvalue=1))
    if any(max(m, n) % max(min(m, n), 1) for m, n in pairs):
        return None
    return tuple(max(m, n) for m, n in pairs)[::-1]


def _shape_cut_short(a: Shape, b: Shape) -> Shape | None:
    pairs = list(zip(reversed(a), reversed(b), strict=False))
    if any(m != n and 1 not in (m, n) for m, n in pairs):
        return None
    return tuple(n if m == 1 else m for m, n in pairs)[::-1]


def _shape_larger(a: Shape, b: Shape) -> Shape | None:
    pairs = list(itertools.zip_longest(reversed(a), reversed(b), fillvalue=1))
    if any(m != n and 1 not in (m, n) for m, n in pairs):
        return None
    return tuple(max(m, n) for m, n in pairs)[::-1]


def _shape_added_up(a: Shape, b: Shape) -> Shape:
    pairs = itertools.zip_longest(reversed(a), reversed(b), fillvalue=0)
    return tuple(m + n for m, n in pairs)[::-1]


def _shape_cases(g: torch.Generator) -> list[Case]:
    m, n, k = (2 + int(i) for i in torch.randperm(6, generator=g)[:3])
    pairs = [
        ((m, n), (n,)),
        ((m, n), (m,)),
        ((m, 1), (n,)),
        ((m, 1, n), (k, 1)),
        ((), (m, n)),
        ((m, n), (1, 1)),
        ((m, n, k), (m, k, n)),
        ((2 * m, n), (m, n)),
        ((k,), (m, n, k)),
        ((m, 1), (0,)),
    ]
    return [Case(pair, note=say("{a} with {b}", a=pair[0], b=pair[1])) for pair in pairs]


def _shape_order_does_not_matter(answer) -> None:
    for a, b in [((3, 1), (1, 5)), ((7,), (2, 7)), ((3,), (2, 7))]:
        one, other = answer(a, b), answer(b, a)
        assert one == other, say(
            "{a} with {b} gives {one}, but {b} with {a} gives {other}.",
            a=a,
            b=b,
            one=one,
            other=other,
        )


_BROADCAST_SHAPE = Exercise(
    id="00.broadcast_shape",
    title="Which shape comes out?",
    statement=(
        "Write `broadcast_shape(a, b)`, which predicts the shape of `x + y` from the shapes of "
        "`x` and `y` alone, or returns `None` where PyTorch would refuse. Make no tensor: this "
        "is the rule that you will apply in your head. For instance, `(3, 1)` with `(4,)` gives "
        "`(3, 4)`, and `(3, 4)` with `(3,)` gives `None`."
    ),
    solution=broadcast_shape,
    example=Case(((3, 1), (4,)), note="the printed example"),
    cases=_shape_cases,
    properties=[
        Property("Exchanging the two shapes changes nothing.", _shape_order_does_not_matter)
    ],
    misconceptions=[
        Misconception(
            "from_the_left",
            _shape_from_the_left,
            "You line the shapes up from the left. Broadcasting lines them up at their **last** "
            "axes and puts the missing 1s in front of the shorter shape.",
        ),
        Misconception(
            "never_refused",
            _shape_never_refused,
            "You accept every pair. Two sizes that differ fit together only if one of them is 1; "
            "otherwise the answer is `None`.",
        ),
        Misconception(
            "same_length_only",
            _shape_same_length_only,
            "You refuse shapes of different lengths. The shorter one gets 1s in front until the "
            "lengths agree, so `(7,)` acts as `(1, 7)`.",
        ),
        Misconception(
            "ones_refused",
            _shape_ones_refused,
            "You ask for equal sizes. A size of 1 fits every other size: the one entry is used "
            "again and again along that axis.",
        ),
        Misconception(
            "multiples_repeated",
            _shape_multiples_repeated,
            "You repeat a size until it fits a multiple of itself, 2 along 4 say. Only a size of "
            "exactly 1 is repeated; 2 against 4 is refused.",
        ),
        Misconception(
            "cut_short",
            _shape_cut_short,
            "Your walk ends where the shorter shape ends (`zip` does that). The axes that only the "
            "longer one has stay in the result: against them stands a 1.",
        ),
        Misconception(
            "larger",
            _shape_larger,
            "You take the larger of two sizes that fit. Right but for an empty axis: 1 beside 0 "
            "gives 0, since the one entry is repeated no times. Take the size that is **not** 1.",
        ),
        Misconception(
            "added_up",
            _shape_added_up,
            "You add the sizes up, as joining two tensors end to end would. Adding tensors adds "
            "entry to entry: of two sizes that fit, an axis keeps the one that is not 1.",
        ),
    ],
    nudges=[
        "Write the two shapes under each other so that their **last** numbers stand in one "
        "column. What is written where the shorter one has run out?",
        "Now go column by column. Which pairs of numbers fit? There are two ways to fit.",
        "`(1,) * k` is a tuple of k ones: `(1,) * k + a` puts them in front of a.",
    ],
    success="You can read a shape before the computer does, which is how most errors are found.",
    remark="The rule has two lines: pad with 1s in front; then each pair of sizes is equal, or one "
    "of the two is 1.",
)

# 00.bilinear_scores ----------------------------------------------------------------------------


def bilinear_scores(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    """Score each row of x against each row of y through a matrix, by text.

    Args:
        x: (B, T, C), T vectors of width C for each of B texts.
        w: (C, D), one matrix for all texts.
        y: (B, S, D), S vectors of width D for each text.
    Returns:
        (B, T, S): entry [b, t, s] is the sum over c and d of
        x[b, t, c] · w[c, d] · y[b, s, d].
    """
    return torch.einsum("btc,cd,bsd->bts", x, w, y)


def _bilinear_texts_mixed(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return torch.einsum("btc,cd,asd->bts", x, w, y)


def _bilinear_summed_over_texts(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return torch.einsum("btc,cd,bsd->ts", x, w, y)


def _bilinear_transposed(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return torch.einsum("btc,cd,bsd->bst", x, w, y)


def _bilinear_width_kept(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return torch.einsum("btc,cd,bsd->btsd", x, w, y)


def _bilinear_matrix_turned(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return torch.einsum("btc,dc,bsd->bts", x, w.reshape(w.shape[1], w.shape[0]), y)


def _bilinear_all_axes_turned(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return x @ w @ y.permute(2, 1, 0)


def _bilinear_reshaped_keys(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return (x @ w) @ y.reshape(y.shape[0], y.shape[2], y.shape[1])


def _bilinear_cases(g: torch.Generator) -> list[Case]:
    sizes = [(2, 3, 5, 7, 11), (3, 1, 2, 5, 3), (1, 5, 7, 3, 2)]
    return [
        Case(
            (
                torch.randn(b, t, c, generator=g),
                torch.randn(c, d, generator=g),
                torch.randn(b, s, d, generator=g),
            ),
            note=f"B={b}, T={t}, C={c}, S={s}, D={d}",
        )
        for b, t, c, s, d in sizes
    ]


def _bilinear_texts_stay_apart(answer) -> None:
    g = torch.Generator().manual_seed(5)
    x, w, y = (torch.randn(n, generator=g) for n in [(2, 3, 5), (5, 7), (2, 4, 7)])
    before = answer(x, w, y)[0].clone()
    y[1] += 10.0
    change = (answer(x, w, y)[0] - before).abs().max().item()
    assert change < 1e-4, say(
        "Changing text 1 moves the scores of text 0 by up to {change:.2f}.", change=change
    )


_BILINEAR = Exercise(
    id="00.bilinear_scores",
    title="A batch of scores in one line",
    statement=(
        "Write `bilinear_scores(x, w, y)`: for each text b of a batch, score every vector "
        "`x[b, t]` against every vector `y[b, s]` through one matrix `w` that all texts share. "
        "Shapes: `x` (B, T, C), `w` (C, D), `y` (B, S, D), result (B, T, S). Say the sum aloud "
        "first, letter by letter; one `einsum` is enough. With `x = [[[1, 2]]]`, "
        "`w = [[1, 0], [0, 3]]` and `y = [[[1, 1], [0, 2]]]` the scores are `[[[7, 12]]]`. "
        "(This is attention's score, chapter 7.)"
    ),
    solution=bilinear_scores,
    example=Case(
        (
            torch.tensor([[[1.0, 2.0]]]),
            torch.tensor([[1.0, 0.0], [0.0, 3.0]]),
            torch.tensor([[[1.0, 1.0], [0.0, 2.0]]]),
        ),
        note="the printed example",
    ),
    cases=_bilinear_cases,
    properties=[Property("Texts of a batch do not touch each other.", _bilinear_texts_stay_apart)],
    misconceptions=[
        Misconception(
            "texts_mixed",
            _bilinear_texts_mixed,
            "The batch of y has a letter of its own, so it is summed over, and each text is scored "
            "against all texts at once. Give x and y the **same** letter for the batch.",
        ),
        Misconception(
            "summed_over_texts",
            _bilinear_summed_over_texts,
            "The letter of the batch is missing behind the arrow, so the texts are added up. A "
            "letter that should survive has to stand there.",
        ),
        Misconception(
            "transposed",
            _bilinear_transposed,
            "The last two axes are exchanged: (B, T, S) has the vectors of x down and those of y "
            "across. The order of the letters behind the arrow is the order of the axes.",
        ),
        Misconception(
            "width_kept",
            _bilinear_width_kept,
            "The result has one axis too many: d stands behind the arrow, so it is not summed "
            "over. A score is a single number for each pair.",
        ),
        Misconception(
            "matrix_turned",
            _bilinear_matrix_turned,
            "The matrix was reshaped to (D, C). A reshape deals the same numbers out into other "
            "rows; it does not turn rows into columns. Here w needs no change: its letters are cd.",
        ),
        Misconception(
            "all_axes_turned",
            _bilinear_all_axes_turned,
            "All axes of y were reversed, which is what `.T` does to three of them: the batch came "
            "to stand last. Exchange the last two only: `y.transpose(-1, -2)`.",
        ),
        Misconception(
            "reshaped_keys",
            _bilinear_reshaped_keys,
            "y was reshaped from (B, S, D) to (B, D, S). That scrambles its numbers; to exchange "
            "two axes, transpose: `y.transpose(-1, -2)`.",
        ),
    ],
    nudges=[
        "Give each axis a letter: x is btc, w is cd. What is y, and what is the result?",
        "Which letters stand in the inputs and not in the result? Those are summed over: c and d.",
        "`torch.einsum` takes three tensors as well as two: `einsum('…,…,…->…', x, w, y)`.",
    ],
    success="Three tensors, one line, and the letters say what happens.",
    remark="`x @ w @ y.transpose(-1, -2)` gives the same numbers. The einsum shows the axes, the "
    "matrix products are shorter: use whichever you can read.",
)

# 00.log_sum_exp --------------------------------------------------------------------------------


def log_sum_exp(x: Tensor) -> Tensor:
    """Compute log(exp(x₁) + … + exp(xₙ)) along the last axis, safely.

    Args:
        x: scores (…, n), which may be thousands, and may be −∞.
    Returns:
        (…), one number for each row. A row of −∞ only gives −∞.
    """
    largest = x.amax(dim=-1, keepdim=True)
    largest = largest.masked_fill(largest.isinf(), 0.0)
    return (x - largest).exp().sum(dim=-1).log() + largest.squeeze(-1)


def _lse_naive(x: Tensor) -> Tensor:
    return x.exp().sum(dim=-1).log()


def _lse_not_added_back(x: Tensor) -> Tensor:
    largest = x.amax(dim=-1, keepdim=True)
    largest = largest.masked_fill(largest.isinf(), 0.0)
    return (x - largest).exp().sum(dim=-1).log()


def _lse_not_added_back_nan(x: Tensor) -> Tensor:
    return (x - x.amax(dim=-1, keepdim=True)).exp().sum(dim=-1).log()


def _lse_one_largest(x: Tensor) -> Tensor:
    largest = x.max()
    largest = largest.masked_fill(largest.isinf(), 0.0)
    return (x - largest).exp().sum(dim=-1).log() + largest


def _lse_mean_subtracted(x: Tensor) -> Tensor:
    middle = x.mean(dim=-1, keepdim=True)
    middle = middle.masked_fill(middle.isinf(), 0.0)
    return (x - middle).exp().sum(dim=-1).log() + middle.squeeze(-1)


def _lse_clamped(x: Tensor) -> Tensor:
    return x.clamp(-80.0, 80.0).exp().sum(dim=-1).log()


def _lse_largest_only(x: Tensor) -> Tensor:
    return x.amax(dim=-1)


def _lse_nan_row(x: Tensor) -> Tensor:
    largest = x.amax(dim=-1, keepdim=True)
    return (x - largest).exp().sum(dim=-1).log() + largest.squeeze(-1)


def _lse_log_of_each(x: Tensor) -> Tensor:
    return x.exp().log().sum(dim=-1)


def _lse_base_two(x: Tensor) -> Tensor:
    return log_sum_exp(x) / 0.6931471805599453


def _lse_cases(g: torch.Generator) -> list[Case]:
    far = torch.randn(3, 7, generator=g) + torch.tensor([[1000.0], [0.0], [-1000.0]])
    wide = torch.randn(2, 5, generator=g)
    wide[0, 1:] -= 2000.0
    hidden = torch.randn(3, 5, generator=g)
    hidden[0, 2:] = -torch.inf
    hidden[1] = -torch.inf
    return [
        Case((torch.randn(2, 3, 5, generator=g),), note="scores (2, 3, 5)"),
        Case((far,), note="rows near 1000, 0 and −1000"),
        Case((wide,), note="one score 2000 above the others"),
        Case((hidden,), note="some scores −∞, row 1 −∞ throughout"),
    ]


def _lse_shifts(answer) -> None:
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(6))
    change = (answer(x + 3.0) - answer(x)).mean().item()
    assert abs(change - 3.0) < 1e-4, say("Here it moves it by {change:.3f}.", change=change)


_LOG_SUM_EXP = Exercise(
    id="00.log_sum_exp",
    title="A sum of exponentials that never overflows",
    statement=(
        "Write `log_sum_exp(x)`: along the last axis, the logarithm of the sum of the "
        "exponentials, for scores of any size, without `torch.logsumexp`. In 32-bit numbers "
        "`exp(100)` is already infinite, but the answer for `[1000, 1000]` is an ordinary number, "
        "1000 + ln 2 = 1000.693. A row may hold −∞; a row of −∞ only must give −∞. "
        "With `x = [[0, 0]]` the answer is `[0.6931]`."
    ),
    solution=log_sum_exp,
    example=Case((torch.tensor([[0.0, 0.0]]),), note="the printed example"),
    cases=_lse_cases,
    properties=[Property("Adding 3 to every score adds 3 to the result.", _lse_shifts)],
    misconceptions=[
        Misconception(
            "naive",
            _lse_naive,
            "The definition as it stands: right on paper, and infinite for large scores (or −∞ for "
            "very low ones). Take the largest score out of the sum first.",
        ),
        Misconception(
            "not_added_back",
            _lse_not_added_back,
            "You subtract the largest score and do not add it back. exp(x − m) = exp(x) / exp(m): "
            "the logarithm is too small by m.",
        ),
        Misconception(
            "not_added_back_nan",
            _lse_not_added_back_nan,
            "The largest score m is subtracted and not added back: the logarithm of the sum is too "
            "small by m. Add m at the end; then look at the row of −∞ only.",
        ),
        Misconception(
            "one_largest",
            _lse_one_largest,
            "You subtract the largest score of the **whole** tensor. In a row far below it every "
            "exponential becomes 0. Each row has a largest score of its own: `amax(dim=-1, "
            "keepdim=True)`.",
        ),
        Misconception(
            "mean_subtracted",
            _lse_mean_subtracted,
            "You subtract the mean. A score far above the mean still overflows; only after "
            "subtracting the largest is no exponent positive.",
        ),
        Misconception(
            "clamped",
            _lse_clamped,
            "You cut the scores off before the exponential: that keeps it finite and gives a wrong "
            "answer. Scores of 1000 and 1003 are not the same.",
        ),
        Misconception(
            "largest_only",
            _lse_largest_only,
            "This is the largest score alone. The log-sum-exp lies above it, by up to log n when "
            "all scores are equal.",
        ),
        Misconception(
            "nan_row",
            _lse_nan_row,
            "Right but for a row of −∞ only: there the largest score is −∞, and (−∞) − (−∞) has no "
            "value (`nan`). Subtract 0 in such a row.",
        ),
        Misconception(
            "log_of_each",
            _lse_log_of_each,
            "You take the logarithm before the sum, so it undoes each exponential. The logarithm "
            "of a sum is not the sum of logarithms: sum first.",
        ),
        Misconception(
            "base_two",
            _lse_base_two,
            "This is in bits: divided by ln 2, or computed with log2. The exponential has base e, "
            "so its logarithm has too.",
        ),
    ],
    nudges=[
        "Write m for the largest score. How is exp(x) related to exp(x − m)?",
        "`x.amax(dim=-1, keepdim=True)` keeps the axis, so that it can be subtracted by "
        "broadcasting. What has to be added at the end?",
        "In a row of −∞ only, m is −∞. Which other m may you subtract there?",
    ],
    success="Your logarithm of a sum survives scores of any size. Every softmax rests on this.",
    remark="The largest term becomes exp(0) = 1, so the sum is at least 1 and its logarithm at "
    "least 0. What is lost are terms too small to be seen beside 1.",
)

# 00.numerical_jacobian -------------------------------------------------------------------------


def numerical_jacobian(f: Callable, x: Tensor, h: float) -> Tensor:
    """Estimate the Jacobian of f at x by central differences.

    Args:
        f: takes n numbers (n,) and returns m numbers (m,).
        x: the place (n,).
        h: how far to step to either side.
    Returns:
        (m, n): entry [i, j] is (fᵢ(x + h·eⱼ) − fᵢ(x − h·eⱼ)) / (2h),
        where eⱼ is 1 at place j and 0 elsewhere.
    """
    steps = h * torch.eye(len(x), dtype=x.dtype)
    columns = [(f(x + step) - f(x - step)) / (2 * h) for step in steps]
    return torch.stack(columns, dim=1)


def _jacobian_transposed(f, x, h):
    return numerical_jacobian(f, x, h).T


def _jacobian_one_sided(f, x, h):
    steps = h * torch.eye(len(x), dtype=x.dtype)
    return torch.stack([(f(x + step) - f(x)) / h for step in steps], dim=1)


def _jacobian_half_forgotten(f, x, h):
    steps = h * torch.eye(len(x), dtype=x.dtype)
    return torch.stack([(f(x + step) - f(x - step)) / h for step in steps], dim=1)


def _jacobian_not_divided(f, x, h):
    steps = h * torch.eye(len(x), dtype=x.dtype)
    return torch.stack([f(x + step) - f(x - step) for step in steps], dim=1)


def _jacobian_all_moved(f, x, h):
    column = (f(x + h) - f(x - h)) / (2 * h)
    return torch.stack([column] * len(x), dim=1)


def _jacobian_not_put_back(f, x, h):
    columns = []
    for j in range(len(x)):
        x[j] += h
        above = f(x)
        x[j] -= 2 * h
        columns.append((above - f(x)) / (2 * h))
    return torch.stack(columns, dim=1)


def _jacobian_summed(f, x, h):
    return numerical_jacobian(f, x, h).sum(dim=0)


def _cubes(x: Tensor) -> Tensor:
    return torch.stack([x[0] ** 3, x[0] * x[1]])


def _softmax(x: Tensor) -> Tensor:
    return x.softmax(dim=0)


def _pairs(x: Tensor) -> Tensor:
    return torch.outer(x.exp(), x.cos()).triu(1).flatten()


def _waves(x: Tensor) -> Tensor:
    return torch.stack([x.sin().sum(), (x**3).prod(), (x[1:] * x[:-1] ** 2).sum()])


def _jacobian_cases(g: torch.Generator) -> list[Case]:
    functions = [(_softmax, 5), (_waves, 7), (_pairs, 3), (_cubes, 2)]
    return [
        Case(
            (f, torch.randn(n, generator=g, dtype=torch.float64), 0.1), note=say("{n} numbers", n=n)
        )
        for f, n in functions
    ]


def _jacobian_softmax_columns(answer) -> None:
    x = torch.randn(5, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    sums = answer(_softmax, x, 1e-4).sum(dim=0)
    worst = sums.abs().max().item()
    assert worst < 1e-6, say("One column sums to {worst:.3f}.", worst=worst)


_JACOBIAN = Exercise(
    id="00.numerical_jacobian",
    title="A Jacobian by nudging",
    statement=(
        "Write `numerical_jacobian(f, x, h)`, without autograd: nudge one entry of `x` at a time "
        "by `h` to either side, and see how each entry of `f(x)` answers. `f` takes n numbers and "
        "returns m numbers; the result has shape (m, n), one **row** for each output, one "
        "**column** for each input. For f(x) = (x₀³, x₀·x₁) at `x = [1, 2]` with `h = 0.1` the "
        "answer is `[[3.01, 0], [2, 1]]`; the 0.01 is the error of so large a step."
    ),
    solution=numerical_jacobian,
    example=Case(
        (_cubes, torch.tensor([1.0, 2.0], dtype=torch.float64), 0.1), note="the printed example"
    ),
    cases=_jacobian_cases,
    properties=[
        Property("Each column of softmax's Jacobian sums to 0.", _jacobian_softmax_columns)
    ],
    misconceptions=[
        Misconception(
            "transposed",
            _jacobian_transposed,
            "Rows and columns are exchanged: row i belongs to output i, column j to input j. "
            "Stack the answers to each nudge side by side, along `dim=1`.",
        ),
        Misconception(
            "one_sided",
            _jacobian_one_sided,
            "You compare x + h with x itself. That is right in the limit, with an error that "
            "shrinks like h; going to both sides makes it shrink like h².",
        ),
        Misconception(
            "half_forgotten",
            _jacobian_half_forgotten,
            "Twice too large: from x − h to x + h the distance is 2h, not h.",
        ),
        Misconception(
            "not_divided",
            _jacobian_not_divided,
            "These are differences. A derivative is a difference **per step**: divide by 2h.",
        ),
        Misconception(
            "all_moved",
            _jacobian_all_moved,
            "`x + h` moves all entries at once, by broadcasting: every column is the sum of all "
            "columns. Move one entry at a time: `h * torch.eye(n)` holds the n nudges.",
        ),
        Misconception(
            "not_put_back",
            _jacobian_not_put_back,
            "After each nudge the entry stays at x − h, so later columns are taken at another "
            "place. Put it back, or work on a fresh copy each time.",
        ),
        Misconception(
            "summed",
            _jacobian_summed,
            "You add up all outputs, so one row is left. That is the gradient of their sum; the "
            "Jacobian keeps a row for each output.",
        ),
    ],
    nudges=[
        "Each nudge gives m numbers: one column. How many nudges are there, and along which axis "
        "do you stack their columns?",
        "`for step in h * torch.eye(n)` walks through the nudges: each has h at one place and 0 "
        "elsewhere.",
        "From x − step to x + step the distance is 2h.",
    ],
    success="You can check any derivative, your own included, without trusting anybody.",
    remark="It calls f 2n times, which is why nobody trains a network this way: autograd gets the "
    "gradient of one loss, for all n inputs, at about the price of two or three calls.",
)

EXERCISES = [_BROADCAST_SHAPE, _BILINEAR, _LOG_SUM_EXP, _JACOBIAN]

QUIZ = [
    Question(
        text="A query and a key have 64 components, all independent, with mean 0 and variance 1. "
        "How large is a typical dot product?",
        choices=["About 1", "About 8", "About 64"],
        answer=1,
        why=[
            "That is the size of a single term. There are 64 of them.",
            "The variances add up to 64, and a typical size is the standard deviation, √64 = 8.",
            "64 is the variance, in squared units. Its root is the typical size.",
        ],
    ),
    Question(
        text="A language model gives the right next token probability 1/8, each time. What is its "
        "cross-entropy?",
        choices=[
            "3 bits, or about 2.08 nats",
            "3 nats, or about 2.08 bits",
            "0.125 bits",
        ],
        answer=0,
        why=[
            "−log₂(1/8) = 3 bits; one bit is ln 2 = 0.693 nats, so 3 bits are 2.08 nats.",
            "A bit is smaller than a nat: the number of bits is the larger one.",
            "That is the probability itself. The loss is the mean of its negative logarithm.",
        ],
    ),
    Question(
        text="`x` has shape (32, 1, 10) and `y` has shape (5, 10). Which shape has `x * y`?",
        choices=["(32, 5, 10)", "(32, 1, 10)", "None: the shapes do not fit"],
        answer=0,
        why=[
            "y becomes (1, 5, 10); each pair of sizes is equal or holds a 1.",
            "The middle axis stretches to 5: a 1 gives way to the other size.",
            "Line them up from the right: 10 with 10, 1 with 5, 32 with nothing. All three fit.",
        ],
    ),
    Question(
        text="Gradient descent on a valley crawls along the floor, and with a learning rate twice "
        "as large it flies off. Which number tells how hard the valley is?",
        choices=[
            "The value of the loss at the minimum",
            "The largest curvature divided by the smallest",
            "The number of parameters",
        ],
        answer=1,
        why=[
            "Adding a constant to the loss changes no gradient.",
            "The largest curvature limits the step, the smallest says how little such a step "
            "gains along the floor.",
            "Two parameters are enough to make a valley as narrow as you like.",
        ],
    ),
]
